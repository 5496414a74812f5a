"""Every option of a client's configuration, as it shows in the request."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from vipex_bridge.config.settings import PARAMETERS, ApiKey, BasicAuth, Client, Secret
from vipex_bridge.errors import RenderError
from vipex_bridge.render.fields import call_end_fields
from vipex_bridge.render.request import Request, whole_url
from vipex_bridge.render.requests import render
from vipex_bridge.render.sample import inbound_document, outgoing_document

ZONE = ZoneInfo("Europe/Budapest")
FIELDS: dict[str, object] = {
    "id": 7, "start_time": "2019-12-02 12:46:17", "src": "36 70&x", "dst": None,
    "ivr_digits": "2,1", "cc_call": 0, "custom_field": "Ügyfél",
}  # fmt: skip
LOOKUP = Client("route", "lookup", "https://crm.example/route", "GET", PARAMETERS["lookup"])
NOTIFY = Client("ring", "notify", "https://crm.example/calls", "POST", ("id", "src", "dst"))
BILLING = Client("billing", "call_end", "https://b.example", "POST", PARAMETERS["call_end"])
FORM = "application/x-www-form-urlencoded"


def _token() -> str:
    return "vipex" + secrets.token_hex(16)


def _rendered(client: Client, event: str = "ringing", **args: str) -> Request:
    return render(client, FIELDS, event, args, _token)


def _url(client: Client, **args: str) -> str:
    return whole_url(client.url, _rendered(client, **args).url)


def _key(place: str) -> ApiKey:
    return ApiKey(place, "api key", Secret("canary"))


def test_get_leaves_unknown_out_and_keeps_the_order_chosen() -> None:
    assert _url(replace(LOOKUP, parameters=("cc_call", "dst", "src", "id"))) == (
        "https://crm.example/route?cc_call=0&src=36+70%26x&id=7"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/p", "https://h/p?id=7"),
        ("https://h/p?a=1", "https://h/p?a=1&id=7"),
        ("https://h/p?", "https://h/p?id=7"),
        ("https://h/p?a=1&", "https://h/p?a=1&id=7"),
        ("https://h/p#part", "https://h/p?id=7"),
    ],
)
def test_the_query_is_joined_to_any_url(url: str, expected: str) -> None:
    assert _url(replace(LOOKUP, url=url, parameters=("id",))) == expected


def test_a_query_with_nothing_known_leaves_the_url_alone() -> None:
    assert _url(replace(LOOKUP, parameters=("dst",))) == "https://crm.example/route"


def test_query_template_is_appended_url_encoded() -> None:
    query = "?phone={{ src }}&e={{ event }}&d={{ dst }}&l={{ custom_field }}&a={{ args.campaign }}\n"
    assert _url(replace(LOOKUP, query=query), campaign="x&y") == (
        "https://crm.example/route?phone=36+70%26x&e=ringing&d=&l=%C3%9Cgyf%C3%A9l&a=x%26y"
    )


def test_a_query_templates_own_spaces_and_letters_become_a_url() -> None:
    url = _url(replace(LOOKUP, query="név=a b%20c#d\n&id={{ id }}"))
    assert url == "https://crm.example/route?n%C3%A9v=a%20b%20c%23d%0A&id=7"


def test_post_is_one_json_object_with_null_for_unknown() -> None:
    client = replace(NOTIFY, parameters=("custom_field", "exten", "dst", "id"))
    request = _rendered(client)
    assert request.body == '{"custom_field": "Ügyfél", "dst": null, "id": 7}'
    assert _url(client) == "https://crm.example/calls"


def test_post_as_a_form() -> None:
    request = _rendered(replace(NOTIFY, content_type=FORM))
    assert (request.body, request.headers) == ("id=7&src=36+70%26x", (("Content-Type", FORM),))


def test_a_form_holds_parts_as_json_text_and_recordings_as_slots() -> None:
    client = replace(BILLING, content_type=FORM, parameters=("id", "monitor_file", "sub_cdrs"))
    outgoing = render(client, call_end_fields(outgoing_document(ZONE), ZONE, client), None, {}, _token)
    assert [(slot.source, slot.escape, slot.literal) for slot in outgoing.slots] == [
        ("recording", "form", False)
    ]
    assert outgoing.body == f"id=76355&monitor_file={outgoing.slots[0].token}&sub_cdrs=%5B%5D"
    inbound = render(client, call_end_fields(inbound_document(ZONE), ZONE, client), None, {}, _token)
    (slot,) = inbound.slots
    assert slot.literal
    parts = dict(parse_qsl((inbound.body or "").replace(slot.token, "%22base64%22")))["sub_cdrs"]
    assert json.loads(parts)[2] == {"id": 91064, "monitor_file": "base64"}


def test_body_template_escapes_for_the_content_type() -> None:
    fields = {**FIELDS, "src": '3"6<7>&8'}
    body = '{"phone": "{{ src }}", "agent": {{ exten | tojson }}, "event": "{{ event }}", "dst": "{{ dst }}"}'
    json_request = render(replace(NOTIFY, body=body), fields, "arrival", {}, _token)
    assert json_request.body == '{"phone": "3\\"6<7>&8", "agent": null, "event": "arrival", "dst": ""}'
    for content_type, expected in [
        ("application/xml", "<p>3&quot;6&lt;7&gt;&amp;8</p>"),
        ("application/soap+xml; charset=utf-8", "<p>3&quot;6&lt;7&gt;&amp;8</p>"),
        (FORM, "<p>3%226%3C7%3E%268</p>"),
        ("text/plain", '<p>3"6<7>&8</p>'),
    ]:
        client = replace(NOTIFY, content_type=content_type, body="<p>{{ src }}</p>")
        assert render(client, fields, "arrival", {}, _token).body == expected


def test_a_template_sees_the_parts_and_everything_known() -> None:
    body = (
        '{"n": [{% for leg in sub_cdrs %}{{ leg.exten | tojson }}{{ ", " if not loop.last }}{% endfor %}],'
        ' "all": {{ call.other_party_number | tojson }}, "price": {{ price }}}'
    )
    client = replace(BILLING, body=body)
    fields = call_end_fields(inbound_document(ZONE), ZONE, client)
    request = render(client, fields, "call_end", {}, _token)
    assert request.body == '{"n": ["200", "221", "251"], "all": "3642999425", "price": null}'


def test_parts_in_a_template_carry_their_recordings_as_slots() -> None:
    client = replace(BILLING, sub_parameters=("id", "monitor_file"), body='{"legs": {{ sub_cdrs | tojson }}}')
    request = render(client, call_end_fields(inbound_document(ZONE), ZONE, client), None, {}, _token)
    (slot,) = request.slots
    assert request.body == (
        '{"legs": [{"id": 91060, "monitor_file": null}, {"id": 91062, "monitor_file": null}, '
        f'{{"id": 91064, "monitor_file": {slot.token}}}]}}'
    )
    assert (slot.source, slot.literal, slot.escape) == ("recording", True, "json")


def test_api_key_in_the_query_goes_with_get_and_post() -> None:
    for client in (replace(LOOKUP, parameters=("id",)), NOTIFY):
        request = _rendered(replace(client, api_key=_key("query")))
        (slot,) = request.slots
        assert urlsplit(request.url).query.endswith(f"api+key={slot.token}")
        assert (slot.source, slot.escape) == ("api_key", "url")


def test_api_key_is_not_appended_where_the_query_template_has_it() -> None:
    request = _rendered(replace(LOOKUP, api_key=_key("query"), query="k={{ api_key }}&id={{ id }}"))
    (slot,) = request.slots
    assert request.url == f"?k={slot.token}&id=7"


def test_api_key_in_the_body() -> None:
    default = _rendered(replace(NOTIFY, api_key=_key("body")))
    (slot,) = default.slots
    assert default.body == f'{{"id": 7, "src": "36 70&x", "dst": null, "api key": {slot.token}}}'
    assert slot.literal
    form = _rendered(replace(NOTIFY, api_key=_key("body"), content_type=FORM))
    assert form.body == f"id=7&src=36+70%26x&api+key={form.slots[0].token}"
    own = _rendered(replace(NOTIFY, api_key=_key("body"), body='{"key": "{{ api_key }}", "id": {{ id }}}'))
    assert own.body == f'{{"key": "{own.slots[0].token}", "id": 7}}'
    assert not own.slots[0].literal


def test_header_credentials_are_left_to_the_sending() -> None:
    client = replace(NOTIFY, api_key=_key("header"), basic_auth=BasicAuth("vipex", Secret("canary")))
    request = _rendered(client)
    assert request == _rendered(NOTIFY)


def test_no_secret_is_in_what_the_outbox_keeps() -> None:
    for place in ("query", "body"):
        client = replace(NOTIFY, api_key=_key(place), basic_auth=BasicAuth("vipex", Secret("canary")))
        request = _rendered(client)
        assert len(request.slots) == 1
        assert "canary" not in json.dumps(request.to_dict())
        assert Request.from_dict(json.loads(json.dumps(request.to_dict()))) == request


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [
        ("application/json", "application/json"),
        ("application/vnd.crm+json", "application/vnd.crm+json"),
        (FORM, FORM),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain; charset=UTF-8", "text/plain; charset=UTF-8"),
    ],
)
def test_content_type_names_utf8_where_it_is_not_given_by_the_type(content_type: str, sent: str) -> None:
    assert _rendered(replace(NOTIFY, content_type=content_type)).headers == (("Content-Type", sent),)


def test_nothing_of_the_clients_url_or_headers_is_frozen_but_the_bodys_own_type() -> None:
    client = replace(
        NOTIFY,
        url="https://crm.example/hook/canary?key=canary",
        headers=(("X-Token", "canary"), ("content-type", "text/x-own")),
    )
    request = _rendered(client)
    assert (request.url, request.headers) == ("", (("content-type", "text/x-own"),))
    assert "canary" not in json.dumps(request.to_dict())
    assert _rendered(replace(LOOKUP, headers=(("X-Source", "pbx1"),))).headers == ()


def test_a_type_that_is_a_secret_is_not_frozen() -> None:
    client = replace(NOTIFY, headers=(("Content-Type", Secret("text/canary")), ("X-A", "1")))
    request = _rendered(client)
    assert request.headers == ()
    assert "canary" not in json.dumps(request.to_dict())


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (replace(NOTIFY, headers=(("Content-Type", "a\r\nX-B: b"),)), "line break"),
        (replace(NOTIFY, headers=(("Content-Type", "\u0171"),)), "Latin-1"),
        (replace(NOTIFY, content_type="text/xml"), "no default format"),
        (replace(NOTIFY, content_type="text/plain; charset=iso-8859-2"), "UTF-8"),
    ],
)
def test_what_cannot_be_sent_is_refused(client: Client, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        _rendered(client)
