"""The CDR source that is a SQLite file, as `cdr_sqlite3_custom` writes it.

It is opened for each look and closed again: the file may not exist yet, may be replaced, and must
never be kept locked, for Asterisk waits only its own `busy_timeout` and then drops the row. It is read
only, in short pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.naming import NothingYet
from vipex_bridge.cdr.records import (
    LOOKED_AT,
    REQUIRED,
    BadRow,
    Batch,
    Cursor,
    Likes,
    Sift,
    end_of,
    in_another_zone,
    lacking,
    row_of,
    rows_at,
    start_of,
)  # fmt: skip
from vipex_bridge.cdr.rotation import moved_away
from vipex_bridge.cdr.sqlite import SqliteTable, path_of, rowid
from vipex_bridge.cdr.watermark import OVERLAP, Watermark, from_json
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

log = structlog.get_logger()

_REPLAY_ROWS = 1000
_OUT_OF_ORDER_S = 86_400.0
"""By how much a row may have ended later than another that was written after it: a call of a day."""


class SqliteSource:
    """A SQLite file as `cdr_sqlite3_custom` writes it: a `Source`."""

    def __init__(self, cdr: Cdr, timezone: ZoneInfo) -> None:
        self._table = SqliteTable(path_of(cdr, "cdr"), cdr, "cdr")
        self._options = cdr
        self._timezone = timezone

    @property
    def name(self) -> str:
        """The file and the table."""
        return self._table.name

    def check(self) -> list[str]:
        """One line for each column that the table lacks, and for times of another zone."""
        with self._table.open() as connection:
            have = self._columns(connection)
            newest = self._read(connection, have, newest=True, limit=LOOKED_AT)
        source = f"CDR source {self._table.path}"
        mend = "let Asterisk run in that zone (TZ)"
        return [
            *lacking(have, source),
            *in_another_zone(map(self._row, newest), source, self._timezone, mend),
        ]

    def bad_newest(self) -> BadRow | None:
        """The newest row if its columns do not hold what a call's do."""
        with self._table.open() as connection:
            records = self._read(connection, self._columns(connection), newest=True, limit=1)
        row = self._row(records[-1]) if records else None
        return row if isinstance(row, BadRow) else None

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
        fresh = [place for place, record in enumerate(records) if watermark.is_new(record.id)]
        for row in rows_at(fresh, records, self._row):
            if isinstance(row, BadRow):
                bad.append(row)
            elif watermark.floor is None or end_of(row) >= watermark.floor:
                rows.append(row)
        ahead = self._behind(watermark.advanced(record.id for record in records), records)
        return Batch(self._cursor(ahead), rows, bad, len(records) == limit + OVERLAP, restarted)

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows of that time in order of their ids; the impossible ones are logged."""
        low = 0
        likes = Likes()
        while True:
            with self._table.open() as connection:
                records = self._read(connection, self._columns(connection), low=low, limit=_REPLAY_ROWS)
            for record in records:
                row = likes.numbered(self._row(record))
                if isinstance(row, BadRow):
                    log.warning("cdr.bad_row", uniqueid=row.uniqueid, error=row.why)
                elif end_of(row) >= start and (until is None or start_of(row) < until):
                    yield row
            if len(records) < _REPLAY_ROWS:
                return
            low = records[-1].id

    def passed(self, cursor: Cursor, start: float, sift: Sift) -> Iterator[CdrRow]:
        """The rows before the cursor in order of their ids; the impossible ones are passed over."""
        last = from_json(cursor).last_id
        low = self._last_before(start - _OUT_OF_ORDER_S, last)
        likes = Likes()
        while low < last:
            with self._table.open() as connection:
                records = self._read(connection, self._columns(connection), low=low, limit=_REPLAY_ROWS)
            if not records:
                return
            low = records[-1].id
            taken = sift({str(record.values.get("uniqueid") or "") for record in records})
            for record in records:
                if record.id <= last and record.values.get("uniqueid") in taken:
                    row = likes.numbered(self._row(record))
                    if isinstance(row, CdrRow) and end_of(row) >= start:
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
                if isinstance(row, CdrRow) and end_of(row) < moment:
                    low = middle
                else:
                    high = middle
        return low

    # -- reading ----------------------------------------------------------------------------

    def _columns(self, connection: Connection) -> dict[str, str]:
        """Our name -> theirs, of the columns that the table has now."""
        found = self._table.columns(connection, REQUIRED)
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
        return row_of(record.values, self._options, self._timezone)

    def _behind(self, watermark: Watermark, records: list[_Record]) -> Watermark:
        """The watermark with what the newest row read says of itself."""
        if not records or records[-1].id != watermark.last_id:
            return watermark
        newest = self._row(records[-1])
        ended = watermark.ended if isinstance(newest, BadRow) else end_of(newest)
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
