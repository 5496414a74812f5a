"""From a call's record to the request that tells it: what every fuzzed record must stand."""

from __future__ import annotations

import json
from itertools import count
from zoneinfo import ZoneInfo

from vipex_bridge.calls.document import from_json, to_json
from vipex_bridge.calls.numbering import Numbering
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tree import build, numbered, recordings
from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS, Client
from vipex_bridge.deliver.fill import masked
from vipex_bridge.errors import RenderError
from vipex_bridge.render.escape import sound
from vipex_bridge.render.fields import call_end_fields
from vipex_bridge.render.requests import render

NUMBERING = Numbering(("PJSIP/trunk*",))
ZONE = ZoneInfo("Europe/Budapest")
BILLING = Client(
    "b", "call_end", "https://b.example/", "POST", PARAMETERS["call_end"], sub_parameters=SUB_PARAMETERS
)


def tell(record: CallRecord) -> None:
    """Journals the record, tells the call, and reads both back; asserts that nothing is lost or added."""
    journalled = json.dumps(record.to_dict(), allow_nan=False)
    assert CallRecord.from_dict(json.loads(journalled)).to_dict() == record.to_dict()
    if not record.is_over():
        return
    document = build(record, NUMBERING, lambda *_: None)
    if document is None:
        return
    paths = recordings(document)
    document = numbered(
        document, 1, [leg_id for leg_id, _ in enumerate(document.all_legs, 2)], [f"r{path}" for path in paths]
    )
    assert from_json(to_json(document)) == document
    tokens = count()
    try:
        fields = call_end_fields(document, ZONE, BILLING)
        request = render(BILLING, fields, "call_end", {}, lambda: f"vipex{next(tokens):032d}")
    except RenderError:
        return
    told = json.loads((masked(request, BILLING).body or "").encode())
    assert list(told) == list(PARAMETERS["call_end"])
    for name in ("src", "dst", "ivr_digits", "custom_field"):
        field = fields[name]
        assert told[name] == (sound(field) if isinstance(field, str) else field)
