"""Forgetting what is old, a little at a time, so that nobody waits long for the store."""

from __future__ import annotations

from sqlalchemy import Connection, CursorResult, Select, Table, delete, exists, or_, select

from vipex_bridge.store import schema
from vipex_bridge.store.calls import OPEN
from vipex_bridge.store.outbox import FINISHED

CHUNK = 200
"""Rows of each kind that one transaction forgets."""

_c = schema.calls.c
_d = schema.deliveries.c


def forget_some(connection: Connection, before: float) -> int:
    """Forget up to `CHUNK` deliveries finished and calls closed before that time; gives how many.

    Attempts go with their deliveries; keys, rows and recordings with their calls. A call stays as long
    as a delivery of it does. What is still to be told or delivered stays for ever.
    """
    old = select(_d.id).where(_d.status.in_(FINISHED), _d.finished_at < before).limit(CHUNK)
    unused = ~exists().where(_d.call_id == _c.id)
    closed = _c.state.not_in(OPEN) & (_c.told_at < before)
    # An id that a lookup took for a call of which nothing else was ever heard.
    empty = (
        (_c.state == "live")
        & (_c.started_at < before)
        & _c.facts.is_(None)
        & ~exists().where(schema.cdr_rows.c.call_id == _c.id)
    )
    gone = _delete(connection, schema.deliveries, old)
    return gone + _delete(
        connection, schema.calls, select(_c.id).where(or_(closed, empty), unused).limit(CHUNK)
    )


def _delete(connection: Connection, table: Table, which: Select[tuple[int]]) -> int:
    ids = list(connection.scalars(which))
    if not ids:
        return 0
    done: CursorResult[object] = connection.execute(delete(table).where(table.c.id.in_(ids)))
    return done.rowcount
