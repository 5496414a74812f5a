"""The state database on a PostgreSQL server, shared by several bridges.

Each bridge is a node, by its own name. One session of it holds an advisory lock on that name for as long as
the bridge lives, so that a second bridge of the same name is refused; when the connection is lost, the lock
is taken again with the next sign of life.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from vipex_bridge.errors import StoreError
from vipex_bridge.store import nodes

CONNECTS_WITHIN_S = 5
LOCK_WITHIN_S = 5
"""How long one statement waits for a row that another bridge holds."""
ANSWERS_WITHIN_S = 12.0
"""How long a server that says nothing is waited for: a frozen one keeps its connections for ever."""
STATEMENT_WITHIN_S = 10
"""After so long the server itself gives a statement up, and says so."""
FREED_WITHIN_S = 3.0
"""How long after a bridge was killed the server may take to notice."""
MOST_CONNECTIONS = 25
TRIED_AFTER_S = 1.0
AGAIN_AFTER_S = 1.0
"""How long a server that cannot be reached is left alone."""
_LOCK_SPACE = 0x76697065
"""Of the advisory locks: ours, so that other programs' numbers are others."""
_PREPARING = 1
_NOT_ALLOWED = ("28000", "28P01", "42501")
_NO_DATABASE = "3D000"
_FULL = ("53100", "53200")
_AWAY = ("57P01", "57P02", "57P03", "08000", "08001", "08003", "08006")
_TOO_LONG = ("55P03", "57014", "40P01", "40001")
"""SQLSTATEs of PostgreSQL's appendix A."""


class PostgresqlServer:
    """One database of a server, for one node. See `store.database` for what each method is for."""

    def __init__(self, url: URL, node: str) -> None:
        self.name = f"postgresql://{url.host or 'localhost'}:{url.port or 5432}/{url.database}"
        self._url = url.set(drivername="postgresql+psycopg")
        self._node = node
        self._bridge = f"{socket.gethostname()}, pid {os.getpid()}"
        self._holding: Connection | None = None
        self._engine: Engine | None = None
        self._alive_since: float | None = None
        """Since when every sign of life could be given (monotonic)."""
        self._signed_at = 0.0
        self._is_preparing = False
        self._changing = threading.Lock()
        self._away: str | None = None
        """Why the server could not be reached the last time; None when it could."""
        self._again_at = 0.0
        """When one may try to reach it again (monotonic)."""

    def trouble(self) -> str | None:
        """A server is asked by opening it."""
        return None

    def holder(self) -> str | None:
        """The bridge that has this node's name by now; None also when nobody can be asked."""
        try:
            with (
                contextlib.ExitStack() as undo,
                self.failures(),
                self.open(undo, alone=False).begin() as seen,
            ):
                if seen.scalar(select(func.pg_try_advisory_xact_lock(_LOCK_SPACE, self._lock_number()))):
                    return None
                return nodes.bridge_of(seen, self._node) or "unknown"
        except StoreError:
            return None

    def open(self, undo: contextlib.ExitStack, *, alone: bool) -> Engine:
        """Connects when it is needed; takes the node's name when `alone`."""
        reported = f"vipex-bridge {self._node}"
        options = (
            f"-c lock_timeout={LOCK_WITHIN_S}s -c statement_timeout={STATEMENT_WITHIN_S}s"
            " -c idle_in_transaction_session_timeout=60s"
            # The server, too, is to notice that a bridge is gone: its session holds the node's name.
            " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
        )
        arguments: dict[str, Any] = {
            "connect_timeout": CONNECTS_WITHIN_S, "application_name": reported[:63], "options": options,
            "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        }  # fmt: skip
        try:
            opened = create_engine(
                self._url,
                connect_args=arguments,
                hide_parameters=True,
                pool_size=5,
                max_overflow=MOST_CONNECTIONS - 5,
                pool_timeout=10,
            )
        except ImportError:
            raise StoreError(
                f"{self.name} needs the package psycopg: pip install 'vipex-bridge[postgresql]'"
            ) from None
        undo.callback(opened.dispose)
        event.listen(opened, "connect", self._limit_waiting)
        event.listen(opened, "checkin", _note_use)
        event.listen(opened, "checkout", _try_idle)
        if alone:
            self._engine = opened
            undo.callback(self._leave)
            with self.failures():
                self._take_name(time.monotonic() + FREED_WITHIN_S)
        return opened

    def reading(self, opened: Engine) -> Engine:
        """Each statement by itself: no transaction is begun and ended around it, over the network."""
        return opened.execution_options(isolation_level="AUTOCOMMIT")

    def transactions(
        self, writing: Engine, undo: contextlib.ExitStack
    ) -> Callable[[], contextlib.AbstractContextManager[Connection]]:
        """Each on one of the pool: a connection may be lost at any time."""
        del undo
        return writing.begin

    @contextlib.contextmanager
    def preparing(self, connection: Connection) -> Iterator[None]:
        """Around the look at its tables: bridges that start together do it one after the other."""
        connection.execute(text(f"SET LOCAL lock_timeout = '{CONNECTS_WITHIN_S * 12}s'"))
        # To bring a large store up to date takes its time.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        self._is_preparing = True
        try:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK_SPACE, _PREPARING)))
            yield
        finally:
            self._is_preparing = False
        if self._holding is not None:
            nodes.sign(connection, self._node, self._bridge)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Whatever it raises as a StoreError of one line.

        While the server cannot be reached one at a time tries, and the others are refused at once: each try
        may take seconds, in which its thread does nothing else.
        """
        self._admit()
        with self._explaining():
            yield

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            said = f"{self.name}: {_explained(error.orig)}"
            if error.connection_invalidated or _is_away(error.orig):
                self._note_away(said)
            raise StoreError(said) from error
        except PoolTimeout:
            raise StoreError(
                f"{self.name}: all {MOST_CONNECTIONS} connections are in use: see why it is slow"
            ) from None
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"{self.name}: {str(error).splitlines()[0]}") from error
        else:
            self._note_away(None)

    def _admit(self) -> None:
        with self._changing:
            if self._away is None:
                return
            now = time.monotonic()
            if now < self._again_at:
                raise StoreError(self._away)
            self._again_at = now + CONNECTS_WITHIN_S + AGAIN_AFTER_S

    def _note_away(self, said: str | None) -> None:
        if said is None and self._away is None:
            return
        with self._changing:
            self._away, self._again_at = said, time.monotonic() + AGAIN_AFTER_S

    def _limit_waiting(self, connection: Any, record: ConnectionPoolEntry) -> None:
        del record
        wait = connection.wait

        def wait_at_most(work: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
            within_s = math.inf if self._is_preparing else ANSWERS_WITHIN_S
            return wait(_in_time(connection, work, within_s), *arguments, **options)

        connection.wait = wait_at_most

    def keep(self, reading: Callable[[], contextlib.AbstractContextManager[Connection]]) -> None:
        """A sign of life, by which the other bridges know that this node's work is done by itself."""
        del reading
        before, self._alive_since = self._alive_since, None
        with self._explaining():
            holding = self._holding
            if holding is not None:
                try:
                    holding.execute(text("SELECT 1"))
                except DBAPIError:
                    self._leave()
            if self._holding is None:
                self._take_name(time.monotonic() + FREED_WITHIN_S)
            if self._engine is not None:
                with self._engine.begin() as connection:
                    nodes.sign(connection, self._node, self._bridge)
        now = time.monotonic()
        # What held this one up may have held up the others: their silence counts anew from now on.
        is_unbroken = now - self._signed_at < nodes.UNBROKEN_WITHIN_S
        self._alive_since = before if before is not None and is_unbroken else now
        self._signed_at = now

    def may_take_over(self) -> bool:
        """Only after as long a time of own signs of life: before, the server may have been away for all."""
        since = self._alive_since
        return since is not None and time.monotonic() - since >= nodes.SILENT_AFTER_S

    def tidy(self, dropped: int, now: float) -> None:
        """Nothing: the server's own autovacuum does it."""

    def size_bytes(self, connection: Connection) -> int:
        """What the database takes."""
        return int(connection.scalar(select(func.pg_database_size(func.current_database()))) or 0)

    def _take_name(self, until: float) -> None:
        """Take the node's name, by a session kept for it. Raises StoreError when another bridge has it."""
        if self._engine is None:
            return
        session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = select(func.pg_try_advisory_lock(_LOCK_SPACE, self._lock_number()))
        try:
            while not session.scalar(taken):
                if time.monotonic() >= until:
                    holder = nodes.bridge_of(session, self._node) or "unknown"
                    raise StoreError(
                        f"{self.name} is in use by another bridge of the node {self._node} ({holder}): "
                        "stop it, or give this one another `node`"
                    )
                time.sleep(0.1)
        except BaseException:
            session.close()
            raise
        self._holding = session

    def _leave(self) -> None:
        """Let go of the node's name."""
        session, self._holding = self._holding, None
        if session is not None:
            # Not back into the pool: the lock is the session's.
            session.invalidate()
            session.close()

    def _lock_number(self) -> int:
        return zlib.crc32(self._node.encode()) - 2**31


