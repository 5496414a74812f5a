"""Channel event logging in an SQLite file: the rows of one call out of a table that holds all calls.

The table needs no index: rows are written as things happen, so row ids grow with time, and the stretch
of the call is found by halving. Only that stretch is searched, and again for each further linkedid or
uniqueid that the rows found speak of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, column, or_
from sqlalchemy.sql.elements import quoted_name

from vipex_bridge.calls import cel
from vipex_bridge.calls.rows import CelRow
from vipex_bridge.cdr.cel_rows import MAX_KEYS, MAX_WALKS, REQUIRED, RowReader
from vipex_bridge.cdr.sqlite import SqliteTable, path_of, rowid
from vipex_bridge.cdr.times import text_of
from vipex_bridge.config.settings import Cdr

_SLACK_S = 60.0
"""How much out of order rows may stand: clocks are set, and Asterisk's threads write side by side."""
_CLOCK_CHANGE_S = 7_200.0
"""The same where times are local: the clock goes back in autumn."""
_AFTERWARDS_S = 3_600.0
"""How long after what is known of a call its rows are looked for, before the whole rest is searched."""


class SqliteCel:
    """A SQLite file as `cel_sqlite3_custom` writes it. May be asked from any thread."""

    def __init__(self, options: Cdr, timezone: ZoneInfo) -> None:
        """Opens nothing yet. Raises SourceError for a kind of source that is not supported."""
        self._table = SqliteTable(path_of(options, "cel"), options, "cel")
        self._reader = RowReader(timezone, options.time_format)

    @property
    def name(self) -> str:
        """The file and the table."""
        return self._table.name

    def check(self) -> list[str]:
        """Nothing is lacking that could be done without.

        Raises SourceError when the table cannot be read, or lacks a column that it must have.
        """
        with self._table.open() as connection:
            self._table.columns(connection, REQUIRED)
        return []

    def rows_of(self, keys: Collection[str], start: float, end: float | None) -> list[CelRow]:
        """All rows of the call that any of `keys` (linkedids, uniqueids) names, oldest first; blocking.

        The call was on at `start`, and at `end` if that is given (epoch seconds). Raises SourceError
        when the source cannot be read or lacks a column that it must have.
        """
        with self._table.open() as connection:
            have = self._table.columns(connection, REQUIRED)
            newest = connection.execute(self._table.select({}).order_by(rowid.desc()).limit(1)).scalar()
            oldest = connection.execute(self._table.select({}).order_by(rowid).limit(1)).scalar()
            if newest is None or oldest is None:
                return []
            low = self._first_since(connection, have, start, oldest, newest)
            if end is not None:
                high = self._first_since(connection, have, end + _AFTERWARDS_S, low, newest)
                rows = self._walk(connection, have, keys, low, high)
                if cel.is_over(rows):
                    return rows
            return self._walk(connection, have, keys, low, newest)

    # -- finding ----------------------------------------------------------------------------

    def _first_since(
        self, connection: Connection, have: Mapping[str, str], moment: float, low: int, high: int
    ) -> int:
        """A row id before which every row is older than `moment`."""
        time = {"eventtime": have["eventtime"]}
        while low < high:
            middle = (low + high) // 2
            query = self._table.select(time).where(rowid >= middle).order_by(rowid).limit(1)
            found = connection.execute(query).one_or_none()
            if found is None:
                # Deleted since the newest was asked for.
                high = middle
                continue
            number, value = found
            instants = self._reader.instants(value)
            slack_s = _SLACK_S if _is_epoch(value) else _CLOCK_CHANGE_S
            if instants and instants[-1] < moment - slack_s:
                low = number + 1
            else:
                high = middle
        return low

    def _walk(
        self, connection: Connection, have: Mapping[str, str], keys: Collection[str], low: int, high: int
    ) -> list[CelRow]:
        """The rows among these that the keys name, that those name, and so on."""
        named, found = set(keys), dict[int, dict[str, object]]()
        asked: set[str] = set()
        rows: list[CelRow] = []
        for _ in range(MAX_WALKS):
            fresh = sorted(named - asked)[:MAX_KEYS]
            if not fresh:
                break
            asked.update(fresh)
            belongs = or_(*(_column(have[name]).in_(fresh) for name in ("linkedid", "uniqueid")))
            query = self._table.select(have).where(rowid >= low, rowid <= high, belongs).order_by(rowid)
            for record in connection.execute(query):
                found[record[0]] = dict(zip(have, record[1:], strict=True))
            rows = self._reader.rows(found)
            named.update(cel.keys(rows))
        return rows


def _is_epoch(value: object) -> bool:
    return text_of(value).strip().replace(".", "", 1).isdecimal()


def _column(name: str) -> ColumnElement[str]:
    return column(quoted_name(name, True))
