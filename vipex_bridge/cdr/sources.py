"""Where CDR rows come from: a SQLite file so far; other databases and CSV fit the same `Source`.

A source is opened for each look and closed again: the file may not exist yet, may be replaced, and must
never be kept locked, for Asterisk waits only its own `busy_timeout` and then drops the row. It is read
only, in short pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.columns import to_row
from vipex_bridge.cdr.rotation import moved_away
from vipex_bridge.cdr.sqlite import NothingYet, SqliteTable, path_of, rowid
from vipex_bridge.cdr.watermark import OVERLAP, Watermark, from_json
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

log = structlog.get_logger()

_REPLAY_ROWS = 1000
_OUT_OF_ORDER_S = 86_400.0
"""By how much a row may have ended later than another that was written after it: a call of a day."""

_REQUIRED = ("uniqueid", "channel")
_WITHOUT = {
    "linkedid": "calls are put together by uniqueid and channel names alone",
    "sequence": "rows of one channel are told apart by their times",
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
    """Whether the source's ids began anew, so that it was read from its beginning."""
    moved: str = ""
    """The file that was moved away from the source's place, when this was read from such a one."""

    @property
    def has_news(self) -> bool:
        """Whether anything new was found."""
        return bool(self.rows or self.bad or self.more)


class Source(Protocol):
    """A CDR source. Each method raises SourceError when the source cannot be read."""

    @property
    def name(self) -> str:
        """Which source this is: without secrets, the same after a restart."""

    def check(self) -> list[str]:
        """One line for each thing that the source lacks, and what follows; empty when it has all."""

    def newest(self) -> Cursor:
        """The cursor behind all that is there now; the very beginning while nothing is there."""

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The next rows, about `limit` of them, and those that were committed late."""

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows that span some time from `start` up to `until` (epoch seconds; None: no end)."""

    def passed(self, cursor: Cursor, start: float, sift: Sift) -> Iterator[CdrRow]:
        """The rows before the cursor that ended at `start` or later and whose uniqueids `sift` takes."""


def open_source(cdr: Cdr, timezone: ZoneInfo) -> Source:
    """Give the source that the configuration names; nothing is opened yet.

    Raises SourceError for a kind of source that is not supported.
    """
    return SqliteSource(cdr, timezone)


