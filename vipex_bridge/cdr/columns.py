"""One record of a CDR source, by column name, to a `CdrRow`. Pure.

Local times become seconds since the epoch here. The hour that autumn repeats (and the one that spring
leaves out) is told apart by what else the row knows: its length, and the epoch in its uniqueid, which
is when party A's channel was created (call trees, section 7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from vipex_bridge.calls.rows import CdrRow, uniqueid_epoch
from vipex_bridge.config.presets import TEXT_TIME
from vipex_bridge.errors import SourceError

_EPOCH_TEXT = re.compile(r"\d{9,11}(?:\.\d+)?", re.ASCII)
_UNSET_TIMES = ("", "0", "0000-00-00", "0000-00-00 00:00:00")

_DISPOSITIONS = {
    "0": "NO ANSWER",
    "1": "NO ANSWER",
    "2": "FAILED",
    "4": "BUSY",
    "8": "ANSWERED",
    "16": "CONGESTION",
    "32": "CANCEL",
}
"""Numbers of Asterisk's `enum ast_cdr_disposition`, for sources that keep it as a number."""

_CLOCK_SLACK_S = 2.0
"""How much earlier than its channel a row may seem to start: both are cut to whole seconds."""

_DOUBTED_S = 86_400.0
"""A uniqueid's epoch further from the row's start than this was not the time: it was assigned."""

Instants = tuple[float, ...]
"""What a written time may mean, earliest first: one instant, or two around a change of the clock."""


def to_row(values: Mapping[str, object], timezone: ZoneInfo, time_format: str = TEXT_TIME) -> CdrRow:
    """Give the row that `values` (our column name -> what the source holds) stands for.

    A column that the source lacks is no key of `values`. Without `end` (FreePBX) a row ends `duration`
    seconds after its start, and the reverse; without `answer`, one that was ANSWERED was so `billsec`
    seconds before its end. Raises SourceError when the row cannot be a call's: no uniqueid or channel,
    no time, or a number or time that is none.
    """
    uniqueid = _text(values.get("uniqueid")).strip()
    channel = _text(values.get("channel")).strip()
    if not uniqueid or not channel:
        raise SourceError(f"a CDR row has no {'channel' if uniqueid else 'uniqueid'}: it is left out")
    duration = _seconds(values, "duration")
    billsec = _seconds(values, "billsec")
    disposition = _disposition(values.get("disposition"))
    start, end = _span(
        _instants(values, "start", timezone, time_format),
        _instants(values, "end", timezone, time_format),
        duration,
        uniqueid_epoch(uniqueid),
    )
    if start is None and end is None:
        raise SourceError("a CDR row has neither start nor end: it is left out")
    if "end" not in values and start is not None:
        end = start + duration
    if "start" not in values and end is not None:
        start = end - duration
    answer = _answer(_instants(values, "answer", timezone, time_format), start, end, billsec)
    if "answer" not in values and disposition == "ANSWERED" and end is not None:
        answer = end - billsec
    sequence = _number(values, "sequence")
    return CdrRow(
        uniqueid=uniqueid,
        linkedid=_text(values.get("linkedid")).strip(),
        channel=channel,
        dstchannel=_text(values.get("dstchannel")).strip(),
        start=start,
        answer=answer,
        end=end,
        duration=duration,
        billsec=billsec,
        disposition=disposition,
        src=_text(values.get("src")),
        dst=_text(values.get("dst")),
        clid=_text(values.get("clid")),
        dcontext=_text(values.get("dcontext")),
        lastapp=_text(values.get("lastapp")),
        lastdata=_text(values.get("lastdata")),
        accountcode=_text(values.get("accountcode")),
        peeraccount=_text(values.get("peeraccount")),
        userfield=_text(values.get("userfield")),
        sequence=None if sequence is None else int(sequence),
        ivr_digits=_optional(values, "ivr_digits"),
        custom_field=_optional(values, "custom_field"),
        pincode=_optional(values, "pincode"),
        cost_location=_optional(values, "cost_location"),
        cc_call=_optional(values, "cc_call"),
        recordingfile=_optional(values, "recordingfile"),
    )


