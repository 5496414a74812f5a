"""Opening an SQLite file, its faults in plain words, and the one-bridge lock."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from vipex_bridge.errors import StoreDamaged, StoreError

BUSY_TIMEOUT_S = 5.0
WRITING = "vipex_writing"
"""The execution option of a connection whose transactions write."""


def path_of(url: str) -> Path:
    """The database's file itself, where the URL names a link to it: its lock and the rest lie beside it.

    Raises StoreError for what is not the URL of an SQLite file; never shows the URL, which may hold a
    password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("store is not a database URL: write sqlite:////path/to/state.db") from None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise StoreError(
            "store must be sqlite:////path/to/state.db or postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    path = Path(str(parsed.database))
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise StoreError(f"{path} is a link that leads nowhere: name the file itself under store") from None


def check_place(path: Path) -> None:
    """Raises StoreError, with what to do, where no database can be kept at `path`."""
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist: create it, or correct store")
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name a file in it under store")
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        raise StoreError(
            f"{path} is on a read-only file system: look why in the kernel's log, and remount it"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreError(f"{path}: no right to write in {path.parent}: give it to the bridge's user")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(f"{path}: no right to read and write it: give it to the bridge's user")


def lock(path: Path, node: str) -> IO[str]:
    """Take the database at `path` for this process until the file given back is closed.

    Raises StoreError that names the bridge which has it.
    """
    try:
        file = path.with_name(path.name + ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: its lock file cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read(200).strip() or "unknown"
        file.close()
        raise StoreError(
            f"{path} is in use by another bridge ({holder}): stop it, or give this one a store of its own"
        ) from None
    file.seek(0)
    file.truncate()
    file.write(f"node {node}, pid {os.getpid()}\n")
    file.flush()
    return file


def holder(path: Path) -> str | None:
    """The bridge that has the database at `path` open (`node pbx1, pid 42`); None when none has."""
    try:
        with path.with_name(path.name + ".lock").open(encoding="utf-8", errors="replace") as file:
            try:
                # Shared: others who only look do not disturb each other.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read(200).strip() or "unknown"
    except OSError:
        return None
    return None


def open_engine(path: Path) -> Engine:
    """SQLite as the bridge needs it: a commit is on the disk when it returns, readers never wait."""
    # Before SQLite does: calls are nobody else's business, and its other files take over the mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S}, max_overflow=-1, hide_parameters=True
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def failures_of(path: Path) -> Iterator[None]:
    """Make whatever the database raises a StoreError of one line; StoreDamaged where its file is."""
    try:
        yield
    except DBAPIError as error:
        damaged = code_of(error.orig) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        raise (StoreDamaged if damaged else StoreError)(_explained(path, error.orig)) from error
    except SQLAlchemyError as error:
        raise StoreError(f"{path}: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error


def _explained(path: Path, error: BaseException | None) -> str:
    code = code_of(error)
    if code == sqlite3.SQLITE_NOTADB:
        return f"{path} is not a database: name another file under store"
    if code == sqlite3.SQLITE_FULL:
        return f"{path}: the disk is full: make room"
    if code == sqlite3.SQLITE_BUSY:
        return f"{path}: another program has held it for {BUSY_TIMEOUT_S:g} s: close that program"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"{path} is damaged ({error}): restart the bridge, which sets it aside and begins a new one"
    return f"{path}: {error}: look after the disk and the file's owner"


def code_of(error: BaseException | None) -> int:
    """SQLite's primary result code; 0 for what is no error of it."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _set_up(connection: Any, record: Any) -> None:
    # Python's own BEGIN comes late and is deferred; `_begin` says when a transaction starts.
    connection.isolation_level = None
    settings = (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        # Bytes: what a great transaction made longer is cut to when the log is begun anew.
        "journal_size_limit=16777216",
    )
    for setting in settings:
        connection.execute(f"PRAGMA {setting}").close()


def _begin(connection: Connection) -> None:
    # A transaction that turns from reading to writing can fail at once; IMMEDIATE waits its turn.
    writes = connection.get_execution_options().get(WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