class SqliteSource:
    """A SQLite file as `cdr_sqlite3_custom` writes it: a `Source`."""

    def __init__(self, cdr: Cdr, timezone: ZoneInfo) -> None:
        self._table = SqliteTable(path_of(cdr, "cdr"), cdr, "cdr")
        self._time_format = cdr.time_format
        self._timezone = timezone

    @property
    def name(self) -> str:
        """The file and the table."""
        return self._table.name

    def check(self) -> list[str]:
        """One line for each column that the table lacks."""
        with self._table.open() as connection:
            have = self._columns(connection)
        return [
            f"CDR source {self._table.path} has no column {ours}: {effect}"
            for ours, effect in _WITHOUT.items()
            if ours not in have
        ]

    def newest(self) -> Cursor:
        """The cursor behind the newest row."""
        try:
            with self._table.open() as connection:
                records = self._read(connection, self._columns(connection), newest=True)
        except NothingYet:
            return self._cursor(Watermark())
        return self._cursor(self._behind(Watermark().advanced(record.id for record in records), records))

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The rows behind the cursor, in order of their ids; of a file that was moved away, its last ones."""
        watermark = from_json(cursor)
        try:
            batch = self._look(self._table, watermark, limit)
        except NothingYet:
            rest = self._moved_away(watermark, limit)
            if rest is None:
                raise
            return rest
        if not batch.restarted:
            return batch
        rest = self._moved_away(watermark, limit)
        return rest if rest is not None and (rest.has_news or not batch.has_news) else batch

    def _moved_away(self, watermark: Watermark, limit: int) -> Batch | None:
        """What the file read last, and those begun after it, still have; None without such a file."""
        found: Batch | None = None
        for path in moved_away(self._table.path) if watermark.last_id else ():
            try:
                batch = self._look(self._table.at(path), watermark, limit, surely=found is None)
            except SourceError:
                continue
            if found is None and batch.restarted:
                continue
            found = replace(batch, moved=path.name)
            if found.has_news:
                return found
        return found

    def _look(self, table: SqliteTable, watermark: Watermark, limit: int, *, surely: bool = False) -> Batch:
        """The next rows of `table`; from its beginning when it is, or `surely` may be, another one."""
        with table.open() as connection:
            have = self._columns(connection)
            records = self._read(connection, have, low=watermark.low(), limit=limit + OVERLAP)
            marks = {record.id: record.mark for record in records}
            restarted = not watermark.is_in(marks) if surely else watermark.restarted(marks)
            if restarted:
                watermark = watermark.over()
                records = self._read(connection, have, low=0, limit=limit + OVERLAP)
        rows: list[CdrRow] = []
        bad: list[BadRow] = []
        for record in records:
            row = self._row(record) if watermark.is_new(record.id) else None
            if isinstance(row, BadRow):
                bad.append(row)
            elif row is not None and (watermark.floor is None or _end(row) >= watermark.floor):
                rows.append(row)
        ahead = self._behind(watermark.advanced(record.id for record in records), records)
        return Batch(self._cursor(ahead), rows, bad, len(records) == limit + OVERLAP, restarted)

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows of that time in order of their ids; the impossible ones are logged."""
        low = 0
        while True:
            with self._table.open() as connection:
                records = self._read(connection, self._columns(connection), low=low, limit=_REPLAY_ROWS)
            for record in records:
                row = self._row(record)
                if isinstance(row, BadRow):
                    log.warning("cdr.bad_row", uniqueid=row.uniqueid, error=row.why)
                elif _end(row) >= start and (until is None or _start(row) < until):
                    yield row
            if len(records) < _REPLAY_ROWS:
                return
            low = records[-1].id

    def passed(self, cursor: Cursor, start: float, sift: Sift) -> Iterator[CdrRow]:
        """The rows before the cursor in order of their ids; the impossible ones are passed over."""
        last = from_json(cursor).last_id
        low = self._last_before(start - _OUT_OF_ORDER_S, last)
        while low < last:
            with self._table.open() as connection:
                records = self._read(connection, self._columns(connection), low=low, limit=_REPLAY_ROWS)
            if not records:
                return
            low = records[-1].id
            taken = sift({str(record.values.get("uniqueid") or "") for record in records})
            for record in records:
                if record.id <= last and record.values.get("uniqueid") in taken:
                    row = self._row(record)
                    if isinstance(row, CdrRow) and _end(row) >= start:
                        yield row

    def _last_before(self, moment: float, last: int) -> int:
        """An id up to which every row ended before `moment`: found by halving, as ids grow with time."""
        low, high = 0, last
        with self._table.open() as connection:
            have = self._columns(connection)
            while high - low > _REPLAY_ROWS:
                middle = (low + high) // 2
                found = self._read(connection, have, low=middle, limit=1)
                row = self._row(found[0]) if found else None
                if isinstance(row, CdrRow) and _end(row) < moment:
                    low = middle
                else:
                    high = middle
        return low

    # -- reading ----------------------------------------------------------------------------

    def _columns(self, connection: Connection) -> dict[str, str]:
        """Our name -> theirs, of the columns that the table has now."""
        found = self._table.columns(connection, _REQUIRED)
        if "end" not in found:
            self._table.require(found, ("start",))
        return found

    def _read(
        self,
        connection: Connection,
        have: Mapping[str, str],
        *,
        low: int = 0,
        limit: int = OVERLAP,
        newest: bool = False,
    ) -> list[_Record]:
        """Rows above the id `low` in order of id, `limit` at most; or the newest ones."""
        query = self._table.select(have).limit(limit)
        if newest:
            found: Sequence[Any] = connection.execute(query.order_by(rowid.desc())).all()[::-1]
        else:
            found = connection.execute(query.where(rowid > low).order_by(rowid)).all()
        if found and found[0][0] is None:
            raise self._table.no_rowids()
        return [_Record(row[0], dict(zip(have, row[1:], strict=True))) for row in found]

    # -- records ----------------------------------------------------------------------------

    def _row(self, record: _Record) -> CdrRow | BadRow:
        try:
            return to_row(record.values, self._timezone, self._time_format)
        except SourceError as error:
            return BadRow(str(record.values.get("uniqueid") or ""), str(error))

    def _behind(self, watermark: Watermark, records: list[_Record]) -> Watermark:
        """The watermark with what the newest row read says of itself."""
        if not records or records[-1].id != watermark.last_id:
            return watermark
        newest = self._row(records[-1])
        ended = watermark.ended if isinstance(newest, BadRow) else _end(newest)
        return replace(watermark, mark=records[-1].mark, ended=ended)

    def _cursor(self, watermark: Watermark) -> Cursor:
        return {"source": self.name, **watermark.as_json()}


@dataclass(frozen=True, slots=True)
class _Record:
    id: int
    values: dict[str, object]

    @property
    def mark(self) -> str:
        return f"{self.values.get('uniqueid')} {self.values.get('sequence')}"


def _start(row: CdrRow) -> float:
    return row.start if row.start is not None else (row.end or 0.0) - row.duration


def _end(row: CdrRow) -> float:
    return row.end if row.end is not None else _start(row) + row.duration
