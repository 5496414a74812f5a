"""Filling: secrets and recordings go in at each try, and into what a person sees they do not."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from io import FileIO
from pathlib import Path
from urllib.parse import parse_qs, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge import __version__
from vipex_bridge.config.settings import ApiKey, BasicAuth, Client, Secret
from vipex_bridge.deliver.fill import fill, masked
from vipex_bridge.deliver.http import Outgoing
from vipex_bridge.deliver.recording import Composed
from vipex_bridge.errors import ExchangeError, RecordingError, RenderError
from vipex_bridge.render.request import Request, Slot
from vipex_bridge.render.requests import render

KEY = "k\"e+y &<'>/"
TOKEN = "vipex" + "0123456789abcdef" * 2
OTHER = "vipex" + "fedcba9876543210" * 2

CLIENT = Client(
    name="billing",
    kind="call_end",
    url="https://b.example/cdr",
    method="POST",
    parameters=(),
    api_key=ApiKey("body", "key", Secret(KEY)),
)


def nothing(reference: str) -> FileIO:
    raise RecordingError(f"{reference} is not there")


def opened(path: Path) -> FileIO:
    return path.open("rb", buffering=0)


def request(body: str | None, *slots: Slot, url: str = "https://b.example/cdr") -> Request:
    return Request("POST", url, (("Content-Type", "application/json"),), body, slots)


def recording(escape: str = "json", *, literal: bool = True, token: str = TOKEN) -> Slot:
    return Slot(token, "recording", escape, literal, "2026/11/23/out-7.wav")


def everything(outgoing: Outgoing) -> bytes:
    body = outgoing.body
    if body is None or isinstance(body, bytes):
        return body or b""
    parts = []
    while part := body.read(1000):
        assert len(part) <= 1000
        parts.append(part)
    body.close()
    whole = b"".join(parts)
    assert len(body) == len(whole)
    return whole


def headers(outgoing: Outgoing) -> dict[str, str]:
    return dict(outgoing.headers)


def test_a_request_without_secrets_goes_out_as_it_was_frozen_and_says_who_sends_it() -> None:
    outgoing = fill(request('{"src": "Kovács"}'), CLIENT, nothing, idempotency_key=None)
    assert outgoing.method == "POST"
    assert outgoing.url == "https://b.example/cdr"
    assert outgoing.body == '{"src": "Kovács"}'.encode()
    assert outgoing.headers == (
        ("Content-Type", "application/json"),
        ("User-Agent", f"vipex-bridge/{__version__}"),
    )


def test_the_idempotency_key_is_sent_when_given() -> None:
    outgoing = fill(request("{}"), CLIENT, nothing, idempotency_key="d-7")
    assert headers(outgoing)["Idempotency-Key"] == "d-7"


def test_the_operators_own_user_agent_is_kept() -> None:
    frozen = replace(request("{}"), headers=(("user-agent", "PBX"),))
    assert fill(frozen, CLIENT, nothing, idempotency_key=None).headers == (("user-agent", "PBX"),)


def test_basic_authentication_is_that_of_rfc_7617_in_utf_8() -> None:
    """The example of RFC 7617, section 2.1."""
    client = replace(CLIENT, basic_auth=BasicAuth("test", Secret("123£")))
    outgoing = fill(request("{}"), client, nothing, idempotency_key=None)
    assert headers(outgoing)["Authorization"] == "Basic dGVzdDoxMjPCow=="


def test_an_api_key_header_stands_beside_basic_and_replaces_a_frozen_one_of_its_name() -> None:
    client = replace(
        CLIENT,
        basic_auth=BasicAuth("u", Secret("p")),
        api_key=ApiKey("header", "X-Api-Key", Secret("new")),
    )
    frozen = replace(request("{}"), headers=(("x-api-key", "old"),))
    outgoing = fill(frozen, client, nothing, idempotency_key=None)
    named = [(name.lower(), value) for name, value in outgoing.headers]
    assert ("x-api-key", "new") in named
    assert ("authorization", "Basic dTpw") in named
    assert "old" not in [value for _, value in named]


@pytest.mark.parametrize("secret", ["a\r\nX-Evil: 1", "a\0", "\u20ac"])
def test_an_api_key_that_no_header_can_carry_is_refused_without_being_shown(secret: str) -> None:
    client = replace(CLIENT, api_key=ApiKey("header", "X-Api-Key", Secret(secret)))
    with pytest.raises(RenderError) as caught:
        fill(request("{}"), client, nothing, idempotency_key=None)
    assert secret not in str(caught.value)


def test_an_api_key_in_the_url_reads_back_as_itself() -> None:
    frozen = request(None, Slot(TOKEN, "api_key", "url"), url=f"https://b.example/cdr?a=1&key={TOKEN}&z=2")
    outgoing = fill(frozen, CLIENT, nothing, idempotency_key=None)
    assert outgoing.url == f"https://b.example/cdr?a=1&key={quote_plus(KEY)}&z=2"


@given(secret=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_an_api_key_in_a_body_reads_back_as_itself_whatever_it_is(secret: str) -> None:
    client = replace(CLIENT, api_key=ApiKey("body", "key", Secret(secret)))

    def body_of(text: str, slot: Slot) -> str:
        return everything(fill(request(text, slot), client, nothing, idempotency_key=None)).decode()

    assert json.loads(body_of(f'{{"k": "{TOKEN}"}}', Slot(TOKEN, "api_key", "json")))["k"] == secret
    assert json.loads(body_of(f'{{"k": {TOKEN}}}', Slot(TOKEN, "api_key", "json", True)))["k"] == secret
    assert parse_qs(body_of(f"k={TOKEN}", Slot(TOKEN, "api_key", "form")), strict_parsing=True) == {
        "k": [secret]
    }


def test_a_changed_api_key_serves_an_old_delivery_and_a_removed_one_is_named() -> None:
    frozen = request(TOKEN, Slot(TOKEN, "api_key", "text"))
    changed = replace(CLIENT, api_key=ApiKey("body", "key", Secret("new")))
    assert fill(frozen, changed, nothing, idempotency_key=None).body == b"new"
    with pytest.raises(RenderError, match="billing has no api_key"):
        fill(frozen, replace(CLIENT, api_key=None), nothing, idempotency_key=None)


# What is the client's own, as it is configured now


def frozen_now(body: str | None = "{}", url: str = "") -> Request:
    return Request("POST", url, (("Content-Type", "application/json"),) if body is not None else (), body)


@pytest.mark.parametrize(
    ("base", "frozen", "sent"),
    [
        ("https://new.example/hook", "", "https://new.example/hook"),
        ("https://new.example/hook", "?id=7&k=a%20b", "https://new.example/hook?id=7&k=a%20b"),
        ("https://new.example/hook?t=1", "?id=7", "https://new.example/hook?t=1&id=7"),
        ("https://new.example/hook?", "?id=7", "https://new.example/hook?id=7"),
        (Secret("https://new.example/t0ken"), "?id=7", "https://new.example/t0ken?id=7"),
    ],
)
def test_the_present_url_is_followed_by_the_frozen_query(base: str, frozen: str, sent: str) -> None:
    outgoing = fill(frozen_now(url=frozen), replace(CLIENT, url=base), nothing, idempotency_key=None)
    assert outgoing.url == sent
    assert type(outgoing.url) is str


def test_a_type_that_is_a_secret_is_put_in_as_it_is_by_now() -> None:
    client = replace(CLIENT, headers=(("Content-Type", Secret("text/x-0ld")), ("X-A", "1")))
    request = render(client, {"id": 7}, "ringing", {}, lambda: "vipex0123456789")
    for value in ("text/x-0ld", "text/x-new"):
        present = replace(client, headers=(("Content-Type", Secret(value)), ("X-A", "1")))
        sent = fill(request, present, nothing, idempotency_key=None).headers
        assert [pair for pair in sent if pair[0] != "User-Agent"] == [("Content-Type", value), ("X-A", "1")]
        shown = dict(masked(request, present).headers)
        assert shown["Content-Type"] == "********"


def test_the_present_headers_are_sent_and_the_bodys_type_stays_what_it_was_frozen_with() -> None:
    configured = (("X-Token", Secret("t0ken")), ("X-A", "1"), ("content-type", "text/x-new"))
    outgoing = fill(frozen_now(), replace(CLIENT, headers=configured), nothing, idempotency_key="d-7")
    assert outgoing.headers == (
        ("Content-Type", "application/json"),
        ("X-Token", "t0ken"),
        ("X-A", "1"),
        ("User-Agent", f"vipex-bridge/{__version__}"),
        ("Idempotency-Key", "d-7"),
    )
    assert all(type(value) is str for _, value in outgoing.headers)


def test_a_request_frozen_with_url_and_headers_goes_where_it_was_to_go_with_the_present_headers() -> None:
    """As the store of an earlier version holds it."""
    row = {
        "method": "POST",
        "url": "https://old.example/cdr?id=7",
        "headers": [["Content-Type", "application/json"], ["X-Token", "0ld"], ["X-Gone", "1"]],
        "body": "{}",
        "slots": [],
    }
    client = replace(CLIENT, url="https://new.example/", headers=(("x-token", Secret("n3w")),))
    outgoing = fill(Request.from_dict(row), client, nothing, idempotency_key=None)
    assert outgoing.url == "https://old.example/cdr?id=7"
    assert [pair for pair in outgoing.headers if pair[0] != "User-Agent"] == [
        ("Content-Type", "application/json"),
        ("X-Gone", "1"),
        ("x-token", "n3w"),
    ]


def test_of_a_secret_url_errors_name_the_host_alone() -> None:
    client = replace(CLIENT, url=Secret("https://b.example:8443/hook/t0ken?k=v"))
    outgoing = fill(frozen_now(url="?id=7"), client, nothing, idempotency_key=None)
    assert outgoing.where == "b.example:8443/********"
    assert fill(frozen_now(url="?id=7"), CLIENT, nothing, idempotency_key=None).where == "b.example/cdr"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "\u0171"])
def test_a_header_that_cannot_be_sent_is_refused(value: str) -> None:
    with pytest.raises(RenderError, match=r"line break|Latin-1"):
        fill(frozen_now(), replace(CLIENT, headers=(("X-A", value),)), nothing, idempotency_key=None)


# Recordings


@pytest.mark.parametrize("size", [0, 1, 2, 3, 44, 49151, 49152, 49153, 200_001])
def test_a_recording_is_base64_of_its_file_in_a_body_of_known_length(size: int, tmp_path: Path) -> None:
    sound = os.urandom(size)
    (tmp_path / "a.wav").write_bytes(sound)
    frozen = request(f'{{"f": {TOKEN}, "n": "x"}}', recording())
    outgoing = fill(frozen, CLIENT, lambda reference: opened(tmp_path / "a.wav"), idempotency_key=None)
    assert isinstance(outgoing.body, Composed)
    assert json.loads(everything(outgoing)) == {"f": base64.b64encode(sound).decode(), "n": "x"}


@pytest.mark.parametrize("place", ["form", "url", "json", "xml", "text"])
def test_a_recording_that_is_no_literal_is_escaped_for_its_place(place: str, tmp_path: Path) -> None:
    sound = b"\xff\xef\xbe\xfb" * 100
    (tmp_path / "a.wav").write_bytes(sound)
    outgoing = fill(
        request(f"file={TOKEN}&z=1", recording(place, literal=False)),
        CLIENT,
        lambda reference: opened(tmp_path / "a.wav"),
        idempotency_key=None,
    )
    expected = base64.b64encode(sound).decode()
    if place in ("form", "url"):
        expected = quote_plus(expected)
    assert everything(outgoing) == f"file={expected}&z=1".encode()


def test_several_recordings_and_a_secret_each_go_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two!")
    first = Slot(TOKEN, "recording", "json", True, "one")
    second = Slot(OTHER, "recording", "json", True, "two")
    key = Slot("vipexkey", "api_key", "json")
    frozen = request(f'{{"a": {OTHER}, "k": "vipexkey", "b": {TOKEN}}}', first, second, key)
    outgoing = fill(frozen, CLIENT, lambda reference: opened(tmp_path / reference), idempotency_key=None)
    assert json.loads(everything(outgoing)) == {"a": "dHdvIQ==", "k": KEY, "b": "b25l"}


def test_a_recording_that_cannot_be_had_is_null_and_the_reason_is_told() -> None:
    told: list[str] = []
    for text, slot, expected in [
        (f'{{"f": {TOKEN}}}', recording(), b'{"f": null}'),
        (f"f={TOKEN}", recording("form", literal=False), b"f="),
    ]:
        outgoing = fill(
            request(text, slot),
            CLIENT,
            nothing,
            idempotency_key=None,
            on_missing=lambda reference, reason: told.append(reason),
        )
        assert outgoing.body == expected
    assert told == ["2026/11/23/out-7.wav is not there"] * 2


def test_a_recording_that_grows_is_sent_as_it_was_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"abc")
    outgoing = fill(request(TOKEN, recording()), CLIENT, lambda reference: opened(path), idempotency_key=None)
    path.write_bytes(b"abcdef")
    assert everything(outgoing) == b'"YWJj"'


def test_a_recording_that_shrinks_is_an_error_and_not_a_short_body(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(1000))
    outgoing = fill(request(TOKEN, recording()), CLIENT, lambda reference: opened(path), idempotency_key=None)
    assert isinstance(outgoing.body, Composed)
    path.write_bytes(b"")
    with pytest.raises(ExchangeError, match=r"a\.wav became shorter"):
        outgoing.body.read()
    outgoing.body.close()


def test_a_recording_is_not_taken_into_memory(tmp_path: Path) -> None:
    """A sparse file of 8 GB is opened and its length is known at once; a piece is a piece."""
    path = tmp_path / "long.wav"
    path.touch()
    os.truncate(path, 8_000_000_001)
    outgoing = fill(request(TOKEN, recording()), CLIENT, lambda reference: opened(path), idempotency_key=None)
    assert isinstance(outgoing.body, Composed)
    assert len(outgoing.body) == 10_666_666_668 + 2
    assert outgoing.body.read(16384) == b'"'
    assert outgoing.body.read(16384) == b"A" * 16384
    outgoing.body.close()


def test_files_are_closed_when_filling_fails_later(tmp_path: Path) -> None:
    """An unclosed file would be a warning, which fails the test."""
    (tmp_path / "one").write_bytes(b"one")
    frozen = request(TOKEN + OTHER, recording(), Slot(OTHER, "api_key", "json"))
    with pytest.raises(RenderError):
        fill(
            frozen,
            replace(CLIENT, api_key=None),
            lambda reference: opened(tmp_path / "one"),
            idempotency_key=None,
        )


# What a person sees


def test_masked_shows_where_secrets_and_recordings_stand_and_none_of_them() -> None:
    client = replace(
        CLIENT,
        basic_auth=BasicAuth("user", Secret("basic-secret")),
        api_key=ApiKey("header", "X-Api-Key", Secret("key-secret")),
    )
    frozen = request(
        f'{{"k": "{OTHER}", "f": {TOKEN}}}',
        Slot(OTHER, "api_key", "json"),
        recording(),
        Slot("vipexurl", "api_key", "url"),
        url="https://b.example/cdr?key=vipexurl",
    )
    shown = masked(frozen, client)
    assert shown.url == "https://b.example/cdr?key=********"
    assert shown.headers == (
        ("Content-Type", "application/json"),
        ("User-Agent", f"vipex-bridge/{__version__}"),
        ("Authorization", "********"),
        ("X-Api-Key", "********"),
    )
    assert json.loads(shown.body or "") == {"k": "********", "f": "<recording out-7.wav, base64>"}
    assert shown.slots == ()
    assert "secret" not in repr(shown)


def test_masked_leaves_a_get_without_a_body() -> None:
    assert masked(request(None), CLIENT).body is None


def test_masked_shows_a_clients_own_url_and_headers_but_for_what_is_secret() -> None:
    client = replace(
        CLIENT,
        url=Secret("https://b.example/hook/t0ken"),
        headers=(("X-Source", "pbx1"), ("X-Token", Secret("t0ken"))),
        signing_secrets=(Secret("old-secret"), Secret("new-secret")),
    )
    shown = masked(frozen_now(url="?id=7"), client)
    assert shown.url == "https://b.example/********?id=7"
    assert shown.headers == (
        ("Content-Type", "application/json"),
        ("X-Source", "pbx1"),
        ("X-Token", "********"),
        ("User-Agent", f"vipex-bridge/{__version__}"),
        ("webhook-id", "<the Idempotency-Key>"),
        ("webhook-timestamp", "<the time of the try>"),
        ("webhook-signature", "v1,******** v1,********"),
    )
