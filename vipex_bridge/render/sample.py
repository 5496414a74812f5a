"""Sample calls: the client documentation's own examples, for `render`, `try`, checks and tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from vipex_bridge.calls.document import CallDocument, CallView, Direction, Kind, Part, Recording
from vipex_bridge.config.settings import Client
from vipex_bridge.render.fields import call_end_fields, notify_fields
from vipex_bridge.render.numbers import NUMBERS

CALL_ID = 91000
EXTEN = "252"
_LONGEST_EXTEN = len("1102")
EXTEN_EVENTS = frozenset({"ringing", "answer"})
"""The events of a notification that name an extension (client documentation)."""

_FOLDER = "/var/spool/asterisk/monitor/2019/12/03"


def sample_fields(client: Client, event: str | None, timezone: ZoneInfo) -> dict[str, object]:
    """Give the fields of a sample call for this client: its kind decides which of the examples.

    `event` is the notification's; only `ringing` and `answer` bring an `exten`.
    """
    if client.kind == "call_end":
        return call_end_fields(inbound_document(timezone), timezone, client)
    exten = EXTEN if event in EXTEN_EVENTS else None
    view = replace(ringing_view(timezone), ivr_digits="2,1,4", queue="18", custom_field="VIP")
    return notify_fields(CALL_ID, view, exten, timezone, client.cc_call)


def samples(client: Client, event: str | None, timezone: ZoneInfo) -> Iterator[dict[str, object]]:
    """Give the samples of which one must do for this client: in a call from inside `src` is an extension."""
    yield sample_fields(client, event, timezone)
    if client.kind == "call_end" and client.directions == {0}:
        yield call_end_fields(outgoing_document(timezone), timezone, client)


def with_plus(fields: Mapping[str, object]) -> dict[str, object]:
    """Give the same sample with the outside numbers as many trunks send them: `+3642999425`."""
    changed = dict(fields)
    for name, value in fields.items():
        if name in NUMBERS and isinstance(value, str) and len(value) > _LONGEST_EXTEN:
            changed[name] = f"+{value}"
        elif name == "sub_cdrs" and isinstance(value, list):
            changed[name] = [with_plus(part) for part in value]
    return changed


def ringing_view(timezone: ZoneInfo) -> CallView:
    """Give the documentation's example of a notification, as a live call."""
    return CallView(
        key="sample",
        kind=Kind.INBOUND,
        start_time=_at("2019-12-02 12:46:17", timezone),
        src="36709676052",
        dst="3619996000",
    )


def outgoing_document(timezone: ZoneInfo) -> CallDocument:
    """Give the documentation's outgoing example as a finished call."""
    main = Part(
        id=76355,
        direction=Direction.OUTBOUND,
        start_time=_at("2019-12-03 11:41:56", timezone),
        answer_time=_at("2019-12-03 11:42:03", timezone),
        hangup_time=_at("2019-12-03 11:42:06", timezone),
        src="1102",
        src_user_id=6,
        dst="36301234576",
        dst_user_id=None,
        exten="1102",
        duration=10,
        billsec=3,
        ringtime=2,
        pincode="private",
        recording=Recording(f"{_FOLDER}/76355_vipexextern_demo_vipex_1102_363012…", "r76355"),
    )
    return CallDocument(
        main=main,
        kind=Kind.OUTBOUND,
        price=Decimal("1.25"),
        cost_location="12",
        custom_field=None,
        other_party_number="36301234576",
        last_exten="1102",
        user_number=None,
        in_queue=False,
        extens=("1102",),
    )


def inbound_document(timezone: ZoneInfo) -> CallDocument:
    """Give the documentation's inbound example: an IVR, then three extensions tried."""
    start, moved = _at("2019-12-03 12:14:11", timezone), _at("2019-12-03 12:14:15", timezone)
    answered, ended = _at("2019-12-03 12:14:23", timezone), _at("2019-12-03 12:14:27", timezone)
    main = Part(
        id=91059,
        direction=Direction.INBOUND,
        start_time=start,
        answer_time=answered,
        hangup_time=ended,
        src="3642999425",
        src_user_id=None,
        dst="3642999408",
        dst_user_id=None,
        exten="200",
        duration=16,
        billsec=4,
        ringtime=12,
        ivr_digits="1,2",
    )
    recording = Recording(f"{_FOLDER}/91064_vipex_demo_3642999425_251….mp3", "r91064")
    missed = replace(main, direction=Direction.MISSED, answer_time=None, hangup_time=moved, billsec=0)
    first = replace(missed, id=91060, duration=4, ringtime=4)
    tried = replace(missed, start_time=moved, ivr_digits=None, queue="18")
    second = replace(tried, id=91062, dst="221", exten="221", duration=0, ringtime=0)
    taken = replace(main, start_time=moved, ivr_digits=None, queue="18", recording=recording)
    third = replace(taken, id=91064, dst="251", exten="251", duration=12, ringtime=8)
    return CallDocument(
        main=main,
        kind=Kind.INBOUND,
        price=None,
        cost_location=None,
        custom_field=None,
        other_party_number="3642999425",
        last_exten="251",
        user_number="251",
        in_queue=True,
        extens=("200", "221", "251"),
        queues=("18",),
        legs=(first, second, third),
        all_legs=(first, second, third),
    )


def _at(local: str, timezone: ZoneInfo) -> float:
    return datetime.strptime(local, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone).timestamp()
