"""The numbers of a day: what was told, how each client's tries went, and how each client stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy import cast as as_type
from sqlalchemy.types import Integer

from vipex_bridge.calls.document import CallDocument, from_json
from vipex_bridge.store import schema
from vipex_bridge.store.calls import StoredRecording
from vipex_bridge.store.store import Store

MOST_CALLS = 20_000
"""How many calls the numbers of a day are made of at most."""

_c, _d, _t = schema.calls.c, schema.deliveries.c, schema.attempts.c


@dataclass(frozen=True, slots=True)
class HourOfTries:
    """A client's tries within an hour, `hour` hours after the question's `since`."""

    hour: int
    delivered: int
    failed: int
    """Tries that were not a success, whatever followed."""
    mean_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a client stands."""

    queued: int
    failed: int
    oldest_at: float | None
    """When the oldest of what waits was queued."""
    next_at: float | None
    """When the next try is due."""


def recordings_of(store: Store, call_id: int) -> list[StoredRecording]:
    """The recordings of a call, main part first."""
    table = schema.recordings
    query = select(table).where(table.c.call_id == call_id, table.c.path != "").order_by(table.c.part_id)
    with store.reading() as connection:
        return [StoredRecording(*row) for row in connection.execute(query)]


def documents_since(store: Store, since: float) -> list[CallDocument]:
    """The finished calls that began since then, latest first, at most `MOST_CALLS`."""
    query = (
        select(_c.document)
        .where(_c.state == "told", _c.started_at >= since, _c.document.is_not(None), _c.dropped_at.is_(None))
        .order_by(_c.id.desc())
        .limit(MOST_CALLS)
    )
    with store.reading() as connection:
        return [from_json(text) for text in connection.scalars(query)]


def tries_by_hour(store: Store, since: float, until: float) -> Mapping[str, list[HourOfTries]]:
    """For each client that was tried: its tries, hour by hour, in order of time."""
    hour = as_type(func.floor((_t.started_at - since) / 3600), Integer).label("hour")
    good = func.sum(case((_t.outcome == "delivered", 1), else_=0))
    query = (
        select(_d.client, hour, good, func.count(), func.avg(_t.elapsed_s))
        .join(schema.deliveries, _d.id == _t.delivery_id)
        .where(_t.started_at >= since, _t.started_at < until)
        .group_by(_d.client, hour)
        .order_by(_d.client, hour)
    )
    found: dict[str, list[HourOfTries]] = {}
    with store.reading() as connection:
        for client, number, delivered, tries, mean_s in connection.execute(query):
            found.setdefault(client, []).append(
                HourOfTries(number, int(delivered), tries - int(delivered), float(mean_s))
            )
    return found


def standings(store: Store) -> Mapping[str, Standing]:
    """For each client that anything was ever queued for: what waits and what has failed."""
    waits = _d.status.in_(("queued", "sending"))
    query = (
        select(
            _d.client,
            func.sum(case((waits, 1), else_=0)),
            func.sum(case((_d.status == "failed", 1), else_=0)),
            func.min(case((waits, _d.created_at))),
            func.min(case((_d.status == "queued", _d.next_attempt_at))),
        )
        .group_by(_d.client)
        .order_by(_d.client)
    )
    with store.reading() as connection:
        return {
            client: Standing(int(queued), int(failed), oldest, due)
            for client, queued, failed, oldest, due in connection.execute(query)
        }
