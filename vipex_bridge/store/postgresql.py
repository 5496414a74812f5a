"""The state database on a PostgreSQL server, shared by several bridges.

Each bridge is a node, by its own name. One session of it holds an advisory lock on that name for as long as
the bridge lives, so that a second bridge of the same name is refused; when the connection is lost, the lock
is taken again with the next sign of life.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from vipex_bridge.errors import StoreError
from vipex_bridge.store import nodes

CONNECTS_WITHIN_S = 5
LOCK_WITHIN_S = 5
"""How long one statement waits for a row that another bridge holds."""
FREED_WITHIN_S = 3.0
"""How long after a bridge was killed the server may take to notice."""
MOST_CONNECTIONS = 25
TRIED_AFTER_S = 1.0
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
        options = f"-c lock_timeout={LOCK_WITHIN_S}s -c idle_in_transaction_session_timeout=60s"
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
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK_SPACE, _PREPARING)))
        yield
        if self._holding is not None:
            nodes.sign(connection, self._node, self._bridge)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Whatever it raises as a StoreError of one line."""
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"{self.name}: {_explained(error.orig)}") from error
        except PoolTimeout:
            raise StoreError(
                f"{self.name}: all {MOST_CONNECTIONS} connections are in use: see why it is slow"
            ) from None
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"{self.name}: {str(error).splitlines()[0]}") from error

    def keep(self, reading: Callable[[], contextlib.AbstractContextManager[Connection]]) -> None:
        """A sign of life, by which the other bridges know that this node's work is done by itself."""
        del reading
        before, self._alive_since = self._alive_since, None
        with self.failures():
            holding = self._holding
            if holding is not None:
                try:
                    holding.execute(text("SELECT 1"))
                except DBAPIError:
                    self._leave()
            if self._holding is None:
                self._take_name(time.monotonic())
            if self._engine is not None:
                with self._engine.begin() as connection:
                    nodes.sign(connection, self._node, self._bridge)
        self._alive_since = time.monotonic() if before is None else before

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
        raise DisconnectionError from error


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
