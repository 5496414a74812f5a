"""A server's times as they are in the column: moved, compared with now, and kept as JSON. Pure.

The column may hold times of the day's clock, times with a zone, seconds since the epoch, or text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from vipex_bridge.cdr.times import text_of
from vipex_bridge.config.presets import TEXT_TIME
from vipex_bridge.errors import SourceError

Moment = Any
"""A time as the server gives and takes it: datetime, a number, or text that sorts as time does."""


def at(epoch: float, like: Moment, timezone: ZoneInfo) -> Moment:
    """That instant as the column would hold it, which holds `like`. Raises SourceError for no time."""
    if isinstance(like, datetime):
        local = datetime.fromtimestamp(epoch, timezone)
        return local if like.tzinfo is not None else local.replace(tzinfo=None)
    if isinstance(like, int | float | Decimal):
        return int(epoch)
    _clock(like)
    return datetime.fromtimestamp(epoch, timezone).strftime(TEXT_TIME)


def earlier(moment: Moment, by_s: float) -> Moment:
    """The moment that many seconds before. Raises SourceError for no time."""
    if isinstance(moment, datetime):
        return moment - timedelta(seconds=by_s)
    if isinstance(moment, int | float | Decimal):
        return int(moment) - int(by_s)
    return (_clock(moment) - timedelta(seconds=by_s)).strftime(TEXT_TIME)


def as_json(moment: Moment) -> object:
    """For the store."""
    if isinstance(moment, datetime):
        return moment.isoformat(" ")
    return float(moment) if isinstance(moment, Decimal) else moment


def from_json(kept: object, like: Moment) -> Moment:
    """What `as_json` gave, as the column holds it now; `like` itself when the column was changed since."""
    try:
        if isinstance(like, datetime):
            moment = datetime.fromisoformat(str(kept))
            if like.tzinfo is None:
                return moment.replace(tzinfo=None)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except ValueError:
        return like
    if isinstance(like, int | float | Decimal):
        return kept if isinstance(kept, int | float) else like
    return kept if isinstance(kept, str) else like


def _clock(moment: Moment) -> datetime:
    text = text_of(moment).strip()
    try:
        return datetime.strptime(text, TEXT_TIME)
    except ValueError:
        raise SourceError(
            f"the CDR table's start is text like {text[:40]!a}, which does not sort as time does: "
            "let Asterisk write it to a date-and-time column, or as YYYY-MM-DD HH:MM:SS"
        ) from None
