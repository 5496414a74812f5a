"""Forgetting what is old, a little at a time, so that nobody waits long for the store."""

from __future__ import annotations

from sqlalchemy import Connection, CursorResult, Select, Table, delete, exists, select

from vipex_bridge.store import schema
from vipex_bridge.store.calls import CLOSED
from vipex_bridge.store.outbox import FINISHED

CHUNK = 100
"""Rows of each kind that one transaction forgets."""
PAUSE_S = 0.01
"""Between two of them: in it those who waited get their turn."""

_c = schema.calls.c
_d = schema.deliveries.c


def forget_some(connection: Connection, before: float) -> int:
    """Forget up to `CHUNK` deliveries finished and calls closed before that time; gives how many.

    Attempts go with their deliveries; keys, rows and recordings with their calls. A call stays as long
    as a delivery of it does. What is still to be told or delivered stays for ever.
    """
    old = select(_d.id).where(_d.status.in_(FINISHED), _d.finished_at < before).limit(CHUNK)
    unused = ~exists().where(_d.call_id == _c.id)
    # Each by the index over states: to look through all calls takes longer than to forget some.
    closed = _c.state.in_(CLOSED) & (_c.told_at < before)
    # An id that a lookup took for a call of which nothing else was ever heard.
    empty = (
        (_c.state == "live")
        & (_c.started_at < before)
        & _c.facts.is_(None)
        & ~exists().where(schema.cdr_rows.c.call_id == _c.id)
    )
    gone = _delete(connection, schema.deliveries, old)
    for which in (closed, empty):
        gone += _delete(connection, schema.calls, select(_c.id).where(which, unused).limit(CHUNK))
    return gone


def _delete(connection: Connection, table: Table, which: Select[tuple[int]]) -> int:
    # Bridges that share a store may forget at the same time: each what the others leave.
    ids = list(connection.scalars(which.with_for_update(skip_locked=True)))
    if not ids:
        return 0
    done: CursorResult[object] = connection.execute(delete(table).where(table.c.id.in_(ids)))
    return done.rowcount
