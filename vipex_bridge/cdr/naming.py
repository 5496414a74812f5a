"""Tables and columns by the names that the configuration gives: each is a name, whatever is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, TableClause, column, literal_column, select, table
from sqlalchemy.sql.elements import quoted_name

from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError


class NothingYet(SourceError):
    """The file or the table is not there: nothing of the past can be in it."""


def named_table(name: str, schema: str | None = None) -> TableClause:
    """The table of that name."""
    return table(quoted_name(name, True), schema=quoted_name(schema, True) if schema else None)


def named_column(name: str) -> ColumnElement[Any]:
    """The column of that name."""
    return column(quoted_name(name, True))


def columns_there(connection: Connection, of: TableClause, wanted: Mapping[str, str]) -> dict[str, str]:
    """Our name -> theirs, of those wanted (ours -> theirs, in any case of letters) that the table has now."""
    everything: Select[Any] = select(literal_column("*")).select_from(of).limit(0)
    have = {name.lower(): name for name in connection.execute(everything).keys()}  # noqa: SIM118
    return {ours: have[theirs.lower()] for ours, theirs in wanted.items() if theirs.lower() in have}


def require(
    found: Mapping[str, str], required: Iterable[str], options: Cdr, section: str, source: str
) -> None:
    """Raises SourceError when one of the required columns was not found in the `source`."""
    for ours in required:
        if ours not in found:
            theirs = options.columns.get(ours, ours)
            raise SourceError(
                f"{source}: table {options.table} has no column {theirs}, which the bridge cannot do "
                f"without: add it, or say in asterisk.{section}.columns what {ours} is called"
            )
