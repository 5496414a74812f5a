"""For which clients something waits, and when it is due."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, func, select

from vipex_bridge.store import pauses, schema

_d = schema.deliveries.c
_OF_NODE = _d.node == bindparam("of_node")


def by_client(connection: Connection, node: str) -> Mapping[str, float]:
    """When the earliest that is queued for each client is due, as far as the client is not paused.

    What waits for an earlier delivery of its call counts as well.
    """
    paused = pauses.paused(connection, node)
    rows = connection.execute(_BY_CLIENT, {"of_node": node}).all()
    return {row.client: row.due for row in rows if row.due is not None and row.client not in paused}


# From client to client through the index: the cost does not grow with the rows that any of them has.
_first = select(func.min(_d.client)).where(_OF_NODE).scalar_subquery()
_found = select(_first.label("client")).cte("found", recursive=True)
_following = select(func.min(_d.client)).where(_OF_NODE, _d.client > _found.c.client).scalar_subquery()
_clients = _found.union_all(select(_following).where(_found.c.client.is_not(None)))
_due = (
    select(func.min(_d.next_attempt_at))
    .where(_OF_NODE, _d.client == _clients.c.client, _d.status == "queued")
    .scalar_subquery()
)
_BY_CLIENT = select(_clients.c.client, _due.label("due")).where(_clients.c.client.is_not(None))
