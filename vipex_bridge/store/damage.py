"""A database that is damaged or gone: recognised, set aside with everything that belongs to it."""

from __future__ import annotations

import sqlite3
import time
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Connection

from vipex_bridge.errors import StoreError
from vipex_bridge.store import calls, engine, progress, sources
from vipex_bridge.store.progress import Progress

log = structlog.get_logger()

CDR_PRECISION_S = 2.0
"""CDR times are whole seconds, cut off: a call's row may seem to have ended before the call began."""
_FILES = ("", "-wal", "-shm")
"""SQLite's files, by what their names end in."""


def clear_the_way(path: Path, known: Progress | None, now: float) -> None:
    """Before the database at `path` is opened: set it aside when it is damaged.

    `known` is how far the bridge had come. Raises StoreError for a file that never was the bridge's, and
    when the damaged one cannot be moved.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    trouble = (known.damaged if known is not None else "") or _trouble(path, is_ours=known is not None)
    if not trouble:
        return
    aside = _set_aside(path, now)
    log.critical(
        "store.set_aside",
        store=str(path),
        damage=trouble,
        kept_as=str(aside),
        what="a new store is begun, and calls are told again from the CDR",
    )


def make_good(connection: Connection, path: Path, node: str, known: Progress | None) -> None:
    """In a database just opened: when it knows less than the bridge had come to, go on from there.

    It was set aside, or is gone, or is an older copy: no id is given again, and what may not have been
    delivered is looked for in the CDR source.
    """
    if known is None or calls.next_id(connection) >= known.next_id:
        return
    calls.skip_ids(connection, known.next_id + progress.IDS_AHEAD)
    sources.tell_since(connection, node, known.undelivered_since - CDR_PRECISION_S)
    log.critical(
        "store.lost",
        store=str(path),
        undelivered_since=datetime.fromtimestamp(known.undelivered_since).astimezone().isoformat(),
        what="calls that ended since then are told again from the CDR, under the same Idempotency-Key",
    )


def _trouble(path: Path, *, is_ours: bool) -> str:
    """What is wrong with the database, '' for nothing."""
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
        trouble = "" if found is None or found[0] == "ok" else str(found[0]).replace("\n", " ")
    except sqlite3.DatabaseError as error:
        code = engine.code_of(error)
        if code == sqlite3.SQLITE_NOTADB and not is_ours:
            raise StoreError(f"{path} is not a database: name another file under store") from None
        # Locked, not readable, a full disk: opening it says what to do.
        trouble = str(error) if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else ""
    finally:
        connection.close()
    if trouble and not is_ours:
        raise StoreError(f"{path} is damaged ({trouble}) and perhaps not the bridge's: move it away")
    return trouble


def _set_aside(path: Path, now: float) -> Path:
    """Move the database and its companions, under a name that tells when; gives the new one."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 2
    while aside.exists():
        aside, number = path.with_name(f"{path.name}.damaged-{stamp}-{number}"), number + 1
    try:
        # The database goes last: while it is there, all of this is done again after a crash.
        for ending in reversed(_FILES):
            file = path.with_name(path.name + ending)
            if file.exists():
                file.rename(aside.with_name(aside.name + ending))
    except OSError as error:
        raise StoreError(
            f"{path} is damaged and cannot be moved away ({error.strerror}): move it by hand"
        ) from None
    return aside
