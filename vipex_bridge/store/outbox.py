"""The outbox: what is to be delivered, what was, and every try.

    queued -> sending -> delivered
      ^          |-----> queued (a retry), failed, expired
      |------------------- resend

A delivery is claimed (`sending`) only when it is due and no earlier one of the same call to the same
client is queued or being sent: notifications of one call leave in order (contract, section 4).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from vipex_bridge.render.request import Request
from vipex_bridge.store import pauses, schema
from vipex_bridge.store.statement import Statement, word

log = structlog.get_logger()

WAITING = ("queued", "sending")
FINISHED = ("delivered", "failed", "expired")
RECORDING = "recording"
"""The event of a delivery that brings a finished call's recordings after it."""
ANSWER_BYTES = 2048
"""What is kept of an answer."""

_d = schema.deliveries.c


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """Something to be delivered. Without a `request` it is parked as failed at once, with `error`."""

    client: str
    kind: str
    """notify or call_end."""
    call_id: int
    event: str
    created_at: float
    request: Request | None
    error: str | None = None
    expires_at: float | None = None
    dedupe_key: str | None = None
    """Two deliveries with the same one are one."""
    idempotency_key: str | None = None
    """None: one of its own, drawn by chance."""
    not_before: float | None = None
    """None: at once."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as the outbox has it."""

    id: int
    idempotency_key: str
    node: str
    client: str
    kind: str
    call_id: int
    event: str
    created_at: float
    expires_at: float | None
    status: str
    """queued, sending, delivered, failed or expired."""
    attempts: int
    retry_index: int
    """How many of the client's retry delays are used up."""
    next_attempt_at: float
    finished_at: float | None
    error: str | None
    """Why the last try failed, or why there was none."""
    request: Request | None
    dropped_at: float | None
    """When its request and its answers were dropped (`store.privacy`)."""


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """One try. `status_code` is None when no answer came, `answer` at most `ANSWER_BYTES` of it."""

    started_at: float
    elapsed_s: float
    status_code: int | None
    outcome: str
    """delivered, retry, failed or expired: what became of the delivery."""
    error: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try as the outbox has it; see `NewAttempt`."""

    id: int
    delivery_id: int
    started_at: float
    elapsed_s: float
    status_code: int | None
    outcome: str
    error: str | None
    answer: str | None


_COLUMNS = (
    _d.id, _d.idempotency_key, _d.node, _d.client, _d.kind, _d.call_id, _d.event, _d.created_at,
    _d.expires_at, _d.status, _d.attempts, _d.retry_index, _d.next_attempt_at, _d.finished_at, _d.error,
    _d.request, _d.dropped_at,
)  # fmt: skip
_STATUS, _REQUEST = _COLUMNS.index(_d.status), _COLUMNS.index(_d.request)
"""The columns' order is that of `Delivery`."""


_INSERT = Statement(
    insert(schema.deliveries)
    .values({c.name: bindparam(c.name) for c in schema.deliveries.c if c.name not in ("id", "dropped_at")})
    .returning(_d.id)
)
_BY_DEDUPE_KEY = Statement(select(_d.id).where(_d.dedupe_key == bindparam("dedupe_key")))
_BY_OWN_KEY = Statement(select(_d.id).where(_d.idempotency_key == bindparam("idempotency_key")))


def queue(connection: Connection, node: str, new: NewDelivery, *, is_first: bool) -> int | None:
    """Put a delivery into the outbox and give its id; None when its dedupe key is there already."""
    is_looked_for = new.dedupe_key is not None and not is_first
    if is_looked_for and _BY_DEDUPE_KEY.rows(connection, {"dedupe_key": new.dedupe_key}):
        return None
    rendered = new.request is not None
    if not rendered:
        log.error("delivery.parked", client=new.client, call=new.call_id, notice=new.event, error=new.error)
    row = {
        "idempotency_key": _own_key(connection, new),
        "dedupe_key": new.dedupe_key,
        "node": node,
        "client": new.client,
        "kind": new.kind,
        "call_id": new.call_id,
        "event": new.event,
        "created_at": new.created_at,
        "expires_at": new.expires_at,
        "status": "queued" if rendered else "failed",
        "attempts": 0,
        "retry_index": 0,
        "next_attempt_at": new.created_at if new.not_before is None else new.not_before,
        "finished_at": None if rendered else new.created_at,
        "error": new.error,
        "request": json.dumps(new.request.to_dict()) if new.request is not None else None,
        "own_files": _own_files(new.request),
    }
    [(delivery_id,)] = _INSERT.rows(connection, row)
    return int(delivery_id)


