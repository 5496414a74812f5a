"""Wire values: what is known of a call, by parameter name, as the client documentation writes it.

Times are local text, ids, seconds and the price are numbers, telephone numbers, digits and labels are
text, what is not known is None. A recording is only named here; its bytes come at each try.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from vipex_bridge.calls.document import CallDocument, CallView, Kind, Part, Recording
from vipex_bridge.config.settings import SUB_PARAMETERS, Client
from vipex_bridge.errors import RenderError

_FLAG_OFF = frozenset({"", "0", "no", "false"})
_OUTGOING = -1
_MAX_INTEGER_DIGITS = 18


@dataclass(frozen=True, slots=True)
class RecordingMark:
    """Stands where a recording's bytes belong; `path` is the recording's as Asterisk named it."""

    path: str


def notify_fields(
    call_id: int | None, view: CallView, exten: str | None, timezone: ZoneInfo, cc_call: str
) -> dict[str, object]:
    """Give the parameters of a notification or a lookup, in the documentation's order.

    `exten` is the extension that rings or answered; None leaves the key out, as the client documentation
    has it only for those two. `cc_call` is the client's mode, `flag` or `queue` (contract, section 2).
    Raises RenderError for a time that no calendar holds.
    """
    exten_field: dict[str, object] = {} if exten is None else {"exten": exten}
    return {
        "id": call_id,
        "start_time": local_time(view.start_time, timezone),
        "src": view.src,
        "dst": view.dst,
        **exten_field,
        "ivr_digits": view.ivr_digits,
        "cc_call": _cc_call(cc_call, view.cc_call, view.queue, view.queue is not None, view.kind),
        "custom_field": view.custom_field,
    }


def call_end_fields(
    document: CallDocument, timezone: ZoneInfo, client: Client, *, has_sound: bool = True
) -> dict[str, object]:
    """Give every parameter of `call_end`, in the documentation's order; `sub_cdrs` is a list of dicts.

    Honours the client's `cc_call` and `parallel_legs`; which parameters are sent is chosen later.
    A `monitor_file` is a RecordingMark or None; without `has_sound` all are None, because the recordings
    follow in a delivery of their own. Raises RenderError for a time that no calendar holds.
    """
    main = document.main
    legs = document.all_legs if client.parallel_legs == "all" else document.legs
    common = _part_fields(main, timezone, has_sound=has_sound)
    common["cc_call"] = _cc_call(client.cc_call, main.cc_call, main.queue, document.in_queue, document.kind)
    recording_name, recording = common.pop("monitor_file_name"), common.pop("monitor_file")
    return {
        **common,
        "price": _number(document.price),
        "cost_location": document.cost_location,
        "monitor_file_name": recording_name,
        "monitor_file": recording,
        "main_reference_id": (main.recording.reference or None) if main.recording else None,
        "custom_field": document.custom_field,
        "other_party_number": document.other_party_number,
        "last_exten": document.last_exten,
        "user_number": document.user_number,
        "sub_cdrs": _legs_fields(legs, document.kind, timezone, client.cc_call, has_sound=has_sound),
    }


def chosen_parts(fields: Mapping[str, object], client: Client) -> dict[str, object]:
    """Give `fields` with each element of `sub_cdrs` cut down to the client's `sub_parameters`.

    They come in the order configured. Without any, the parts get what `parameters` selects
    (contract, section 2).
    """
    legs = fields.get("sub_cdrs")
    if not isinstance(legs, list):
        return dict(fields)
    chosen = client.sub_parameters or tuple(name for name in client.parameters if name in SUB_PARAMETERS)
    return {**fields, "sub_cdrs": [{name: leg[name] for name in chosen if name in leg} for leg in legs]}


def local_time(at: float, timezone: ZoneInfo) -> str:
    """Give `YYYY-MM-DD hh:mm:ss`, whole seconds cut off. Raises RenderError outside the calendar."""
    try:
        moment = datetime.fromtimestamp(math.floor(at), UTC).astimezone(timezone)
    except (ValueError, OverflowError, OSError):
        raise RenderError(
            f"{at!r} is no time of this calendar: see where the call's times come from"
        ) from None
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _legs_fields(
    legs: Iterable[Part], kind: Kind, timezone: ZoneInfo, mode: str, *, has_sound: bool
) -> list[dict[str, object]]:
    told = []
    for leg in legs:
        fields = _part_fields(leg, timezone, has_sound=has_sound)
        fields["cc_call"] = _cc_call(mode, leg.cc_call, leg.queue, leg.queue is not None, kind)
        told.append(fields)
    return told


def _part_fields(part: Part, timezone: ZoneInfo, *, has_sound: bool) -> dict[str, object]:
    """The fields that the main document and its parts share, `cc_call` still to be filled in."""
    answer_time = None if part.answer_time is None else local_time(part.answer_time, timezone)
    return {
        "id": part.id,
        "direction": int(part.direction),
        "start_time": local_time(part.start_time, timezone),
        "answer_time": answer_time,
        "hangup_time": local_time(part.hangup_time, timezone),
        "src": part.src,
        "src_user_id": part.src_user_id,
        "dst": part.dst,
        "dst_user_id": part.dst_user_id,
        "exten": part.exten,
        "duration": part.duration,
        "billsec": part.billsec,
        "ringtime": part.ringtime,
        "pincode": part.pincode,
        "ivr_digits": part.ivr_digits,
        "cc_call": None,
        "monitor_file_name": _file_name(part.recording),
        "monitor_file": RecordingMark(part.recording.path) if part.recording and has_sound else None,
    }


def _file_name(recording: Recording | None) -> str | None:
    return PurePosixPath(recording.path).name if recording else None


def _cc_call(mode: str, told: str | None, queue: str | None, in_queue: bool, kind: Kind) -> int | str | None:
    """Contract, section 2, `cc_call`; `told` is the dialplan's VIPEX_CC_CALL, which wins."""
    if mode == "flag":
        if told is not None:
            return int(told.strip().lower() not in _FLAG_OFF)
        return int(in_queue)
    if told is not None:
        return _queue_id(told.strip())
    if kind is Kind.OUTBOUND:
        return _OUTGOING
    return _queue_id(queue or "")


def _queue_id(text: str) -> int | str | None:
    """A queue's id: an integer where it is one (as -1 is), else its name; None for nothing."""
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_INTEGER_DIGITS:
        return int(text)
    return text or None


def _number(price: Decimal | None) -> int | float | None:
    """A price as a JSON number: 1.25 and 2, never 1.2500000000000001 or 2.0."""
    if price is None or not price.is_finite():
        return None
    whole = price.to_integral_value()
    return int(whole) if whole == price else float(price)
