"""The examples of the API's description: one bridge's day, told alike in every operation."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from vipex_bridge.render.fields import call_end_fields
from vipex_bridge.render.sample import inbound_document
from vipex_bridge.render.schema import schema_of
from vipex_bridge.server.calls_api import EVERYTHING, without_audio

CALL: dict[str, Any] = {
    "id": 1042,
    "node": "pbx1",
    "state": "told",
    "direction": 1,
    "src": "3642999425",
    "dst": "3642999408",
    "exten": "251",
    "started_at": "2026-11-23T14:05:12.000+01:00",
    "ended_at": "2026-11-23T14:06:30.412+01:00",
}
CALLS = {"calls": [CALL], "next": "before-1042"}

DELIVERY: dict[str, Any] = {
    "id": 5120,
    "idempotency_key": "1f0c1e8a5b7d4c35a2f9c0de63b1a7f4",
    "node": "pbx1",
    "client": "billing",
    "kind": "call_end",
    "event": "call_end",
    "call_id": 1042,
    "status": "delivered",
    "created_at": "2026-11-23T14:06:33.518+01:00",
    "next_attempt_at": None,
    "finished_at": "2026-11-23T14:06:33.561+01:00",
    "error": None,
    "tries": [
        {
            "started_at": "2026-11-23T14:06:33.524+01:00",
            "elapsed_ms": 37,
            "status_code": 200,
            "outcome": "delivered",
            "error": None,
            "answer": '{"stored": true}',
        }
    ],
}
DELIVERIES = {"deliveries": [DELIVERY], "next": "before-5120"}
DELIVERY_WITH_REQUEST = {
    **DELIVERY,
    "request": {
        "method": "POST",
        "url": "https://billing.example.com/cdr",
        "headers": [["Content-Type", "application/json"], ["Authorization", "********"]],
        "body": '{"id": 1042, "direction": 1}',
    },
}
RESEND = {"failed_since": 1795409430}
RESENT = {"queued": 1}

CLIENT: dict[str, Any] = {
    "name": "billing",
    "kind": "call_end",
    "deliveries": {
        "state": "active",
        "paused_since": None,
        "waiting": 0,
        "failed": 2,
        "oldest_waiting": None,
        "next_attempt_at": None,
    },
    "configuration": [
        {"key": "kind", "value": "call_end"},
        {"key": "url", "value": "https://billing.example.com/cdr"},
        {"key": "basic_auth", "value": "vipex:********"},
    ],
}
CONFIGURATION = {"clients": [CLIENT], "bridge": [{"key": "node", "value": "pbx1"}]}
TEST = {"event": "answer"}
TESTED = {
    "is_well": True,
    "sent": 'POST https://crm.example.com/calls\nContent-Type: application/json\n\n{"src": "36709676052"}',
    "status_code": 200,
    "elapsed_ms": 37,
    "came": "Content-Type: application/json\n\n{}",
    "fault": "",
    "verdict": "",
    "variables": [],
}

LINK_WANTED = {"valid_s": 3600}
LINK = {
    "url": "https://pbx.example.com/api/v1/recordings/vipex3f1c5a0d9b7e4c62a1d08e5f7b9c2d41"
    f"?expires=1795409430&signature={'0' * 64}",
    "expires_at": 1795409430,
}

HEALTH = {
    "well": False,
    "ami": {"well": True, "says": "connected"},
    "cdr": {"well": True, "says": "well"},
    "store": {"well": False, "says": "/var/lib/vipex-bridge/state.db: the disk is full: make room"},
}

OF = {
    "CallPage": CALLS,
    "CallSummary": CALL,
    "ClientShown": CLIENT,
    "Configuration": CONFIGURATION,
    "DeliveryDetail": DELIVERY_WITH_REQUEST,
    "DeliveryPage": DELIVERIES,
    "DeliverySummary": DELIVERY,
    "Health": HEALTH,
    "Link": LINK,
    "LinkWanted": LINK_WANTED,
    "Problem": {"detail": "there is no call 1042"},
    "ResendWanted": RESEND,
    "Resent": RESENT,
    "TestWanted": TEST,
    "Tested": TESTED,
}
"""The name of each schema in the description, and its example."""


def put_in(description: dict[str, Any]) -> None:
    """Give the schemas of an OpenAPI description their examples. FastAPI itself would leave nulls out."""
    schemas = description["components"]["schemas"]
    for name, example in OF.items():
        schemas[name]["examples"] = [example]
    schemas["Call"] = _call()


def _call() -> dict[str, Any]:
    """A finished call as it is sent, without audio: the schema of what clients get, and its example."""
    schema = schema_of("call_end")
    zone = ZoneInfo("Europe/Budapest")
    fields = without_audio(call_end_fields(inbound_document(zone), zone, EVERYTHING))
    kept = {name: schema[name] for name in ("title", "type", "required", "properties")}
    return {**kept, "examples": [fields]}
