"""Statements of every call and every delivery: put together once, then run at the driver itself.

SQLAlchemy writes the SQL for the database at hand, once. Its way through each execution costs several times
what the database does (docs/performance.md), so what runs often goes past it, within its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, literal_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import ClauseElement

from vipex_bridge.store.schema import SoundText, storable

_NOTHING: Mapping[str, object] = {}


class Statement:
    """One statement with named parameters (`bindparam`), for whichever database it is run on."""

    def __init__(self, core: ClauseElement) -> None:
        self._core = core
        self._written: dict[str, _Written] = {}

    def run(self, connection: Connection, values: Mapping[str, object] = _NOTHING) -> int:
        """Run it, and give how many rows it changed. Raises DBAPIError, as SQLAlchemy does."""
        written = self._written.get(connection.dialect.name) or self._write(connection)
        driver: Any = connection.connection.dbapi_connection
        try:
            changed: int = driver.execute(written.sql, written.fit(values)).rowcount
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failure(connection, driver, written.sql, error) from error
        return changed

    def rows(self, connection: Connection, values: Mapping[str, object] = _NOTHING) -> list[Any]:
        """Run it, and give every row that it finds. Raises DBAPIError, as SQLAlchemy does."""
        written = self._written.get(connection.dialect.name) or self._write(connection)
        driver: Any = connection.connection.dbapi_connection
        try:
            # The fetching as well: SQLite reads a row when it is asked for it, and meets a bad page then.
            found: list[Any] = driver.execute(written.sql, written.fit(values)).fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failure(connection, driver, written.sql, error) from error
        return found

    def run_each(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Run it for each of the rows."""
        if len(rows) == 1:
            self.run(connection, rows[0])
            return
        written = self._written.get(connection.dialect.name) or self._write(connection)
        driver: Any = connection.connection.dbapi_connection
        cursor = driver.cursor()
        try:
            cursor.executemany(written.sql, [written.fit(row) for row in rows])
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failure(connection, driver, written.sql, error) from error
        finally:
            cursor.close()

    def _write(self, connection: Connection) -> _Written:
        own = connection.dialect
        # Names, so that values are given the same way to every driver.
        dialect = sqlite.dialect(paramstyle="named") if own.name == "sqlite" else own
        compiled: Any = self._core.compile(dialect=dialect)
        texts = tuple(name for name, bind in compiled.binds.items() if isinstance(bind.type, SoundText))
        constants = {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
        written = _Written(str(compiled), texts, constants)
        self._written[own.name] = written
        return written


class _Written:
    """A statement as one database has it.

    `texts` are the parameters with text from outside, `constants` those that always have the same value.
    """

    def __init__(self, sql: str, texts: tuple[str, ...], constants: Mapping[str, object]) -> None:
        self.sql = sql
        self._texts = texts
        self._constants = constants

    def fit(self, values: Mapping[str, object]) -> Mapping[str, object]:
        """The values as the database takes them."""
        changed = {
            name: storable(text)
            for name in self._texts
            if isinstance(text := values[name], str) and not (text.isascii() and "\0" not in text)
        }
        return {**self._constants, **values, **changed} if changed or self._constants else values


def word(text: str) -> ColumnElement[str]:
    """One of our own words, written into the statement."""
    return literal_column(f"'{text}'")


def _failure(connection: Connection, driver: Any, sql: str, error: Any) -> DBAPIError:
    """The driver's error as SQLAlchemy gives it; a connection that was lost with it is not used again."""
    dialect = connection.dialect
    is_lost = dialect.is_disconnect(error, driver, None)
    if is_lost:
        connection.invalidate(error)
    failed: DBAPIError = DBAPIError.instance(
        sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=is_lost
    )
    return failed
