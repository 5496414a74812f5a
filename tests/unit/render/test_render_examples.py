"""The client documentation's own examples, byte for byte."""

from __future__ import annotations

import itertools
from zoneinfo import ZoneInfo

from documented import INBOUND, OUTGOING

from vipex_bridge.config.settings import PARAMETERS, Client
from vipex_bridge.render.fields import call_end_fields, notify_fields
from vipex_bridge.render.request import Request, whole_url
from vipex_bridge.render.requests import render
from vipex_bridge.render.sample import inbound_document, outgoing_document, ringing_view

BUDAPEST = ZoneInfo("Europe/Budapest")
SHOWN = ("id", "start_time", "src", "dst", "exten")

PARTS = tuple(name for name in PARAMETERS["call_end"][:18] if name not in ("price", "cost_location"))
IN_EXAMPLE_ORDER = (*PARTS, "monitor_file_name")


def _token() -> str:
    return f"vipex{next(_numbers):027x}"


_numbers = itertools.count()


def _with_recordings(request: Request, recordings: dict[str, str]) -> str:
    """The body as it leaves: each recording in its slot, as base64 in a JSON literal."""
    body = request.body or ""
    for slot in request.slots:
        assert slot.literal
        body = body.replace(slot.token, f'"{recordings[slot.reference]}"')
    return body


def test_ringing_post_is_the_documentations() -> None:
    client = Client("crm", "notify", "https://crm.example", "POST", SHOWN)
    fields = notify_fields(91000, ringing_view(BUDAPEST), "252", BUDAPEST, "flag")
    request = render(client, fields, "ringing", {}, _token)
    assert request.body == (
        '{"id": 91000, "start_time": "2019-12-02 12:46:17", "src": "36709676052", '
        '"dst": "3619996000", "exten": "252"}'
    )
    assert (request.method, request.url, request.slots) == ("POST", "", ())
    assert request.headers == (("Content-Type", "application/json"),)


def test_get_url_is_the_documentations() -> None:
    client = Client("crm", "lookup", "https://crm.example", "GET", SHOWN)
    fields = notify_fields(91000, ringing_view(BUDAPEST), None, BUDAPEST, "flag")
    request = render(client, fields, "lookup", {}, _token)
    assert whole_url(client.url, request.url) == (
        "https://crm.example?id=91000&start_time=2019-12-02+12%3A46%3A17&src=36709676052&dst=3619996000"
    )
    assert (request.body, request.headers) == (None, ())


def test_outgoing_call_is_the_documentations() -> None:
    parameters = (*IN_EXAMPLE_ORDER, "monitor_file", "price", "cost_location", "sub_cdrs")
    client = Client("billing", "call_end", "https://b.example", "POST", parameters, cc_call="queue")
    document = outgoing_document(BUDAPEST)
    request = render(client, call_end_fields(document, BUDAPEST, client), "call_end", {}, _token)
    assert document.main.recording
    assert _with_recordings(request, {document.main.recording.path: "UklGRr52DgBXQVZFZm10…"}) == OUTGOING


def test_inbound_call_with_parts_is_the_documentations() -> None:
    """Where the example leaves `monitor_file` of a part out, it is null here."""
    parameters = (*IN_EXAMPLE_ORDER, "sub_cdrs")
    parts = (*IN_EXAMPLE_ORDER, "monitor_file")
    client = Client("b", "call_end", "https://b.example", "POST", parameters, parts, cc_call="queue")
    document = inbound_document(BUDAPEST)
    request = render(client, call_end_fields(document, BUDAPEST, client), "call_end", {}, _token)
    recording = document.legs[2].recording
    assert recording
    body = _with_recordings(request, {recording.path: "BQAGAACACAAIAAKACgAKAAS…"})
    assert body.count(', "monitor_file": null}') == 2
    assert body.replace(', "monitor_file": null}', "}") == INBOUND
