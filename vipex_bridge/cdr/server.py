"""A table on a MariaDB, MySQL or PostgreSQL server that Asterisk writes: read only, faults in plain words.

Every statement is a transaction of its own: nothing is held locked. To PostgreSQL a connection is opened
for each look, to MariaDB and MySQL one is kept and tried before it is used again, for their driver reads
the machine's certificates for each new one. So a server that was away is simply there again. One that
accepts a connection and then says nothing is given up after `ANSWERS_WITHIN_S`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from vipex_bridge.cdr.naming import NothingYet, columns_there, named_table, require
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

CONNECTS_WITHIN_S = 5
ANSWERS_WITHIN_S = 10

_DRIVERS = {
    "mysql": ("mysql+pymysql", "PyMySQL", "mariadb"),
    "mariadb": ("mariadb+pymysql", "PyMySQL", "mariadb"),
    "postgresql": ("postgresql+psycopg", "psycopg", "postgresql"),
}
"""By the URL's scheme: SQLAlchemy's name of the driver, the package's, and the extra that brings it."""
_PORTS = {"mysql": 3306, "mariadb": 3306, "postgresql": 5432}

_NO_TABLE = (1146, "42P01")
_NOT_ALLOWED = (1044, 1045, 1142, 1143, 1698, "28000", "28P01", "42501")
_NO_DATABASE = (1049, "3D000")
_TOO_SLOW = (1969, 3024, "57014")
"""Codes of MariaDB's and MySQL's error lists, and SQLSTATEs of PostgreSQL's appendix A."""


def is_server(options: Cdr) -> bool:
    """Whether the source is on a server, by its URL's scheme."""
    return _scheme(options) in _DRIVERS


def _scheme(options: Cdr) -> str:
    return options.source.reveal().partition("://")[0].partition("+")[0]


