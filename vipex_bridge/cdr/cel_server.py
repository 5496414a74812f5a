"""Channel event logging on an SQL server, as `cel_odbc` and `cel_pgsql` write it: the rows of one call.

Found by linkedid and uniqueid, for which the table needs an index each: FreePBX's has them, and `doctor`
says where one is lacking. Rows of one moment stand in the order of the column `id`, where there is one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, or_

from vipex_bridge.calls import cel
from vipex_bridge.calls.rows import CelRow
from vipex_bridge.cdr.cel_rows import MAX_KEYS, MAX_WALKS, REQUIRED, RowReader
from vipex_bridge.cdr.naming import named_column
from vipex_bridge.cdr.server import ServerTable
from vipex_bridge.config.settings import Cdr

_ROW_ID = "id"
_Record = tuple[object, ...]


class ServerCel:
    """A table on a server: a `CelSource`."""

    def __init__(self, options: Cdr, timezone: ZoneInfo) -> None:
        """Opens nothing yet. Raises SourceError for no sound URL, and without the driver's package."""
        self._table = ServerTable(options, "cel")
        self._reader = RowReader(timezone, options.time_format)

    @property
    def name(self) -> str:
        """The server, the database and the table."""
        return self._table.name

    def check(self) -> list[str]:
        """One line for each index that the table lacks. Raises SourceError without a required column."""
        with self._table.open() as connection:
            have = self._table.columns(connection, REQUIRED)
            return self._table.unindexed(connection, [have["linkedid"], have["uniqueid"]])

    def rows_of(self, keys: Collection[str], start: float, end: float | None) -> list[CelRow]:
        """All rows of the call that any of `keys` names, oldest first, whenever it was; blocking."""
        del start, end
        with self._table.open() as connection:
            have = self._table.columns(connection, REQUIRED)
            ids = self._table.columns_named(connection, {_ROW_ID: _ROW_ID})
            return self._walk(connection, have, ids.get(_ROW_ID), keys)

    def _walk(
        self, connection: Connection, have: Mapping[str, str], row_id: str | None, keys: Collection[str]
    ) -> list[CelRow]:
        """The rows that the keys name, that those name, and so on."""
        named, asked = set(keys), set[str]()
        found: dict[_Record, None] = {}
        rows: list[CelRow] = []
        columns = [*have.values(), *([row_id] if row_id is not None else [])]
        for _ in range(MAX_WALKS):
            fresh = sorted(named - asked)[:MAX_KEYS]
            if not fresh:
                break
            asked.update(fresh)
            belongs = or_(*(named_column(have[name]).in_(fresh) for name in ("linkedid", "uniqueid")))
            order = [named_column(row_id)] if row_id is not None else [named_column(have["eventtime"])]
            query = self._table.select(*map(named_column, columns)).where(belongs).order_by(*order)
            found.update(dict.fromkeys(tuple(record) for record in connection.execute(query)))
            rows = self._reader.rows(dict(enumerate(self._in_order(list(found), have, row_id))))
            named.update(cel.keys(rows))
        return rows

    def _in_order(
        self, records: list[_Record], have: Mapping[str, str], row_id: str | None
    ) -> list[dict[str, object]]:
        """The records in the order of writing: by their id, else by their time."""
        place = len(have) if row_id is not None else list(have).index("eventtime")
        records = sorted(records, key=lambda record: _sortable(record[place]))
        return [dict(zip(have, record[: len(have)], strict=True)) for record in records]


def _sortable(value: object) -> tuple[float, str]:
    """Numbers by their size, times by what they are, text as it stands."""
    if isinstance(value, datetime):
        return (value.timestamp(), "")
    if isinstance(value, int | float):
        return (float(value), "")
    return (0.0, str(value))
