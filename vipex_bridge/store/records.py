"""What the store keeps, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from vipex_bridge.render.request import Request


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to be queued. Without a `request` it is parked as failed, `error` saying why.

    Of deliveries with the same `dedupe_key` only the first is ever queued.
    """

    client: str
    kind: str
    call_id: int
    event: str
    created_at: float
    request: Request | None
    error: str | None = None
    expires_at: float | None = None
    dedupe_key: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it stands. `status`: queued, sending, delivered, failed or expired."""

    id: int
    idempotency_key: str
    client: str
    kind: str
    call_id: int
    event: str
    created_at: float
    expires_at: float | None
    status: str
    attempts: int
    retry_index: int
    next_attempt_at: float
    finished_at: float | None
    error: str | None
    request: Request | None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try of a delivery, and what came back (at most the first 2 KiB of it)."""

    delivery_id: int
    started_at: float
    elapsed_s: float
    status_code: int | None
    outcome: str
    error: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call. `state`: live, ended, told, or ignored (internal, or nothing to tell)."""

    id: int
    key: str
    state: str
    started_at: float
    ended_at: float | None
    told_at: float | None
    direction: int | None
    src: str | None
    dst: str | None
    exten: str | None
    facts: str | None
    """The live record as JSON."""
    document: str | None
    """The finished call as JSON."""


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A recording by its reference; `path` as Asterisk named it."""

    reference: str
    call_id: int
    path: str