class ServerTable:
    """One table of a server; `section` is the one of the configuration that names it: cdr or cel."""

    def __init__(self, options: Cdr, section: str) -> None:
        """Opens nothing yet. Raises SourceError for no sound URL, and without the driver's package."""
        self._options = options
        self._section = section
        self._scheme = _scheme(options)
        url = self._url()
        host = url.host or str(url.query.get("unix_socket") or url.query.get("host") or "localhost")
        self._where = f"{self._scheme}://{host}:{url.port or _PORTS[self._scheme]}/{url.database}"
        self._source = f"{section.upper()} source {self._where}"
        schema, _, table = options.table.rpartition(".")
        self._schema, self._table = schema or None, table
        self._clause = named_table(table, self._schema)
        self._engine = self._made_engine(url)

    @property
    def name(self) -> str:
        """The server, the database and the table, without user and password."""
        return f"{self._where}#{self._options.table}"

    @property
    def source(self) -> str:
        """What the log and the operator are told it is."""
        return self._source

    @contextmanager
    def open(self) -> Iterator[Connection]:
        """A connection for one look. Raises SourceError, NothingYet while there is no such table."""
        try:
            with self._engine.connect() as connection, self._not_for_ever(connection):
                yield connection
        except DBAPIError as error:
            raise self._told(error) from None
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from None
        except SQLAlchemyError as error:
            raise self._unreadable(str(error)) from None

    def columns(self, connection: Connection, required: Iterable[str]) -> dict[str, str]:
        """Our name -> theirs, of the columns that the table has now.

        Raises SourceError without a required one.
        """
        found = columns_there(connection, self._clause, self._options.columns)
        self.require(found, required)
        return found

    def columns_named(self, connection: Connection, wanted: Mapping[str, str]) -> dict[str, str]:
        """Our name -> theirs, of further columns (ours -> theirs) that the table has now."""
        return columns_there(connection, self._clause, wanted)

    def require(self, found: Mapping[str, str], required: Iterable[str]) -> None:
        """Raises SourceError when one of the required columns was not found."""
        require(found, required, self._options, self._section, self._source)

    def select(self, *columns: Any) -> Select[Any]:
        """A query of the table's rows."""
        return select(*columns).select_from(self._clause)

    def unindexed(self, connection: Connection, columns: Iterable[str]) -> list[str]:
        """One line with what to run for each of the columns (their names) with which no index begins."""
        seen = inspect(connection)
        keys: list[list[str | None]] = [
            list(seen.get_pk_constraint(self._table, self._schema)["constrained_columns"]),
            *(index["column_names"] for index in seen.get_indexes(self._table, self._schema)),
        ]
        first = {key[0] for key in keys if key}
        quote = self._engine.dialect.identifier_preparer.quote
        table = ".".join(quote(part) for part in (self._schema, self._table) if part)
        return [
            f"{self._source} has no index on {name}, so that each look reads the whole table; as its owner: "
            f"CREATE INDEX {quote(f'{self._table}_{name}')} ON {table} ({quote(name)});"
            for name in columns
            if name not in first
        ]

    # -- connecting -------------------------------------------------------------------------

    def _url(self) -> URL:
        try:
            url = make_url(self._options.source.reveal())
        except (ArgumentError, ValueError):
            raise SourceError(
                f"asterisk.{self._section}.source is no sound URL: "
                f"write {self._scheme}://USER:PASSWORD@HOST/DATABASE, with %40 for an @ in the password"
            ) from None
        if not url.database:
            raise SourceError(
                f"asterisk.{self._section}.source names no database: "
                f"write {self._scheme}://USER:PASSWORD@HOST/DATABASE"
            )
        return url

    def _made_engine(self, url: URL) -> Engine:
        driver, package, extra = _DRIVERS[self._scheme]
        kept: dict[str, Any] = {"pool_size": 1, "pool_pre_ping": True, "pool_reset_on_return": None}
        if self._scheme == "postgresql":
            kept = {"poolclass": NullPool}
            reading = f"-c default_transaction_read_only=on -c statement_timeout={ANSWERS_WITHIN_S * 1000}"
            arguments: dict[str, object] = {
                "connect_timeout": CONNECTS_WITHIN_S, "options": reading, "prepare_threshold": None,
                "application_name": "vipex-bridge",
            }  # fmt: skip
        else:
            arguments = {
                "connect_timeout": CONNECTS_WITHIN_S, "read_timeout": ANSWERS_WITHIN_S,
                "write_timeout": ANSWERS_WITHIN_S, "init_command": "SET SESSION TRANSACTION READ ONLY",
            }  # fmt: skip
        try:
            return create_engine(
                url.set(drivername=driver),
                isolation_level="AUTOCOMMIT",
                hide_parameters=True,
                connect_args=arguments,
                **kept,
            )
        except ImportError:
            raise SourceError(
                f"{self._source} needs the package {package}: pip install 'vipex-bridge[{extra}]'"
            ) from None

    @contextmanager
    def _not_for_ever(self, connection: Connection) -> Iterator[None]:
        """PostgreSQL's driver waits for an answer without end: its connection is cut then."""
        if self._scheme != "postgresql":
            yield
            return
        driver: Any = connection.connection.driver_connection
        line = socket.socket(fileno=os.dup(driver.fileno()))
        cut = threading.Timer(ANSWERS_WITHIN_S + 1, _cut, [line])
        cut.daemon = True
        cut.start()
        try:
            yield
        finally:
            cut.cancel()
            line.close()

    # -- faults -----------------------------------------------------------------------------

    def _told(self, error: DBAPIError) -> SourceError:
        """The error in the operator's words."""
        code = _code(error.orig)
        key = f"asterisk.{self._section}"
        if code in _NO_TABLE:
            return NothingYet(
                f"{self._source} has no table {self._options.table} (yet): make it, or correct {key}.table"
            )
        if code in _NO_DATABASE:
            return SourceError(f"{self._source}: there is no such database: make it, or correct {key}.source")
        if code in _NOT_ALLOWED:
            return SourceError(
                f"{self._source} does not let the bridge in ({_said(error.orig)}): correct user and password "
                f"in {key}.source, or GRANT SELECT on {self._options.table} to that user"
            )
        if code in _TOO_SLOW or isinstance(getattr(error.orig, "__cause__", None), TimeoutError):
            return SourceError(
                f"{self._source} did not answer within {ANSWERS_WITHIN_S} s: see what it is busy with, and "
                "that the table has its index (vipex-bridge doctor)"
            )
        return self._unreadable(_said(error.orig))

    def _unreadable(self, reason: str) -> SourceError:
        return SourceError(
            f"{self._source} cannot be read ({' '.join(reason.split())[:200]}): see that the server runs and "
            f"can be reached, and asterisk.{self._section}.source"
        )


def _cut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It was closed in this very moment.
        return


def _code(error: object) -> object:
    """MariaDB's number or PostgreSQL's SQLSTATE of an error."""
    arguments: tuple[object, ...] = getattr(error, "args", ())
    if arguments and isinstance(arguments[0], int):
        return arguments[0]
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return state
    # Of a refused connection the driver has no more than libpq's text.
    text = str(error)
    if "password authentication failed" in text or "no pg_hba.conf entry" in text:
        return "28P01"
    return "3D000" if 'database "' in text and "does not exist" in text else None


def _said(error: object) -> str:
    """The server's own words, on one line."""
    arguments: tuple[object, ...] = getattr(error, "args", ())
    return " ".join(str(arguments[1] if len(arguments) > 1 else error).split())[:200]
