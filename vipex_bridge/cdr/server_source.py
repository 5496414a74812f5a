"""The CDR source that is a table on an SQL server: found by its start times alone, as FreePBX has no more.

Each look asks how many rows stand under each start time of the last quarter of an hour, and every
`WIDE_EVERY_S` under those of the last day, for a row is written when its call is over and stands under
the call's start. With an index on that column both are answered from the index, however long the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection, func

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr import moments
from vipex_bridge.cdr.moments import Moment
from vipex_bridge.cdr.naming import NothingYet, named_column
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
from vipex_bridge.cdr.seen import Seen
from vipex_bridge.cdr.server import ServerTable
from vipex_bridge.config.settings import Cdr

log = structlog.get_logger()

NEAR_S = 900.0
FAR_S = 86_400.0
"""How long a call may be for its row to be found: a day."""
WIDE_EVERY_S = 15.0
"""Well below the minute after which a call is told without its row."""

CLOCK_CHANGE_S = 7_200.0
"""By how much the day's clock may have been set meanwhile."""

_MARKS = (
    "uniqueid", "sequence", "channel", "dstchannel", "duration", "billsec", "disposition", "lastapp",
    "lastdata",
)  # fmt: skip
_STARTS = 2000
"""Start times of one question."""
_AT_ONCE = 400
"""Start times whose rows one statement reads."""


