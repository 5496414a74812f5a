"""Sending: worker threads for each client take deliveries from the outbox and try them.

A dead client holds up its own threads only. Nothing is sent that is not on disk, and what became of
a try is on disk before the next one is taken.
"""

from __future__ import annotations

import random as random_module
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.deliver.fill import fill
from vipex_bridge.deliver.http import HttpAnswer, Transport
from vipex_bridge.deliver.retry import Outcome, after_attempt
from vipex_bridge.errors import BridgeError, StoreError
from vipex_bridge.store.records import AttemptRecord, Delivery
from vipex_bridge.store.store import Store

log = structlog.get_logger()

LOOK_AGAIN_S = 2.0
"""The longest an idle worker sleeps: `resend` from the command line is seen by then."""
MAX_ANSWER_BYTES = 65_536
KEPT_ANSWER_CHARACTERS = 2_048


@dataclass(frozen=True, slots=True)
class Tried:
    """What one try came to, for whoever counts: the delivery, the answer's status, the outcome."""

    delivery: Delivery
    status_code: int | None
    outcome: str
    elapsed_s: float


class Deliveries:
    """All clients' workers. `start` and `close` frame its life; `wake` after each commit."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        transport: Transport,
        *,
        find_recording: Callable[[str], Path | None],
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
        on_attempt: Callable[[Tried], None] = lambda tried: None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._courier = _Courier(store, transport, find_recording, clock, random, on_attempt)
        self._clock = clock
        self._workers: dict[str, _ClientWorkers] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Puts back what the last run was sending, and starts sending."""
        released = self._store.release_claims()
        if released:
            log.info("delivery.resumed", deliveries=released)
        self.reload(self._settings)

    def reload(self, settings: Settings) -> None:
        """Takes a new configuration: workers of new clients start, those of gone ones end."""
        with self._lock:
            self._settings = settings
            wanted = {name: client for name, client in settings.clients.items() if client.kind != "lookup"}
            for name in set(self._workers) - set(wanted):
                self._workers.pop(name).stop()
            for name, client in wanted.items():
                workers = self._workers.get(name)
                if workers is not None and workers.client.concurrency == client.concurrency:
                    workers.client = client
                    continue
                if workers is not None:
                    workers.stop()
                self._workers[name] = _ClientWorkers(client, self._store, self._courier, self._clock)
                self._workers[name].start()
        for name in self._store.waiting_clients() - set(wanted):
            ids = self._store.queued_ids(name)
            self._store.park(ids, f"no client {name!r} in the configuration any more", self._clock())
            log.error(
                "delivery.parked", client=name, deliveries=len(ids), error="the client is not configured"
            )

    def wake(self, client_name: str) -> None:
        """Something was queued for this client."""
        workers = self._workers.get(client_name)
        if workers is not None:
            workers.wake()

    def close(self, timeout_s: float) -> None:
        """Takes nothing new and lets running exchanges end within the bound; the rest goes on next time."""
        with self._lock:
            workers, self._workers = list(self._workers.values()), {}
        for each in workers:
            each.stop()
        deadline = time.monotonic() + timeout_s
        for each in workers:
            each.join(deadline)


class _ClientWorkers:
    """The threads of one client."""

    def __init__(self, client: Client, store: Store, courier: _Courier, clock: Callable[[], float]) -> None:
        self.client = client
        self._store = store
        self._courier = courier
        self._clock = clock
        self._changed = threading.Condition()
        self._wakes = 0
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"deliver-{client.name}-{number}", daemon=True)
            for number in range(client.concurrency)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while not self._stopping:
            seen = self._wakes
            try:
                worked = self._send_next()
            except StoreError as error:
                log.error("delivery.store_failed", client=self.client.name, error=str(error))
                worked = False
            except Exception:
                log.exception("delivery.worker_failed", client=self.client.name)
                worked = False
            if worked:
                self.wake()
            else:
                self._sleep(seen)

    def _send_next(self) -> bool:
        taken, expired = self._store.claim(self.client.name, 1, self._clock())
        for delivery in expired:
            log.warning(
                "delivery.expired", client=delivery.client, call=delivery.call_id, delivery=delivery.id
            )
        for delivery in taken:
            self._courier.carry(delivery, self.client)
        return bool(taken)

    def _sleep(self, seen: int) -> None:
        try:
            due = self._store.next_due(self.client.name, self._clock())
        except StoreError:
            due = None
        wait_s = LOOK_AGAIN_S if due is None else max(0.05, min(LOOK_AGAIN_S, due - self._clock()))
        with self._changed:
            if self._wakes == seen and not self._stopping:
                self._changed.wait(wait_s)


