"""The client documentation's own examples, byte for byte."""

from __future__ import annotations

import itertools
from zoneinfo import ZoneInfo

from vipex_bridge.config.settings import PARAMETERS, Client
from vipex_bridge.render.fields import call_end_fields, notify_fields
from vipex_bridge.render.request import Request, whole_url
from vipex_bridge.render.requests import render
from vipex_bridge.render.sample import inbound_document, outgoing_document, ringing_view

BUDAPEST = ZoneInfo("Europe/Budapest")
SHOWN = ("id", "start_time", "src", "dst", "exten")

OUTGOING = (
    '{"id": 76355, "direction": 0, "start_time": "2019-12-03 11:41:56", '
    '"answer_time": "2019-12-03 11:42:03", '
    '"hangup_time": "2019-12-03 11:42:06", "src": "1102", "src_user_id": 6, "dst": "36301234576", '
    '"dst_user_id": null, "exten": "1102", "duration": 10, "billsec": 3, "ringtime": 2, '
    '"pincode": "private", "ivr_digits": null, "cc_call": -1, '
    '"monitor_file_name": "76355_vipexextern_demo_vipex_1102_363012…", '
    '"monitor_file": "UklGRr52DgBXQVZFZm10…", "price": 1.25, "cost_location": "12", "sub_cdrs": []}'
)
INBOUND = (
    '{"id": 91059, "direction": 1, "start_time": "2019-12-03 12:14:11", '
    '"answer_time": "2019-12-03 12:14:23", '
    '"hangup_time": "2019-12-03 12:14:27", "src": "3642999425", "src_user_id": null, "dst": "3642999408", '
    '"dst_user_id": null, "exten": "200", "duration": 16, "billsec": 4, "ringtime": 12, "pincode": null, '
    '"ivr_digits": "1,2", "cc_call": null, "monitor_file_name": null, "sub_cdrs": ['
    '{"id": 91060, "direction": 2, "start_time": "2019-12-03 12:14:11", "answer_time": null, '
    '"hangup_time": "2019-12-03 12:14:15", "src": "3642999425", "src_user_id": null, "dst": "3642999408", '
    '"dst_user_id": null, "exten": "200", "duration": 4, "billsec": 0, "ringtime": 4, "pincode": null, '
    '"ivr_digits": "1,2", "cc_call": null, "monitor_file_name": null}, '
    '{"id": 91062, "direction": 2, "start_time": "2019-12-03 12:14:15", "answer_time": null, '
    '"hangup_time": "2019-12-03 12:14:15", "src": "3642999425", "src_user_id": null, "dst": "221", '
    '"dst_user_id": null, "exten": "221", "duration": 0, "billsec": 0, "ringtime": 0, "pincode": null, '
    '"ivr_digits": null, "cc_call": 18, "monitor_file_name": null}, '
    '{"id": 91064, "direction": 1, "start_time": "2019-12-03 12:14:15", '
    '"answer_time": "2019-12-03 12:14:23", '
    '"hangup_time": "2019-12-03 12:14:27", "src": "3642999425", "src_user_id": null, "dst": "251", '
    '"dst_user_id": null, "exten": "251", "duration": 12, "billsec": 4, "ringtime": 8, "pincode": null, '
    '"ivr_digits": null, "cc_call": 18, "monitor_file_name": "91064_vipex_demo_3642999425_251….mp3", '
    '"monitor_file": "BQAGAACACAAIAAKACgAKAAS…"}]}'
)

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
