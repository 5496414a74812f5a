"""The clients that somebody paused: kept, so that a pause holds until it is ended, whatever restarts."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select

from vipex_bridge.store import schema
from vipex_bridge.store.statement import Statement

_VALUE = Statement(select(schema.meta.c.value).where(schema.meta.c.key == bindparam("named")))


def paused(connection: Connection, node: str) -> Mapping[str, float]:
    """The clients of this node that are paused, and since when (epoch seconds)."""
    kept = _VALUE.rows(connection, {"named": _key(node)})
    return {str(client): float(since) for client, since in json.loads(kept[0][0]).items()} if kept else {}


def pause(connection: Connection, node: str, client: str, *, is_paused: bool, now: float) -> bool:
    """Pause a client, or end its pause; False when that was so before."""
    before = paused(connection, node)
    if (client in before) == is_paused:
        return False
    others = {name: since for name, since in before.items() if name != client}
    connection.execute(delete(schema.meta).where(schema.meta.c.key == _key(node)))
    value = json.dumps({**others, client: now} if is_paused else others)
    connection.execute(insert(schema.meta).values(key=_key(node), value=value))
    return True


def _key(node: str) -> str:
    return f"paused/{node}"
