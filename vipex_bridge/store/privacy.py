"""Dropping what was told of callers, a little at a time, while it stays known that they were told.

A call's keys and a delivery's row stay until `retention`: they are how nothing is told twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, exists, or_, select, update

from vipex_bridge.errors import StoreError
from vipex_bridge.store import schema
from vipex_bridge.store.calls import OPEN
from vipex_bridge.store.engine import code_of
from vipex_bridge.store.outbox import FINISHED, WAITING

CHUNK = 100
"""Deliveries and calls, each, of one transaction."""
COMPACT_EVERY_S = 86_400.0
COMPACT_BYTES = 32 * 1024 * 1024
"""A database up to this size is written anew so fast (0.3 s) that it may be done at any hour."""
COMPACT_BYTES_AT_NIGHT = 256 * 1024 * 1024
"""One up to this size takes 3 s, in which no call gets an id."""
NIGHT = range(2, 5)
"""Hours of the machine's time."""
_WAIT_S = 0.2
"""How long a reader is waited for; the next round comes."""

_c = schema.calls.c
_d = schema.deliveries.c


def drop_some(connection: Connection, before: float, now: float) -> int:
    """Drop the data of up to `CHUNK` deliveries finished and calls closed before that time; gives how many.

    A call keeps its data as long as a delivery of it does, and a delivery as long as it waits.
    """
    done = select(_d.id).where(_d.dropped_at.is_(None), _d.finished_at < before, _d.status.in_(FINISHED))
    delivery_ids = connection.scalars(done.limit(CHUNK)).all()
    _empty_deliveries(connection, delivery_ids, now)
    needed = exists().where(_d.call_id == _c.id, or_(_d.status.in_(WAITING), _d.finished_at >= before))
    closed = select(_c.id).where(_c.dropped_at.is_(None), _c.told_at < before, _c.state.not_in(OPEN), ~needed)
    call_ids = connection.scalars(closed.limit(CHUNK)).all()
    _empty_calls(connection, call_ids, now)
    return len(delivery_ids) + len(call_ids)


def can_be_compacted(size_bytes: int, hour: int) -> bool:
    """Whether a database of that size may be written anew in that hour: everybody has to wait for it."""
    return size_bytes <= (COMPACT_BYTES_AT_NIGHT if hour in NIGHT else COMPACT_BYTES)


def compact(path: Path) -> None:
    """Write the database anew: inside its pages SQLite leaves fragments of what has moved, zeroed or not.

    Raises StoreError.
    """
    _run(path, "VACUUM")


def empty_log(path: Path) -> None:
    """Let the write-ahead log forget what the database has overwritten, unless somebody reads.

    Raises StoreError.
    """
    _run(path, "PRAGMA wal_checkpoint(TRUNCATE)")


def _run(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, timeout=_WAIT_S)
    try:
        connection.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_BUSY:
            raise StoreError(f"{path}: {error}: make room, or look after the disk") from error
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        connection.close()


def _empty_deliveries(connection: Connection, ids: Sequence[int], now: float) -> None:
    tries = schema.attempts
    connection.execute(
        update(schema.deliveries).where(_d.id.in_(ids)).values(request=None, error=None, dropped_at=now)
    )
    # An error may repeat what a server said, or an address with a number in it.
    connection.execute(update(tries).where(tries.c.delivery_id.in_(ids)).values(answer=None, error=None))


def _empty_calls(connection: Connection, ids: Sequence[int], now: float) -> None:
    nothing = {"facts": None, "document": None, "src": None, "dst": None}
    connection.execute(update(schema.calls).where(_c.id.in_(ids)).values(dropped_at=now, **nothing))
    of_calls = schema.recordings.c.call_id.in_(ids)
    connection.execute(update(schema.recordings).where(of_calls).values(path=""))
    rows = schema.cdr_rows
    connection.execute(update(rows).where(rows.c.call_id.in_(ids)).values(row=""))