# -- times ----------------------------------------------------------------------------------


def _span(
    starts: Instants, ends: Instants, duration: int, created: float | None
) -> tuple[float | None, float | None]:
    """The start and the end meant, the plain one of the two deciding the other."""
    if len(starts) == 2 and len(ends) == 1:
        start: float | None = _nearest(starts, ends[0] - duration)
    else:
        start = _not_before(starts, created)
    if not ends:
        return start, None
    return start, ends[0] if start is None else _nearest(ends, start + duration)


def _answer(answers: Instants, start: float | None, end: float | None, billsec: int) -> float | None:
    if not answers:
        return None
    if end is not None:
        return _nearest(answers, end - billsec)
    return _nearest(answers, start) if start is not None else answers[0]


def _nearest(instants: Instants, expected: float) -> float:
    return min(instants, key=lambda instant: abs(instant - expected))


def _not_before(instants: Instants, created: float | None) -> float | None:
    """The first of the instants at which the channel was there already."""
    if not instants:
        return None
    if created is None or abs(created - instants[0]) > _DOUBTED_S:
        return instants[0]
    return next((i for i in instants if i >= created - _CLOCK_SLACK_S), instants[-1])


def _instants(values: Mapping[str, object], column: str, timezone: ZoneInfo, time_format: str) -> Instants:
    value = values.get(column)
    try:
        return _meant(value, timezone, time_format)
    except (ValueError, OverflowError, OSError):
        raise SourceError(
            f"a CDR row's {column} {_shown(value)} is no time: correct asterisk.cdr.time_format or the row"
        ) from None


def _meant(value: object, timezone: ZoneInfo, time_format: str) -> Instants:
    if value is None:
        return ()
    if isinstance(value, datetime):
        return _on_the_clock(value, timezone)
    if isinstance(value, int | float):
        return _at_epoch(float(value))
    text = _text(value).strip()
    if text in _UNSET_TIMES or text.startswith("0000-00-00"):
        return ()
    if _EPOCH_TEXT.fullmatch(text):
        return _at_epoch(float(text))
    if time_format != TEXT_TIME:
        return _on_the_clock(datetime.strptime(text, time_format), timezone)
    return _on_the_clock(datetime.fromisoformat(text), timezone)


def _at_epoch(seconds: float) -> Instants:
    if seconds == 0:
        return ()
    return (datetime.fromtimestamp(seconds, UTC).timestamp(),)


def _on_the_clock(local: datetime, timezone: ZoneInfo) -> Instants:
    if local.tzinfo is not None:
        return (local.timestamp(),)
    first, second = (local.replace(tzinfo=timezone, fold=fold).timestamp() for fold in (0, 1))
    return (first,) if first == second else (min(first, second), max(first, second))


# -- numbers and texts ----------------------------------------------------------------------


def _number(values: Mapping[str, object], column: str) -> float | None:
    value = values.get(column)
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, int | float) else float(_text(value))
        int(number)  # neither infinite nor NaN
    except (ValueError, OverflowError):
        raise SourceError(f"a CDR row's {column} {_shown(value)} is no number: correct the row") from None
    return number


def _seconds(values: Mapping[str, object], column: str) -> int:
    """Whole seconds, 0 when unset. A clock set back during the call makes them negative: 0 as well."""
    return max(int(_number(values, column) or 0), 0)


def _disposition(value: object) -> str:
    text = _text(value).strip().upper()
    return _DISPOSITIONS.get(text, text)


def _optional(values: Mapping[str, object], column: str) -> str | None:
    return _text(values[column]) if column in values else None


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def _shown(value: object) -> str:
    return ascii(_text(value)[:40])
