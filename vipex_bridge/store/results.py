"""What came of claimed deliveries: their tries kept, and what follows from each; many in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Double, bindparam, func, insert, literal_column, update

from vipex_bridge.store import schema
from vipex_bridge.store.outbox import NewAttempt
from vipex_bridge.store.statement import Statement, word

_d = schema.deliveries.c


@dataclass(frozen=True, slots=True)
class Result:
    """A try of a claimed delivery, and what follows: again at `next_attempt_at`, else the try's outcome."""

    delivery_id: int
    attempt: NewAttempt
    next_attempt_at: float | None
    retry_index: int


_TRIED = Statement(
    insert(schema.attempts)
    .values({c.name: bindparam(c.name) for c in schema.attempts.c if c.name != "id"})
    .inline()
)
_FOLLOWS = Statement(
    update(schema.deliveries)
    .where(_d.id == bindparam("of_id"), _d.node == bindparam("of_node"), _d.status == word("sending"))
    .values(
        status=bindparam("becomes"),
        attempts=_d.attempts + literal_column("1"),
        retry_index=bindparam("used_up"),
        finished_at=bindparam("over_at"),
        error=bindparam("why"),
        next_attempt_at=func.coalesce(bindparam("again_at", type_=Double), _d.next_attempt_at),
    )
)


def record(connection: Connection, node: str, results: Sequence[Result], now: float) -> None:
    """Keep tries, and what follows from each, of deliveries that were claimed.

    Of one that another node has taken over meanwhile the try alone is kept: the rest is the other's.
    """
    _TRIED.run_each(
        connection,
        [
            {
                "delivery_id": result.delivery_id,
                "started_at": result.attempt.started_at,
                "elapsed_s": result.attempt.elapsed_s,
                "status_code": result.attempt.status_code,
                "outcome": result.attempt.outcome,
                "error": result.attempt.error,
                "answer": result.attempt.answer,
            }
            for result in results
        ],
    )
    _FOLLOWS.run_each(
        connection,
        [
            {
                "of_id": result.delivery_id,
                "of_node": node,
                "becomes": result.attempt.outcome if result.next_attempt_at is None else "queued",
                "used_up": result.retry_index,
                "over_at": now if result.next_attempt_at is None else None,
                "why": result.attempt.error,
                "again_at": result.next_attempt_at,
            }
            for result in results
        ],
    )


_PUT_BACK = Statement(
    update(schema.deliveries)
    .where(_d.id == bindparam("of_id"), _d.node == bindparam("of_node"), _d.status == word("sending"))
    .values(status=word("queued"))
)


def put_back(connection: Connection, node: str, delivery_ids: Sequence[int]) -> None:
    """Queue again what was claimed and not tried."""
    _PUT_BACK.run_each(connection, [{"of_id": number, "of_node": node} for number in delivery_ids])
