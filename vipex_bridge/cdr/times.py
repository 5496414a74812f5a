"""What a time written in a source means, as seconds since the epoch. Pure.

The hour that autumn repeats (and the one that spring leaves out) has two meanings; what else is known
decides: an expected moment, or that nothing happens before its channel is there (call trees, section 7).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from vipex_bridge.config.presets import TEXT_TIME

_EPOCH_TEXT = re.compile(r"\d{9,11}(?:\.\d+)?", re.ASCII)
_UNSET_TIMES = ("", "0", "0000-00-00", "0000-00-00 00:00:00")

_CLOCK_SLACK_S = 2.0
"""How much earlier than its channel a row may seem to start: both are cut to whole seconds."""

_DOUBTED_S = 86_400.0
"""A uniqueid's epoch further from the row's start than this was not the time: it was assigned."""

_SURELY_ON_CALENDAR = 2.0**37
"""Every moment from the epoch up to this one, in whatever zone: the year 6325."""

Instants = tuple[float, ...]
"""What a written time may mean, earliest first: one instant, or two around a change of the clock."""


def meant(value: object, timezone: ZoneInfo, time_format: str = TEXT_TIME) -> Instants:
    """The instants that a column's value may mean, none when it is unset.

    Raises ValueError, OverflowError or OSError when it is no time, or one that the zone's calendar lacks.
    """
    instants = _meant(value, timezone, time_format)
    if not all(is_on_calendar(instant, timezone) for instant in instants):
        raise ValueError("outside the calendar")
    return instants


def is_on_calendar(moment: float, timezone: ZoneInfo) -> bool:
    """Whether it can be told as a date and time of that zone."""
    if 0 <= moment < _SURELY_ON_CALENDAR:
        return True
    try:
        datetime.fromtimestamp(math.floor(moment), UTC).astimezone(timezone)
    except (ValueError, OverflowError, OSError):
        return False
    return True


def _meant(value: object, timezone: ZoneInfo, time_format: str) -> Instants:
    if value is None:
        return ()
    if isinstance(value, datetime):
        return _on_the_clock(value, timezone)
    if isinstance(value, int | float):
        return _at_epoch(float(value))
    text = text_of(value).strip()
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


def nearest(instants: Instants, expected: float) -> float:
    """The one of the instants that is closest to what is expected."""
    return min(instants, key=lambda instant: abs(instant - expected))


def not_before(instants: Instants, created: float | None) -> float | None:
    """The first of the instants at which the channel was there already."""
    if not instants:
        return None
    if created is None or abs(created - instants[0]) > _DOUBTED_S:
        return instants[0]
    return next((i for i in instants if i >= created - _CLOCK_SLACK_S), instants[-1])


def text_of(value: object) -> str:
    """What a column holds as text, '' when it is unset."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
