"""The bridges that share one store: who lives, and who takes over what a silent one has left."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Double, cast, delete, func, insert, select, update

from vipex_bridge.store import schema
from vipex_bridge.store.outbox import WAITING

SILENT_AFTER_S = 12.0
"""A bridge that gave no sign of life for so long is taken for dead."""
SIGNED_EVERY_S = 5.0
UNBROKEN_WITHIN_S = SILENT_AFTER_S - SIGNED_EVERY_S
"""A bridge whose own signs lie further apart may have been held up together with the others."""

_n = schema.nodes.c
_d = schema.deliveries.c
_NOW = cast(func.extract("epoch", func.clock_timestamp()), Double)
"""By the server's clock: the bridges' own may differ."""


def sign(connection: Connection, node: str, bridge: str) -> None:
    """Give a sign of life."""
    values = {"bridge": bridge, "seen_at": _NOW}
    if connection.execute(update(schema.nodes).where(_n.node == node).values(values)).rowcount == 0:
        connection.execute(insert(schema.nodes).values(node=node, **values))


def bridge_of(connection: Connection, node: str) -> str | None:
    """Which bridge was last seen under that name: its host and process."""
    return connection.scalar(select(_n.bridge).where(_n.node == node))


def take_over(connection: Connection, node: str, clients: Collection[str]) -> dict[str, int]:
    """Make this node's own what silent ones have to send to `clients`; gives how much of each.

    What only the other's machine can read (recordings in its files) stays with it until it is back.
    """
    silent = (
        select(_n.node)
        .where(_n.node != node, _n.seen_at < _NOW - SILENT_AFTER_S)
        # Two that look at the same time: one of them is enough.
        .with_for_update(skip_locked=True)
    )
    taken = {}
    for other in connection.scalars(silent).all():
        left = [_d.node == other, _d.status.in_(WAITING), _d.client.in_(clients), _d.own_files == 0]
        done = connection.execute(update(schema.deliveries).where(*left).values(node=node, status="queued"))
        if done.rowcount:
            taken[other] = done.rowcount
    return taken


def forget(connection: Connection, before_s: float) -> None:
    """Forget nodes that were last seen longer ago than that and have nothing left."""
    waiting = select(_d.node).where(_d.status.in_(WAITING))
    connection.execute(delete(schema.nodes).where(_n.seen_at < _NOW - before_s, _n.node.not_in(waiting)))
