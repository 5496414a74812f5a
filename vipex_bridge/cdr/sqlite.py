"""A table in a SQLite file that Asterisk writes: opened for each look, read only, faults in plain words.

The file may not exist yet, may be replaced, and must never be kept locked, for Asterisk waits only its
own `busy_timeout` and then drops the row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, Integer, Select, create_engine, literal_column, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from vipex_bridge.cdr.naming import NothingYet, columns_there, named_column, named_table, require
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

BUSY_TIMEOUT_S = 2.0

rowid: ColumnElement[int] = literal_column("rowid", Integer)
"""Unquoted on purpose: SQLite takes a quoted name that it does not know for a text."""


def path_of(options: Cdr, section: str) -> Path:
    """The file that the configuration's `asterisk.SECTION.source` names.

    Raises SourceError for a kind of source that is not supported.
    """
    try:
        url = make_url(options.source.reveal())
    except ArgumentError:
        raise SourceError(
            f"asterisk.{section}.source is no URL: write sqlite:////path/to/master.db"
        ) from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise SourceError(
            f"{section.upper()} sources of the kind {url.get_backend_name()} are not supported yet: "
            "use sqlite:////path/to/master.db"
        )
    return Path(url.database)


class SqliteTable:
    """One table of a file as `cdr_sqlite3_custom` and `cel_sqlite3_custom` write it.

    `section` is the one of the configuration that names it: cdr or cel.
    """

    def __init__(self, path: Path, options: Cdr, section: str) -> None:
        self.path = path
        self._options = options
        self._section = section
        self._source = f"{section.upper()} source {path}"
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

    @property
    def name(self) -> str:
        """The file and the table."""
        return f"sqlite:{self.path}#{self._options.table}"

    def at(self, path: Path) -> SqliteTable:
        """The same table in another file."""
        return SqliteTable(path, self._options, self._section)

    @contextmanager
    def open(self) -> Iterator[Connection]:
        """A connection for one look. Raises SourceError, NothingYet before Asterisk's first row."""
        try:
            if not self.path.exists():
                raise NothingYet(
                    f"{self._source} does not exist (yet): load {self._section}_sqlite3_custom in Asterisk, "
                    f"or correct asterisk.{self._section}.source"
                )
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._told(error) from None
        except OSError as error:
            raise SourceError(
                f"{self._source} cannot be reached ({error.strerror}): let the bridge's user read it"
            ) from None

    def columns(self, connection: Connection, required: Iterable[str]) -> dict[str, str]:
        """Our name -> theirs, of the columns that the table has now.

        Raises SourceError without a required one.
        """
        found = columns_there(connection, named_table(self._options.table), self._options.columns)
        self.require(found, required)
        return found

    def require(self, found: Mapping[str, str], required: Iterable[str]) -> None:
        """Raises SourceError when one of the required columns was not found."""
        require(found, required, self._options, self._section, self._source)

    def select(self, columns: Mapping[str, str]) -> Select[Any]:
        """Row id and columns of the table's rows."""
        return select(rowid, *map(named_column, columns.values())).select_from(
            named_table(self._options.table)
        )

    def no_rowids(self) -> SourceError:
        """The fault of a table without row ids, such as a view."""
        return SourceError(
            f"{self._source}: {self._options.table} gives its rows no ids: "
            f"name an ordinary table in asterisk.{self._section}.table"
        )

    def _connect(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self.path))}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)
        # A caller's name need not be UTF-8; one such row must not hold up all that follow.
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        return connection

    def _told(self, error: DBAPIError) -> SourceError:
        """The error in the operator's words."""
        name = getattr(error.orig, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return SourceError(
                f"{self._source} has been locked for more than {BUSY_TIMEOUT_S:g} s: "
                "find the program that holds it; Asterisk loses rows meanwhile"
            )
        if "no such table" in str(error.orig):
            return NothingYet(
                f"{self._source} has no table {self._options.table} (yet): "
                f"correct asterisk.{self._section}.table, or {self._section}_sqlite3_custom.conf"
            )
        if "no such column: rowid" in str(error.orig):
            return self.no_rowids()
        if name.startswith("SQLITE_CANTOPEN"):
            return SourceError(
                f"{self._source} cannot be opened: let the bridge's user read it and its folder"
            )
        return SourceError(
            f"{self._source} cannot be read ({error.orig}): see that it is a sound SQLite database"
        )
