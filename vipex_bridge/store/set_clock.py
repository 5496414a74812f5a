"""What waits in the outbox when the machine's clock was set: its times are moved along."""

from __future__ import annotations

from sqlalchemy import Connection, exists, update

from vipex_bridge.store import schema
from vipex_bridge.store.outbox import WAITING

JUST_QUEUED_S = 10.0
"""What was queued within this time when a set clock is noticed was dated by the new time."""

_d = schema.deliveries.c


def follow_clock(connection: Connection, node: str, step_s: float, now: float) -> int:
    """Move what waits along with a clock that was just set by `step_s` to `now`; gives how many.

    Else a delivery would wait for an hour that is passed twice, or expire in one that never was.
    """
    dated_before = (_d.created_at < now - JUST_QUEUED_S) | (_d.created_at > now)
    where = [_d.node == node, _d.status.in_(WAITING), dated_before]
    moved = {"next_attempt_at": _d.next_attempt_at + step_s, "expires_at": _d.expires_at + step_s}
    return connection.execute(update(schema.deliveries).where(*where).values(moved)).rowcount


def take_up_future(connection: Connection, node: str, now: float) -> int:
    """Make due what the last run dated after `now`: the clock was set back meanwhile; gives how many."""
    tries = schema.attempts.c
    tried_later = exists().where(tries.delivery_id == _d.id, tries.started_at > now)
    where = [_d.node == node, _d.status.in_(WAITING), (_d.created_at > now) | tried_later]
    life_s = _d.expires_at - _d.created_at
    moved = {"next_attempt_at": now, "expires_at": now + life_s}
    return connection.execute(update(schema.deliveries).where(*where).values(moved)).rowcount