def _own_files(request: Request | None) -> int:
    """How many recordings it takes from this machine's files."""
    return sum(slot.source == "recording" for slot in request.slots) if request is not None else 0


def _own_key(connection: Connection, new: NewDelivery) -> str:
    """The key it came with, unless another delivery has it (contract, section 4: different for any other)."""
    wanted = new.idempotency_key
    if wanted is None or _BY_OWN_KEY.rows(connection, {"idempotency_key": wanted}):
        return uuid.uuid4().hex
    return wanted


def claim(connection: Connection, node: str, client: str, limit: int, now: float) -> list[Delivery]:
    """Take up to `limit` due deliveries, oldest first, as `sending`."""
    due = {"of_node": node, "of_client": client, "now": now, "at_most": limit}
    rows = _DUE.rows(connection, due)
    if rows:
        _CLAIM.run_each(connection, [{"of_id": row[0]} for row in rows])
    return [_delivery(row, status="sending") for row in rows]


def next_due(connection: Connection, node: str, client: str) -> float | None:
    """When the next delivery can be claimed; None when none waits for its time, or the client is paused."""
    if client in pauses.paused(connection, node):
        return None
    found = _NEXT_DUE.rows(connection, {"of_node": node, "of_client": client})
    return float(found[0][0]) if found else None


def _claimable() -> list[ColumnElement[bool]]:
    earlier = schema.deliveries.alias("earlier").c
    blocked = exists().where(
        earlier.call_id == _d.call_id,
        earlier.client == _d.client,
        earlier.id < _d.id,
        or_(*(earlier.status == word(status) for status in WAITING)),
    )
    return [*_QUEUED, ~blocked]


