"""Users and tariff as they are by now: files that are edited, a database that is asked now and then.

What is wrong with a new version is logged once, and the old one stays in force.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import structlog
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from vipex_bridge.config import schema, tables
from vipex_bridge.config.settings import Numbers, User, UsersQuery
from vipex_bridge.errors import SourceError

log = structlog.get_logger()

LOOKED_AT_EVERY_S = 5.0
MOST_USERS = 1_000_000
CONNECTS_WITHIN_S, ANSWERS_WITHIN_S = 5, 30
_MYSQL_LIMITS: dict[str, object] = {"connect_timeout": CONNECTS_WITHIN_S, "read_timeout": ANSWERS_WITHIN_S}
_POSTGRESQL_LIMITS: dict[str, object] = {
    "connect_timeout": CONNECTS_WITHIN_S,
    "options": f"-c statement_timeout={ANSWERS_WITHIN_S}s -c default_transaction_read_only=on",
}
_DRIVERS: dict[str, tuple[str, dict[str, object]]] = {
    "mysql": ("mysql+pymysql", _MYSQL_LIMITS),
    "mariadb": ("mariadb+pymysql", _MYSQL_LIMITS),
    "postgresql": ("postgresql+psycopg", _POSTGRESQL_LIMITS),
}


def asked(query: UsersQuery) -> dict[str, User]:
    """The users that a database knows. Raises SourceError, without the database's password."""
    try:
        with _engine(query).connect() as connection:
            found = connection.execute(text(query.sql))
            rows = found.fetchmany(MOST_USERS + 1)
            if len(rows) > MOST_USERS:
                raise SourceError(f"numbers.users: the query gives more than {MOST_USERS} users")
            return tables.users_of([name.lower() for name in found.keys()], rows)  # noqa: SIM118
    except ImportError as error:
        raise SourceError(
            f"numbers.users: {error.name} is missing: pip install 'vipex-bridge[mariadb]', or [postgresql]"
        ) from None
    except SQLAlchemyError as error:
        what = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise SourceError(
            f"numbers.users: the query fails ({what}): try it in the database's own program"
        ) from None
    except ValueError as error:
        raise SourceError(f"numbers.users: the query's answer: {error}") from None


def present(numbers: Numbers) -> Numbers:
    """The same with the users of the database. Raises SourceError."""
    return numbers if numbers.users_query is None else replace(numbers, users=asked(numbers.users_query))


def _engine(query: UsersQuery) -> Engine:
    url = make_url(query.source.reveal())
    backend = url.get_backend_name()
    if backend == "sqlite":
        return create_engine("sqlite://", creator=lambda: _opened(url), poolclass=NullPool)
    driver, limits = _DRIVERS[backend]
    return create_engine(url.set(drivername=driver), connect_args=limits, poolclass=NullPool)


def _opened(url: URL) -> sqlite3.Connection:
    file = Path(str(url.database)).absolute()
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=CONNECTS_WITHIN_S)


@dataclass(slots=True)
class Watching:
    """Notices what has changed. Not for several threads at once."""

    clock: Callable[[], float] = time.monotonic
    _stamps: dict[Path, object] = field(default_factory=dict)
    _without_users: object = None
    """The version of the file of users in which the last look found none."""
    _asked_at: float | None = None
    _trouble: str | None = None

    def begin(self, numbers: Numbers) -> None:
        """What the configuration has just read is known; the database is yet to be asked."""
        files = (numbers.users_file, numbers.tariff_file)
        self._stamps = {file: _stamp(file) for file in files if file is not None}
        self._asked_at = None

    def look(self, numbers: Numbers) -> Numbers | None:
        """The numbers with what has changed; None when nothing has. Blocking."""
        changed = numbers
        try:
            if numbers.users_file is not None and self._is_new(numbers.users_file):
                users = schema.read_users(numbers.users_file).rows
                if users or self._is_emptied(numbers.users_file):
                    changed = replace(changed, users=users)
            if numbers.tariff_file is not None and self._is_new(numbers.tariff_file):
                changed = replace(changed, tariff=tables.read_tariff(numbers.tariff_file).lines)
        except tables.TableError as error:
            for fault in error.faults:
                log.error("configuration.refused", fault=str(fault))
        changed = self._from_database(changed)
        return changed if changed is not numbers else None

    def _is_new(self, file: Path) -> bool:
        stamp = _stamp(file)
        # A file that is gone is being written anew, or missed at the next reload.
        is_new = stamp is not None and stamp != self._stamps.get(file)
        if is_new:
            self._stamps[file] = stamp
        return is_new

    def _is_emptied(self, file: Path) -> bool:
        """Whether nobody is in it for good: an editor empties a file before it writes it anew."""
        before, self._without_users = self._without_users, self._stamps[file]
        if before != self._without_users:
            # Looked at once more.
            del self._stamps[file]
            return False
        return True

    def _from_database(self, numbers: Numbers) -> Numbers:
        query, now = numbers.users_query, self.clock()
        if query is None or (self._asked_at is not None and now < self._asked_at + query.every_s):
            return numbers
        self._asked_at = now
        try:
            users = asked(query)
        except SourceError as error:
            if self._trouble != str(error):
                log.error("users.not_asked", error=str(error))
            self._trouble = str(error)
            return numbers
        self._trouble = None
        return numbers if users == numbers.users else replace(numbers, users=users)


def _stamp(file: Path) -> object:
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size