def _note_use(connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at_s"] = time.monotonic()


def _try_idle(connection: Any, record: ConnectionPoolEntry, proxy: object) -> None:
    """One that was not used for a while is tried first: the server may have been restarted meanwhile."""
    if time.monotonic() - record.info.get("used_at_s", time.monotonic()) < TRIED_AFTER_S:
        return
    try:
        connection.execute("SELECT 1").close()
        connection.rollback()
    except Exception as error:
        # Whatever it was, another connection is opened, which says why when it cannot be.
        raise InvalidatePoolError from error


def _in_time(connection: Any, work: Generator[Any, Any, Any], within_s: float) -> Generator[Any, Any, Any]:
    """The driver's work with the server, given up with its connection when that says nothing for so long."""
    from psycopg import OperationalError

    until = time.monotonic() + within_s
    try:
        wanted = next(work)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= until:
                connection.close()
                raise OperationalError(f"no answer within {within_s:g} s")
            wanted = work.send(ready)
    except StopIteration as done:
        return done.value


def _is_away(error: BaseException | None) -> bool:
    code = getattr(error, "sqlstate", None) or _code_by_text(str(error))
    return code in _AWAY or (code is None and type(error).__name__ == "OperationalError")


def _explained(error: BaseException | None) -> str:
    code = getattr(error, "sqlstate", None) or _code_by_text(str(error))
    said = " ".join(str(error).split())[:200]
    if code in _NOT_ALLOWED:
        return f"the bridge is not let in ({said}): correct user and password under store, or its rights"
    if code == _NO_DATABASE:
        return "there is no such database: make it (CREATE DATABASE), or correct store"
    if code in _FULL:
        return f"the server has no room ({said}): make some"
    if code in _TOO_LONG:
        return f"another session held it for too long ({said}): see which one does"
    if code in _AWAY or code is None:
        return f"cannot be reached ({said}): see that the server runs"
    return f"{said}: see the server's log"


def _code_by_text(said: str) -> str | None:
    """Of a refused connection the driver has no more than libpq's text."""
    if "password authentication failed" in said or "no pg_hba.conf entry" in said:
        return "28P01"
    return _NO_DATABASE if 'database "' in said and "does not exist" in said else None
