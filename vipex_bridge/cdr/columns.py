"""One record of a CDR source, by column name, to a `CdrRow`. Pure.

A time that the clock showed twice is told apart by what else the row knows: its length, and the epoch
in its uniqueid, which is when party A's channel was created (call trees, section 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from vipex_bridge.calls.rows import CdrRow, uniqueid_epoch
from vipex_bridge.cdr.times import Instants, is_on_calendar, meant, nearest, not_before, text_of
from vipex_bridge.config.presets import TEXT_TIME
from vipex_bridge.errors import SourceError

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
_FIRST_TOO_LARGE = 2.0**63
"""Of the numbers that no database takes."""


def to_row(values: Mapping[str, object], timezone: ZoneInfo, time_format: str = TEXT_TIME) -> CdrRow:
    """Give the row that `values` (our column name -> what the source holds) stands for.

    A column that the source lacks is no key of `values`. Without `end` (FreePBX) a row ends `duration`
    seconds after its start, and the reverse; without `answer`, one that was ANSWERED was so `billsec`
    seconds before its end. Raises SourceError when the row cannot be a call's: no uniqueid or channel,
    no time, or a number or time that is none, or larger than can be kept or told.
    """
    uniqueid = text_of(values.get("uniqueid")).strip()
    channel = text_of(values.get("channel")).strip()
    if not uniqueid or not channel:
        raise SourceError(f"a CDR row has no {'channel' if uniqueid else 'uniqueid'}: it is left out")
    duration = _seconds(values, "duration")
    billsec = _seconds(values, "billsec")
    disposition = _disposition(values.get("disposition"))
    written = {
        column: _instants(values, column, timezone, time_format) for column in ("start", "answer", "end")
    }
    start, answer, end = _times(values, written, duration, billsec, disposition)
    _check_lengths(start, answer, end, duration, timezone)
    sequence = _number(values, "sequence")
    return CdrRow(
        uniqueid=uniqueid,
        linkedid=text_of(values.get("linkedid")).strip(),
        channel=channel,
        dstchannel=text_of(values.get("dstchannel")).strip(),
        start=start,
        answer=answer,
        end=end,
        duration=duration,
        billsec=billsec,
        disposition=disposition,
        src=text_of(values.get("src")),
        dst=text_of(values.get("dst")),
        clid=text_of(values.get("clid")),
        dcontext=text_of(values.get("dcontext")),
        lastapp=text_of(values.get("lastapp")),
        lastdata=text_of(values.get("lastdata")),
        accountcode=text_of(values.get("accountcode")),
        peeraccount=text_of(values.get("peeraccount")),
        userfield=text_of(values.get("userfield")),
        sequence=None if sequence is None else int(sequence),
        ivr_digits=_optional(values, "ivr_digits"),
        custom_field=_optional(values, "custom_field"),
        pincode=_optional(values, "pincode"),
        cost_location=_optional(values, "cost_location"),
        cc_call=_optional(values, "cc_call"),
        recordingfile=_optional(values, "recordingfile"),
        did=_optional(values, "did"),
    )


# -- times ----------------------------------------------------------------------------------


def _times(
    values: Mapping[str, object],
    written: Mapping[str, Instants],
    duration: int,
    billsec: int,
    disposition: str,
) -> tuple[float | None, float | None, float | None]:
    """Start, answer and end: as they are written, else by the lengths. Raises SourceError without any."""
    created = uniqueid_epoch(text_of(values.get("uniqueid")).strip())
    start, end = _span(written["start"], written["end"], duration, created)
    if start is None and end is None:
        raise SourceError("a CDR row has neither start nor end: it is left out")
    if "end" not in values and start is not None:
        end = start + duration
    if "start" not in values and end is not None:
        start = end - duration
    answer = _answer(written["answer"], start, end, billsec)
    if "answer" not in values and disposition == "ANSWERED" and end is not None:
        answer = end - billsec
    return start, answer, end


def _span(
    starts: Instants, ends: Instants, duration: int, created: float | None
) -> tuple[float | None, float | None]:
    """The start and the end meant, the plain one of the two deciding the other."""
    if len(starts) == 2 and len(ends) == 1:
        start: float | None = nearest(starts, ends[0] - duration)
    else:
        start = not_before(starts, created)
    if not ends:
        return start, None
    return start, ends[0] if start is None else nearest(ends, start + duration)


def _answer(answers: Instants, start: float | None, end: float | None, billsec: int) -> float | None:
    if not answers:
        return None
    if end is not None:
        return nearest(answers, end - billsec)
    return nearest(answers, start) if start is not None else answers[0]


def _check_lengths(
    start: float | None, answer: float | None, end: float | None, duration: int, timezone: ZoneInfo
) -> None:
    """Raises SourceError when a time that follows from a length is none."""
    first = end - duration if start is None and end is not None else start
    last = start + duration if end is None and start is not None else end
    for moment in (first, answer, last):
        if moment is not None and not is_on_calendar(moment, timezone):
            raise SourceError("a CDR row's duration or billsec is too large for a call: correct the row")


def _instants(values: Mapping[str, object], column: str, timezone: ZoneInfo, time_format: str) -> Instants:
    value = values.get(column)
    try:
        return meant(value, timezone, time_format)
    except (ValueError, OverflowError, OSError):
        raise SourceError(
            f"a CDR row's {column} {_shown(value)} is no time: correct asterisk.cdr.time_format or the row"
        ) from None


# -- numbers and texts ----------------------------------------------------------------------


def _number(values: Mapping[str, object], column: str) -> float | None:
    value = values.get(column)
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, int | float) else float(text_of(value))
        int(number)  # neither infinite nor NaN
    except (ValueError, OverflowError):
        raise SourceError(f"a CDR row's {column} {_shown(value)} is no number: correct the row") from None
    if not -_FIRST_TOO_LARGE <= number < _FIRST_TOO_LARGE:
        raise SourceError(f"a CDR row's {column} {_shown(value)} is too large: correct the row")
    return number


def _seconds(values: Mapping[str, object], column: str) -> int:
    """Whole seconds, 0 when unset. A clock set back during the call makes them negative: 0 as well."""
    return max(int(_number(values, column) or 0), 0)


def _disposition(value: object) -> str:
    text = text_of(value).strip().upper()
    return _DISPOSITIONS.get(text, text)


def _optional(values: Mapping[str, object], column: str) -> str | None:
    return text_of(values[column]) if column in values else None


def _shown(value: object) -> str:
    return ascii(text_of(value)[:40])
