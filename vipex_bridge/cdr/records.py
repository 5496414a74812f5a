"""What a look at a CDR source gives, and what all sources do alike with a record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from vipex_bridge.calls.rows import CdrRow, uniqueid_epoch
from vipex_bridge.cdr.columns import to_row
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

REQUIRED = ("uniqueid", "channel")
"""Columns without which a source is refused (call trees, section 8)."""
_DAY_IN_NAME = re.compile(r"-(20\d\d)([01]\d)([0-3]\d)-\d{6}-", re.ASCII)
"""As in `in-3619996251-36709676052-20261123-093030-1795422630.7.wav`."""
_WITHOUT = {
    "linkedid": "calls are put together by uniqueid and channel names alone",
    "sequence": "rows of one channel are told apart by their times, lengths and outcomes",
    "dstchannel": "who was called is not known without AMI",
    "start": "start times are end - duration, a second off",
    "answer": "answer times are end - billsec, a second off",
    "end": "end times are start + duration, a second off",
    "ivr_digits": "the CDR gives no IVR digits",
    "custom_field": "the CDR gives no labels",
    "pincode": "the CDR gives no PIN kind",
    "cost_location": "the CDR gives no cost centre",
    "cc_call": "the CDR gives no call-centre mark",
    "recordingfile": "recordings are known by AMI alone",
}

_REMEMBERED = 10_000
_QUARTER_S = 900
_SAME_S = 5.0
"""How much later than its channel a row begins at the most that begins with it."""
_MOST_QUARTERS = 27 * 4
"""No two zones are further apart."""

_SURELY, _SURELY_FEW = 3, 2
"""Of so many calls the rows must agree on another zone; of fewer, all."""
LOOKED_AT = 10
"""Of so many newest rows the zone is judged."""

_Record = TypeVar("_Record")

Cursor = dict[str, Any]
"""How far a source has been read, as JSON-able values; `source` in it names the source it belongs to."""


Sift = Callable[[Collection[str]], Collection[str]]
"""Takes the uniqueids of some rows and gives those that are of interest."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be a call's."""

    uniqueid: str
    why: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one look at a source gave. `cursor` is where the next look begins."""

    cursor: Cursor
    rows: list[CdrRow]
    bad: list[BadRow]
    more: bool = False
    """Whether there may be more rows at once."""
    restarted: bool = False
    """Whether another table is in the source's place, so that it was read anew."""
    moved: str = ""
    """The file that was moved away from the source's place, when this was read from such a one."""

    @property
    def has_news(self) -> bool:
        """Whether anything new was found."""
        return bool(self.rows or self.bad or self.more)


def lacking(have: Collection[str], source: str) -> list[str]:
    """One line for each column (our names) that is not among those the source has, and what follows."""
    return [
        f"{source} has no column {ours}: {effect}" for ours, effect in _WITHOUT.items() if ours not in have
    ]


def in_another_zone(rows: Iterable[CdrRow | BadRow], source: str, timezone: ZoneInfo, mend: str) -> list[str]:
    """A line when the newest rows' starts are of another time zone, by the epochs in their uniqueids.

    `mend` is what to do in Asterisk. Zones are whole quarters of an hour apart. A row may begin so much
    later than its channel by chance (a call that was parked), but not those of several calls.
    """
    each = {row.uniqueid: off for row in rows if isinstance(row, CdrRow) and (off := _off_s(row)) is not None}
    if not each:
        return []
    [(quarters, agree)] = Counter(map(_quarters, each.values())).most_common(1)
    if not quarters or agree < max(_SURELY_FEW, min(_SURELY, len(each))):
        return []
    minutes = abs(quarters) * 15
    apart = f"{minutes // 60}:{minutes % 60:02d} h {'ahead of' if quarters > 0 else 'behind'}"
    return [
        f"{source} has times of another zone than {timezone} (the newest rows are {apart} their uniqueids): "
        f"{mend}, or correct `timezone`"
    ]


def _off_s(row: CdrRow) -> float | None:
    """How much later than its channel the row begins; None where that is not known."""
    made = uniqueid_epoch(row.uniqueid)
    return row.start - made if made is not None and row.start is not None else None


def _quarters(off_s: float) -> int | None:
    """So many quarters of an hour; None when it is none of zones."""
    quarters = round(off_s / _QUARTER_S)
    is_of_zones = abs(off_s - quarters * _QUARTER_S) <= _SAME_S and abs(quarters) < _MOST_QUARTERS
    return quarters if is_of_zones else None


def row_of(values: Mapping[str, object], options: Cdr, timezone: ZoneInfo) -> CdrRow | BadRow:
    """The row that a record (our column name -> what the source holds) stands for."""
    try:
        row = to_row(values, timezone, options.time_format)
    except SourceError as error:
        return BadRow(str(values.get("uniqueid") or ""), str(error))
    if row.recordingfile and (options.preset == "freepbx" or _DAY_IN_NAME.search(row.recordingfile)):
        return replace(row, recordingfile=in_folder_of_day(row.recordingfile, start_of(row), timezone))
    return row


def in_folder_of_day(name: str, start: float, timezone: ZoneInfo) -> str:
    """FreePBX's recording, of which the CDR has the bare name, as it lies below the recordings' folder.

    The day in the name is that of its folder; a name without one lies in that of the call's start.
    """
    if "/" in name:
        return name
    day = _DAY_IN_NAME.search(name)
    folder = "/".join(day.groups()) if day else datetime.fromtimestamp(start, timezone).strftime("%Y/%m/%d")
    return f"{folder}/{name}"


class Likes:
    """Numbers rows without a sequence that are each other's like, in the order in which they are given."""

    def __init__(self) -> None:
        self._counts: dict[object, int] = {}

    def numbered(self, row: CdrRow | BadRow) -> CdrRow | BadRow:
        """The row with its number; likes stand close together, so only the latest rows are remembered."""
        if isinstance(row, BadRow) or row.sequence is not None:
            return row
        before = self._counts.pop(row.key, 0)
        self._counts[row.key] = before + 1
        if len(self._counts) > _REMEMBERED:
            del self._counts[next(iter(self._counts))]
        return replace(row, occurrence=before) if before else row


def rows_at(
    places: Sequence[int], records: Sequence[_Record], row_of: Callable[[_Record], CdrRow | BadRow]
) -> list[CdrRow | BadRow]:
    """The rows of the records at those places, which are new: numbered behind their likes at the others."""
    found = [row_of(records[place]) for place in places]
    likes = Likes()
    if any(isinstance(row, CdrRow) and row.sequence is None for row in found):
        for place in sorted(set(range(len(records))).difference(places)):
            likes.numbered(row_of(records[place]))
    return [likes.numbered(row) for row in found]


def start_of(row: CdrRow) -> float:
    """When the row's span began, epoch seconds."""
    return row.start if row.start is not None else (row.end or 0.0) - row.duration


def end_of(row: CdrRow) -> float:
    """When the row's span was over, epoch seconds."""
    return row.end if row.end is not None else start_of(row) + row.duration
