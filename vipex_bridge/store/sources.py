"""How far a node has read its CDR source, and since when it tells that source's calls."""

from __future__ import annotations

import json

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from vipex_bridge.store import schema
from vipex_bridge.store.statement import Statement


def cursor(connection: Connection, node: str) -> dict[str, object] | None:
    """How far the node has read its CDR source; None before the first time."""
    kept = schema.cdr_cursor.c
    text = connection.scalar(select(kept.cursor).where(kept.node == node))
    return None if text is None else dict(json.loads(text))


def move_cursor(connection: Connection, node: str, cursor: dict[str, object]) -> None:
    """Remember how far the node has read its CDR source."""
    values = {"of_node": node, "read_to": json.dumps(cursor)}
    if _MOVE.run(connection, values) == 0:
        _BEGIN.run(connection, values)


_MOVE = Statement(
    update(schema.cdr_cursor)
    .where(schema.cdr_cursor.c.node == bindparam("of_node"))
    .values(cursor=bindparam("read_to"))
)
_BEGIN = Statement(
    insert(schema.cdr_cursor).values(node=bindparam("of_node"), cursor=bindparam("read_to")).inline()
)


def told_since(connection: Connection, node: str, source: str, now: float) -> float:
    """Since when the node tells the calls of that source; `now` when it never read it before."""
    known = connection.scalar(select(schema.meta.c.value).where(schema.meta.c.key == f"told_since/{node}"))
    if known is not None:
        kept = json.loads(known)
        if kept["source"] == source:
            return float(kept["since"])
        if kept["source"] is None:
            now = float(kept["since"])
    tell_since(connection, node, now, source)
    return now


def tell_since(connection: Connection, node: str, since: float, source: str | None = None) -> None:
    """Set since when the node tells calls; without a `source`, those of whichever is read next."""
    key = f"told_since/{node}"
    connection.execute(delete(schema.meta).where(schema.meta.c.key == key))
    value = json.dumps({"source": source, "since": since})
    connection.execute(insert(schema.meta).values(key=key, value=value))
