"""What a person sees of a client: no secret, in whatever shape a server repeats it."""

from __future__ import annotations

import base64
import html
import json
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config.settings import ApiKey, BasicAuth, Client, LookupOptions, Secret
from vipex_bridge.deliver.masking import MASK, hide, shown_header, shown_url

CLIENT = Client("crm", "lookup", "https://crm.example/x", "GET", ())
SECRETS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=4, max_size=30).filter(
    lambda text: text.strip("*") == text
)


def holding(secret: str, where: str) -> Client:
    """A client with the secret in one of the places that there are for one."""
    match where:
        case "password":
            return replace(CLIENT, basic_auth=BasicAuth("vipex", Secret(secret)))
        case "api key":
            return replace(CLIENT, api_key=ApiKey("query", "k", Secret(secret)))
        case "signing secret":
            return replace(CLIENT, signing_secrets=(Secret("other"), Secret(secret)))
    return replace(CLIENT, headers=(("X-A", "plain"), ("X-B", Secret(secret))))


SHAPES = [
    lambda text: text,
    lambda text: json.dumps(text),
    lambda text: json.dumps(text, ensure_ascii=False),
    lambda text: json.dumps(text).replace("/", "\\/"),
    lambda text: quote(text),
    lambda text: quote(text, safe=""),
    lambda text: quote_plus(text),
    lambda text: quote(text, safe="").lower(),
    lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    lambda text: base64.b64encode(text.encode()).decode(),
]


@given(
    SECRETS,
    st.sampled_from(["password", "api key", "signing secret", "header"]),
    st.sampled_from(SHAPES),
)
def test_a_secret_in_any_shape_is_hidden(secret: str, where: str, shape: object) -> None:
    said = shape(secret)  # type: ignore[operator]
    told = hide(f"<{said}>", holding(secret, where))
    assert said.strip('"') not in told
    assert MASK in told


def test_basic_authentication_is_hidden_as_it_is_sent() -> None:
    sent = base64.b64encode(b"vipex:s3cret").decode()
    assert hide(f'{{"Authorization": "Basic {sent}"}}', holding("s3cret", "password")) == (
        f'{{"Authorization": "Basic {MASK}"}}'
    )


def test_a_longer_secret_that_holds_a_shorter_one_leaves_nothing() -> None:
    client = replace(holding("s3cret", "password"), api_key=ApiKey("query", "k", Secret("s3cret-and-more")))
    assert hide("a s3cret-and-more b s3cret", client) == f"a {MASK} b {MASK}"


def test_the_telling_part_of_a_header_is_hidden_by_itself() -> None:
    client = replace(CLIENT, headers=(("Authorization", Secret("Bearer 0123456789abcdef")),))
    assert hide("token=0123456789abcdef, Bearer", client) == f"token={MASK}, Bearer"


@pytest.mark.parametrize(
    "said",
    [
        "GET /hook/t0kent0ken?key=k3yk3yk3y&id=1",
        '{"path": "/hook/t0kent0ken"}',
        "POST https:\\/\\/crm.example\\/hook\\/t0kent0ken",
        "segments: hook, t0kent0ken; key: k3yk3yk3y",
        "%2Fhook%2Ft0kent0ken",
    ],
)
def test_of_a_secret_url_path_and_query_are_hidden(said: str) -> None:
    url = Secret("https://crm.example/hook/t0kent0ken?key=k3yk3yk3y")
    for client in (
        replace(CLIENT, url=url),
        replace(CLIENT, lookup=LookupOptions(fallback_urls=("https://b.example", url))),
    ):
        told = hide(said, client)
        assert "t0ken" not in told and "k3y" not in told


def test_of_a_short_secret_url_the_path_is_hidden_as_a_whole() -> None:
    client = replace(CLIENT, url=Secret("https://crm.example/t0k?k=v"))
    assert hide("GET /t0k?k=v&id=1", client) == f"GET {MASK}?{MASK}&id=1"
    assert hide("GET /x", replace(CLIENT, url=Secret("https://crm.example/"))) == "GET /x"


def test_what_is_no_secret_is_left() -> None:
    client = replace(CLIENT, headers=(("X-Source", "pbx1"),))
    assert hide("pbx1 https://crm.example/x", client) == "pbx1 https://crm.example/x"
    assert (shown_url("https://h/x?y"), shown_header("pbx1")) == ("https://h/x?y", "pbx1")


def test_of_a_secret_url_the_host_is_shown() -> None:
    assert shown_url(Secret("https://crm.example:8443/hook/t0ken?k=v")) == f"https://crm.example:8443/{MASK}"
    assert shown_header(Secret("x")) == MASK


def test_of_a_url_in_place_a_parameter_that_is_named_like_a_secret_is_hidden() -> None:
    url = "https://h/x?a=1&access_token=t0ken&b=2&Key=k3y"
    assert shown_url(url) == f"https://h/x?a=1&access_token={MASK}&b=2&Key={MASK}"
    assert hide("a=1, t0ken, k3y", replace(CLIENT, url=url)) == f"a=1, {MASK}, {MASK}"