class _Courier:
    """Carries one delivery to its server and records what became of it."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        find_recording: Callable[[str], Path | None],
        clock: Callable[[], float],
        random: Callable[[], float],
        on_attempt: Callable[[Tried], None],
    ) -> None:
        self._store = store
        self._transport = transport
        self._find_recording = find_recording
        self._clock = clock
        self._random = random
        self._on_attempt = on_attempt

    def carry(self, delivery: Delivery, client: Client) -> None:
        """One try. Every outcome, an unforeseen one too, is recorded."""
        started_at, ticks = self._clock(), time.monotonic()
        notes: list[str] = []
        answer, error = self._exchange(delivery, client, notes)
        elapsed_s = time.monotonic() - ticks
        status_code = answer.status if answer is not None else None
        outcome = after_attempt(
            status_code=status_code,
            retry_after=answer.header("Retry-After") if answer is not None else None,
            retry_index=delivery.retry_index,
            delays_s=client.retry_s,
            now=self._clock(),
            chance=self._random(),
        )
        if outcome.kind != "delivered" and error is None:
            notes.append(f"answered {status_code}")
        self._record(
            delivery, outcome, answer, "; ".join(filter(None, [error, *notes])), started_at, elapsed_s
        )
        self._on_attempt(Tried(delivery, status_code, outcome.kind, elapsed_s))

    def _exchange(
        self, delivery: Delivery, client: Client, notes: list[str]
    ) -> tuple[HttpAnswer | None, str | None]:
        if delivery.request is None:
            return None, delivery.error or "nothing was rendered"
        try:
            outgoing = fill(
                delivery.request,
                client,
                self._find_recording,
                idempotency_key=delivery.idempotency_key,
                on_missing=lambda reference, reason: notes.append(f"recording left out: {reason}"),
            )
            answer = self._transport.exchange(
                outgoing, tls=client.tls, timeout_s=client.timeout_s, max_bytes=MAX_ANSWER_BYTES, cut=True
            )
        except BridgeError as error:
            return None, str(error)
        except Exception as error:
            log.exception("delivery.unforeseen", client=client.name, delivery=delivery.id)
            return None, f"unforeseen: {type(error).__name__}"
        return answer, None

    def _record(
        self,
        delivery: Delivery,
        outcome: Outcome,
        answer: HttpAnswer | None,
        error: str,
        started_at: float,
        elapsed_s: float,
    ) -> None:
        excerpt = (
            answer.body.decode("utf-8", "replace")[:KEPT_ANSWER_CHARACTERS] if answer is not None else None
        )
        attempt = AttemptRecord(
            delivery_id=delivery.id,
            started_at=started_at,
            elapsed_s=elapsed_s,
            status_code=answer.status if answer is not None else None,
            outcome=outcome.kind,
            error=error or None,
            answer=excerpt,
        )
        status = "queued" if outcome.kind == "retry" else outcome.kind
        self._store.record_attempt(
            attempt, status=status, next_attempt_at=outcome.next_attempt_at, now=self._clock()
        )
        told = log.bind(
            client=delivery.client,
            call=delivery.call_id,
            delivery=delivery.id,
            status=attempt.status_code,
            elapsed_ms=round(elapsed_s * 1000),
        )
        if outcome.kind == "delivered":
            told.info("delivery.sent", note=error or None)
        elif outcome.kind == "retry":
            told.warning("delivery.failed_try", error=error, next_attempt_at=outcome.next_attempt_at)
        else:
            told.error("delivery.parked", error=error)
