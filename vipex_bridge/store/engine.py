"""Opening the database: one file, checked, locked for one bridge, safe against power loss."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from vipex_bridge.errors import StoreError
from vipex_bridge.store import schema

_BUSY_TIMEOUT_MS = 5_000


class Database:
    """The engine and its write lock: writers queue up here rather than meet SQLITE_BUSY."""

    def __init__(self, url: str, node: str, *, exclusive: bool) -> None:
        self.path = _path_in(url)
        self._write_lock = threading.Lock()
        self._lock_file = _locked(self.path, node) if exclusive else None
        self.engine = _engine(url)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes every connection and lets go of the lock."""
        self.engine.dispose()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with. Raises `StoreError`."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.trouble(error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends well, else undone. Raises `StoreError`."""
        try:
            with self._write_lock, self.engine.connect() as connection:
                connection.execute(text("BEGIN IMMEDIATE"))
                try:
                    yield connection
                except BaseException:
                    connection.exec_driver_sql("ROLLBACK")
                    raise
                connection.exec_driver_sql("COMMIT")
        except SQLAlchemyError as error:
            raise self.trouble(error) from error

    def trouble(self, error: SQLAlchemyError) -> StoreError:
        """The error in the operator's words."""
        reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        return StoreError(f"{self.path}: {reason}: see that its disk has room and is writable")

    def _prepare(self) -> None:
        try:
            with self.engine.connect() as connection:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        except SQLAlchemyError as error:
            raise self.trouble(error) from error
        if found != "ok":
            raise StoreError(f"{self.path}: is damaged ({found}): move it away, a new one is made")
        with self.writing() as connection:
            schema.metadata.create_all(connection)
            version = _version(connection)
            if version is None:
                connection.execute(schema.meta.insert().values(key="version", value=str(schema.VERSION)))
            elif version > schema.VERSION:
                raise StoreError(
                    f"{self.path}: was written by a newer vipex-bridge (schema {version}): install that one"
                )


def _version(connection: Connection) -> int | None:
    row = connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == "version")).scalar()
    return int(row) if row is not None else None


def _path_in(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"store: {error}") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise StoreError("store: only sqlite:////absolute/path is supported")
    path = Path(parsed.database)
    if not path.parent.is_dir():
        raise StoreError(f"{path}: its folder does not exist: make it, and let the bridge's user write there")
    if not os.access(path.parent, os.W_OK):
        raise StoreError(f"{path.parent}: the bridge's user may not write there")
    return path


def _engine(url: str) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
        isolation_level="AUTOCOMMIT",
    )

    @event.listens_for(engine, "connect")
    def safe(connection: Any, record: object) -> None:
        del record
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    return engine


def _locked(path: Path, node: str) -> IO[str]:
    """The lock that says that one bridge uses this database. Raises `StoreError` naming the other."""
    lock_file = path.with_name(path.name + ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock_file.seek(0)
        holder = lock_file.read().strip() or "another process"
        lock_file.close()
        raise StoreError(f"{path}: is in use by {holder}: one bridge at a time") from None
    lock_file.truncate(0)
    lock_file.write(f"node {node}, pid {os.getpid()}")
    lock_file.flush()
    return lock_file
