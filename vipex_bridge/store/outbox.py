"""The outbox: which delivery is tried next, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, or_, select, update

from vipex_bridge.render.request import Request
from vipex_bridge.store import schema
from vipex_bridge.store.records import AttemptRecord, Delivery

OPEN = ("queued", "sending")
FINISHED = ("delivered", "failed", "expired")

_table = schema.deliveries


def claim(
    connection: Connection, client: str, limit: int, now: float
) -> tuple[list[Delivery], list[Delivery]]:
    """Takes up to `limit` due deliveries of a client; also those found expired instead.

    A delivery waits while an earlier one of the same call and client is open: notifications of one
    call leave in order (contract, section 4).
    """
    expired = _expire(connection, client, now)
    earlier = _table.alias("earlier")
    waits = exists().where(
        earlier.c.client == _table.c.client,
        earlier.c.call_id == _table.c.call_id,
        earlier.c.id < _table.c.id,
        earlier.c.status.in_(OPEN),
    )
    due = (
        select(_table)
        .where(
            _table.c.client == client, _table.c.status == "queued", _table.c.next_attempt_at <= now, ~waits
        )
        .order_by(_table.c.next_attempt_at, _table.c.id)
        .limit(limit)
    )
    taken = [delivery_of(row) for row in connection.execute(due)]
    if taken:
        ids = [delivery.id for delivery in taken]
        connection.execute(update(_table).where(_table.c.id.in_(ids)).values(status="sending"))
    return taken, expired


def next_due(connection: Connection, client: str, now: float) -> float | None:
    """When the client's next delivery becomes due; None when none does later than `now`.

    One that is due already and was not claimed waits for an earlier one of its call to end.
    """
    due = select(func.min(_table.c.next_attempt_at)).where(
        _table.c.client == client, _table.c.status == "queued", _table.c.next_attempt_at > now
    )
    found: float | None = connection.execute(due).scalar()
    return found


def record(
    connection: Connection, attempt: AttemptRecord, *, status: str, next_attempt_at: float | None, now: float
) -> None:
    """Logs one try and what follows from it: `status` is the delivery's from here on."""
    connection.execute(
        insert(schema.attempts).values(
            delivery_id=attempt.delivery_id,
            started_at=attempt.started_at,
            elapsed_s=attempt.elapsed_s,
            status_code=attempt.status_code,
            outcome=attempt.outcome,
            error=attempt.error,
            answer=attempt.answer,
        )
    )
    values: dict[str, Any] = {"status": status, "attempts": _table.c.attempts + 1, "error": attempt.error}
    if next_attempt_at is not None:
        values |= {"next_attempt_at": next_attempt_at, "retry_index": _table.c.retry_index + 1}
    else:
        values["finished_at"] = now
    connection.execute(update(_table).where(_table.c.id == attempt.delivery_id).values(**values))


def park(connection: Connection, delivery_ids: Sequence[int], error: str, now: float) -> None:
    """Parks deliveries as failed without a try."""
    connection.execute(
        update(_table)
        .where(_table.c.id.in_(delivery_ids))
        .values(status="failed", error=error, finished_at=now)
    )


def release(connection: Connection, node: str) -> int:
    """Puts back what was being sent when the last run ended; the number put back."""
    result = connection.execute(
        update(_table).where(_table.c.status == "sending", _table.c.node == node).values(status="queued")
    )
    return result.rowcount


def retire(connection: Connection, older_than: float, limit: int) -> int:
    """Drops up to `limit` finished deliveries, and as many told calls with all that hangs on them."""
    old = (
        select(_table.c.id)
        .where(_table.c.status.in_(FINISHED), _table.c.finished_at < older_than)
        .limit(limit)
    )
    ids = list(connection.execute(old).scalars())
    connection.execute(delete(schema.attempts).where(schema.attempts.c.delivery_id.in_(ids)))
    connection.execute(delete(_table).where(_table.c.id.in_(ids)))
    calls = schema.calls
    still_open = exists().where(_table.c.call_id == calls.c.id, _table.c.status.in_(OPEN))
    gone = list(
        connection.execute(
            select(calls.c.id).where(calls.c.told_at < older_than, ~still_open).limit(limit)
        ).scalars()
    )
    for table in (schema.call_keys, schema.cdr_rows, schema.recordings):
        connection.execute(delete(table).where(table.c.call_id.in_(gone)))
    connection.execute(delete(calls).where(calls.c.id.in_(gone)))
    return len(ids) + len(gone)


def delivery_of(row: Row[Any]) -> Delivery:
    """A row of the table as a value."""
    request = Request.from_dict(json.loads(row.request)) if row.request is not None else None
    return Delivery(
        id=row.id,
        idempotency_key=row.idempotency_key,
        client=row.client,
        kind=row.kind,
        call_id=row.call_id,
        event=row.event,
        created_at=row.created_at,
        expires_at=row.expires_at,
        status=row.status,
        attempts=row.attempts,
        retry_index=row.retry_index,
        next_attempt_at=row.next_attempt_at,
        finished_at=row.finished_at,
        error=row.error,
        request=request,
    )


def _expire(connection: Connection, client: str, now: float) -> list[Delivery]:
    over = select(_table).where(
        _table.c.client == client,
        _table.c.status == "queued",
        or_(_table.c.expires_at <= now, _table.c.expires_at <= _table.c.next_attempt_at),
    )
    expired = [delivery_of(row) for row in connection.execute(over)]
    if expired:
        ids = [delivery.id for delivery in expired]
        connection.execute(
            update(_table)
            .where(_table.c.id.in_(ids))
            .values(status="expired", finished_at=now, error="not told before it expired")
        )
    return expired