_QUEUED = [_d.node == bindparam("of_node"), _d.client == bindparam("of_client"), _d.status == word("queued")]
_DUE = Statement(
    select(*_COLUMNS)
    .where(*_claimable(), _d.next_attempt_at <= bindparam("now"))
    .order_by(_d.next_attempt_at, _d.id)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_CLAIM = Statement(
    update(schema.deliveries).where(_d.id == bindparam("of_id")).values(status=word("sending"))
)
_NEXT_DUE = Statement(
    select(_d.next_attempt_at).where(*_claimable()).order_by(_d.next_attempt_at, _d.id).limit(1)
)
_EXPIRE = Statement(
    update(schema.deliveries)
    .where(*_QUEUED, _d.expires_at <= bindparam("now"))
    .values(status=word("expired"), finished_at=bindparam("now"))
    .returning(_d.id, _d.call_id, _d.event, _d.attempts)
)


def expire(connection: Connection, node: str, client: str, now: float) -> int:
    """Mark what has waited too long; how many."""
    late = _EXPIRE.rows(connection, {"of_node": node, "of_client": client, "now": now})
    for delivery_id, call_id, event, attempts in sorted(late):
        log.warning(
            "delivery.expired",
            client=client,
            call=call_id,
            delivery=delivery_id,
            notice=event,
            attempts=attempts,
        )
    return len(late)


def release_claims(connection: Connection, node: str, but: Collection[int]) -> int:
    """Put back what was claimed and not ended, but for these; gives how many."""
    where = [_d.node == node, _d.status == "sending", _d.id.not_in(but)]
    return connection.execute(update(schema.deliveries).where(*where).values(status="queued")).rowcount


def park(connection: Connection, node: str, client: str, reason: str, now: float) -> int:
    """Mark everything queued for a client as failed; gives how many."""
    where = [_d.node == node, _d.client == client, _d.status == "queued"]
    values = {"status": "failed", "error": reason, "finished_at": now}
    return connection.execute(update(schema.deliveries).where(*where).values(values)).rowcount


def resend(
    connection: Connection,
    ids: Sequence[int],
    failed_since: float | None,
    of_clients: frozenset[str] | None,
    now: float,
) -> int:
    """Queue finished deliveries again, as new but for their data and key; gives how many.

    Which: those of `ids`, or every failed one that was parked at `failed_since` or later; None for
    `of_clients` is those of every client.
    """
    which: ColumnElement[bool] = _d.id.in_(ids)
    if failed_since is not None:
        which = (_d.status == "failed") & (_d.finished_at >= failed_since)
    if of_clients is not None:
        which &= _d.client.in_(of_clients)
    done = connection.execute(
        update(schema.deliveries)
        .where(which, _d.status.in_(FINISHED), _d.request.is_not(None))
        .values(
            status="queued", retry_index=0, next_attempt_at=now, expires_at=None, finished_at=None, error=None
        )
    )
    return done.rowcount


def get(connection: Connection, delivery_id: int) -> Delivery | None:
    """The delivery of that id."""
    row = connection.execute(select(*_COLUMNS).where(_d.id == delivery_id)).one_or_none()
    return None if row is None else _delivery(row)


def listing(
    connection: Connection,
    *,
    status: str | None,
    client: str | None,
    of_clients: frozenset[str] | None,
    call_id: int | None,
    since: float | None,
    limit: int,
    before_id: int | None,
) -> list[Delivery]:
    """Deliveries, latest first."""
    query = select(*_COLUMNS).order_by(_d.id.desc()).limit(limit)
    for column, wanted in ((_d.status, status), (_d.client, client), (_d.call_id, call_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    if of_clients is not None:
        query = query.where(_d.client.in_(of_clients))
    if since is not None:
        query = query.where(_d.created_at >= since)
    if before_id is not None:
        query = query.where(_d.id < before_id)
    return [_delivery(row) for row in connection.execute(query)]


def attempts_of(connection: Connection, delivery_id: int) -> list[AttemptRecord]:
    """Every try of a delivery, in order."""
    table = schema.attempts
    query = select(table).where(table.c.delivery_id == delivery_id).order_by(table.c.id)
    return [AttemptRecord(*row) for row in connection.execute(query)]


def awaiting(connection: Connection, node: str, now: float) -> list[tuple[int, str, int]]:
    """Deliveries that wait for their recordings: id, client and call of each."""
    query = select(_d.id, _d.client, _d.call_id).where(
        _d.node == node,
        _d.status == "queued",
        _d.event == RECORDING,
        _d.attempts == 0,
        _d.next_attempt_at > now,
    )
    return [(row.id, row.client, row.call_id) for row in connection.execute(query)]


def begin(connection: Connection, delivery_id: int, request: Request, now: float) -> bool:
    """Send this request now instead of the one that waits for its time; False when that was tried already."""
    waits = (_d.id == delivery_id, _d.status == "queued", _d.attempts == 0)
    values = {
        "request": json.dumps(request.to_dict()),
        "next_attempt_at": now,
        "own_files": _own_files(request),
    }
    return bool(connection.execute(update(schema.deliveries).where(*waits).values(values)).rowcount)


def depths(connection: Connection, node: str, now: float) -> Mapping[str, tuple[int, float]]:
    """For each client that has any: how many deliveries wait or are being sent, and the oldest's age in s."""
    found = connection.execute(_DEPTHS, {"of_node": node})
    return {client: (count, max(0.0, now - oldest)) for client, count, oldest in found}


# The node as an expression: else SQLite goes through all of its deliveries, those of long ago included,
# and not through what waits (`deliveries_by_status`).
_DEPTHS = (
    select(_d.client, func.count(), func.min(_d.created_at))
    .where(_d.node.concat("") == bindparam("of_node"), _d.status.in_(WAITING))
    .group_by(_d.client)
)


def _delivery(row: Sequence[Any], status: str | None = None) -> Delivery:
    values = [*row]
    if values[_REQUEST] is not None:
        values[_REQUEST] = Request.from_dict(json.loads(values[_REQUEST]))
    if status is not None:
        values[_STATUS] = status
    return Delivery(*values)