class ServerSource:
    """A table as `cdr_adaptive_odbc` and `cdr_pgsql` write it: a `Source`."""

    def __init__(
        self,
        cdr: Cdr,
        timezone: ZoneInfo,
        *,
        clock: Callable[[], float] = lambda: time.time(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens nothing yet. Raises SourceError for no sound URL, and without the driver's package."""
        self._table = ServerTable(cdr, "cdr")
        self._options = cdr
        self._timezone = timezone
        self._clock = clock
        self._monotonic = monotonic
        self._seen = Seen()
        self._wide_at: float | None = None
        self._scan: _Scan | None = None

    @property
    def name(self) -> str:
        """The server, the database and the table."""
        return self._table.name

    def check(self) -> list[str]:
        """One line for each column, and each index, that the table lacks, and for times of another zone."""
        with self._table.open() as connection:
            have = self._columns(connection)
            lines = self._table.unindexed(connection, [self._start(have)])
            rows = self._newest_rows(connection, have, LOOKED_AT)
        mend = "set usegmtime = no where Asterisk's configuration has it, let it run in that zone (TZ)"
        other = in_another_zone(rows, self._table.source, self._timezone, mend)
        return [*lines, *lacking(have, self._table.source), *other]

    def bad_newest(self) -> BadRow | None:
        """The row of the newest start if its columns do not hold what a call's do."""
        with self._table.open() as connection:
            rows = self._newest_rows(connection, self._columns(connection), 1)
        return next((row for row in rows if isinstance(row, BadRow)), None)

    def _newest_rows(
        self, connection: Connection, have: Mapping[str, str], most: int
    ) -> list[CdrRow | BadRow]:
        start = named_column(self._start(have))
        query = self._table.select(*map(named_column, have.values())).order_by(start.desc()).limit(most)
        found = connection.execute(query.where(start.is_not(None))).all()
        return [self._row(dict(zip(have, each, strict=True))) for each in found]

    def newest(self) -> Cursor:
        """The cursor behind all rows that are there: of those of the last day it is known which."""
        self._seen.forget()
        self._seen.go_on_from(self._seen.look)
        reached: Moment | None = None
        floor: float | None = None
        try:
            with self._table.open() as connection:
                reached = self._newest(connection, self._columns(connection))
            if reached is not None:
                for start, records in self._stretch(self._far(reached), None):
                    self._seen.new(start, map(_mark, records))
                    rows = [row for row in map(self._row, records) if isinstance(row, CdrRow)]
                    floor = max([floor or 0.0, *map(end_of, rows)])
        except NothingYet:
            reached = None
        self._seen.is_blank = False
        self._wide_at = self._monotonic()
        kept = moments.as_json(reached) if reached is not None else None
        return self._cursor(kept, min(floor, self._clock()) if floor is not None else None)

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The rows written since, in order of their start times; about `limit` of them."""
        reached, floor = cursor.get("reached"), cursor.get("floor")
        if not self._seen.go_on_from(cursor.get("look")):
            self._scan = self._wide_at = None
        with self._table.open() as connection:
            have = self._columns(connection)
            newest = self._newest(connection, have)
            if newest is None:
                self._seen.forget()
                return Batch(self._cursor(reached, floor), [], [])
            scan = self._scan or self._begun(newest, reached)
            self._scan = None
            rows, bad, restarted = self._read_on(connection, have, scan, limit)
        if self._seen.is_blank and floor is not None:
            rows = [row for row in rows if end_of(row) > floor]
        if not scan.is_over:
            self._scan = scan
        elif scan.is_wide:
            self._wide_at = self._monotonic()
            self._seen.is_blank = False
            if scan.low is not None:
                self._seen.forget_before(scan.low)
            reached = moments.as_json(newest)
        return Batch(self._cursor(reached, floor), rows, bad, not scan.is_over, restarted)

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows of that time in order of their start times; the impossible ones are logged."""
        for row in self._between(start, until):
            if isinstance(row, BadRow):
                log.warning("cdr.bad_row", uniqueid=row.uniqueid, error=row.why)
            elif end_of(row) >= start and (until is None or start_of(row) < until):
                yield row

    def passed(self, cursor: Cursor, start: float, sift: Sift) -> Iterator[CdrRow]:
        """The rows that ended at `start` or later in order of their start times, the impossible ones not."""
        rows = self._between(start, None)
        while some := list(islice(rows, _STARTS)):
            taken = sift({row.uniqueid for row in some})
            for row in some:
                if row.uniqueid in taken and isinstance(row, CdrRow) and end_of(row) >= start:
                    yield row

    # -- scanning ---------------------------------------------------------------------------

    def _begun(self, newest: Moment, reached: object) -> _Scan:
        """A scan of the last quarter of an hour, or of the last day when it is time for that."""
        was_wide = self._wide_at is not None and not self._seen.is_blank
        if was_wide and self._monotonic() < (self._wide_at or 0.0) + WIDE_EVERY_S:
            return _Scan(moments.earlier(self._not_ahead(newest), NEAR_S))
        return self._wide(newest, reached)

    def _wide(self, newest: Moment, reached: object) -> _Scan:
        """A scan from a day before where the last one ended; of all there is when that found nothing."""
        low = self._far(moments.from_json(reached, newest)) if reached is not None else None
        return _Scan(low, is_wide=True)

    def _read_on(
        self, connection: Connection, have: Mapping[str, str], scan: _Scan, limit: int
    ) -> tuple[list[CdrRow], list[BadRow], bool]:
        """About `limit` rows, and whether another table was found, which then is read from the beginning."""
        rows: list[CdrRow] = []
        bad: list[BadRow] = []
        restarted = False
        while not scan.is_over and len(rows) + len(bad) < limit:
            counts = self._counts(connection, have, scan)
            scan.counts.update(counts)
            is_last = len(counts) < _STARTS
            if is_last and self._seen.is_another_table(scan.counts, scan.low):
                self._seen.forget()
                rows, bad, restarted = [], [], True
                scan.begin_anew(self._far(scan.low) if scan.low is not None else None)
                continue
            changed = self._seen.changed(counts)
            taken = _some(changed, counts, limit)
            for start, records in self._records(connection, have, taken):
                fresh = self._seen.new(start, map(_mark, records))
                for row in rows_at(fresh, records, self._row):
                    (bad if isinstance(row, BadRow) else rows).append(row)  # type: ignore[arg-type]
            scan.at = taken[-1] if len(taken) < len(changed) else next(reversed(counts), scan.at)
            scan.is_over = is_last and len(taken) == len(changed)
        return rows, bad, restarted

    def _not_ahead(self, moment: Moment) -> Moment:
        """The moment, or now when that is earlier: a clock that ran ahead must not hide the rows of today."""
        return min(moment, moments.at(self._clock(), moment, self._timezone))

    def _far(self, moment: Moment) -> Moment:
        return moments.earlier(self._not_ahead(moment), FAR_S)

    # -- reading ----------------------------------------------------------------------------

    def _columns(self, connection: Connection) -> dict[str, str]:
        """Our name -> theirs, of the columns that the table has now."""
        found = self._table.columns(connection, REQUIRED)
        if "end" not in found:
            self._table.require(found, ("start",))
        return found

    def _start(self, have: Mapping[str, str]) -> str:
        """The column that rows are found by."""
        return have.get("start") or have["end"]

    def _newest(self, connection: Connection, have: Mapping[str, str]) -> Moment | None:
        return connection.execute(self._table.select(func.max(named_column(self._start(have))))).scalar()

    def _counts(self, connection: Connection, have: Mapping[str, str], scan: _Scan) -> dict[Moment, int]:
        """How many rows stand under each of the scan's next start times."""
        start = named_column(self._start(have))
        query = self._table.select(start, func.count()).where(start.is_not(None))
        if scan.at is not None:
            query = query.where(start > scan.at)
        elif scan.low is not None:
            query = query.where(start >= scan.low)
        found = connection.execute(query.group_by(start).order_by(start).limit(_STARTS))
        return {row[0]: row[1] for row in found}

    def _records(
        self, connection: Connection, have: Mapping[str, str], starts: Sequence[Moment]
    ) -> Iterator[tuple[Moment, list[dict[str, object]]]]:
        """The records under each of those start times."""
        start = named_column(self._start(have))
        for first in range(0, len(starts), _AT_ONCE):
            wanted = starts[first : first + _AT_ONCE]
            query = self._table.select(start, *map(named_column, have.values())).where(start.in_(wanted))
            found: dict[Moment, list[dict[str, object]]] = {moment: [] for moment in wanted}
            for record in connection.execute(query):
                found[record[0]].append(dict(zip(have, record[1:], strict=True)))
            yield from found.items()

    def _stretch(self, low: Moment, high: Moment | None) -> Iterator[tuple[Moment, list[dict[str, object]]]]:
        """The records from one start time up to another, that one included; a connection for each piece."""
        scan = _Scan(low)
        while high is None or scan.at is None or scan.at < high:
            with self._table.open() as connection:
                have = self._columns(connection)
                counts = self._counts(connection, have, scan)
                wanted = [start for start in counts if high is None or start <= high]
                found = list(self._records(connection, have, wanted))
            yield from found
            if len(counts) < _STARTS:
                return
            scan.at = next(reversed(counts))

    def _between(self, start: float, until: float | None) -> Iterator[CdrRow | BadRow]:
        """The rows that may span some of that time: from a day before it on."""
        with self._table.open() as connection:
            newest = self._newest(connection, self._columns(connection))
        if newest is None:
            return
        low = moments.earlier(moments.at(start, newest, self._timezone), FAR_S)
        high = None
        if until is not None:
            high = moments.earlier(moments.at(until, newest, self._timezone), -CLOCK_CHANGE_S)
        for _, records in self._stretch(low, high):
            yield from map(Likes().numbered, map(self._row, records))

    def _row(self, record: Mapping[str, object]) -> CdrRow | BadRow:
        return row_of(record, self._options, self._timezone)

    def _cursor(self, reached: object, floor: float | None) -> Cursor:
        return {"source": self.name, "look": self._seen.look, "reached": reached, "floor": floor}


@dataclass(slots=True)
class _Scan:
    """Start times that are being gone through, from `low` on; `at` is the last one that was."""

    low: Moment | None
    is_wide: bool = False
    at: Moment | None = None
    is_over: bool = False
    counts: dict[Moment, int] = field(default_factory=dict)

    def begin_anew(self, low: Moment | None) -> None:
        """Go through all of the last day."""
        self.low, self.at, self.is_wide, self.counts = low, None, True, {}


def _some(starts: Sequence[Moment], counts: Mapping[Moment, int], limit: int) -> list[Moment]:
    """As many of the start times, the first ones, as have about `limit` rows."""
    taken, rows = [], 0
    for start in starts:
        if rows >= limit:
            break
        taken.append(start)
        rows += counts[start]
    return taken


def _mark(record: Mapping[str, object]) -> tuple[object, ...]:
    """What tells a record from the others under its start time."""
    return tuple(str(record.get(name)) for name in _MARKS)
