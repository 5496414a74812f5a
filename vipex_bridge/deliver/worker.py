"""The delivery workers: threads of each client's own, so that a dead client delays no other.

A worker claims one delivery, sends it, and in one transaction records what came of it and claims the
next. With nothing due it sleeps until something is, or until it is woken.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import FileIO
from random import random as any_random

import structlog

from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.deliver import clock as clocks
from vipex_bridge.deliver.attempt import Tried, Trying, no_client
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.retry import What
from vipex_bridge.errors import StoreError
from vipex_bridge.privacy import without_keys
from vipex_bridge.store.outbox import Delivery, NewAttempt
from vipex_bridge.store.store import Store, Writer

log = structlog.get_logger()

LONGEST_SLEEP_S = 5.0
"""The clock may be set meanwhile, and `resend` comes from another process that cannot wake us."""
STORE_PAUSE_S = 1.0
"""Between tries to reach a store that fails."""
GIVES_WAY_S = 0.05
"""Before each try at a client whose last try failed: those whose servers answer get through first."""
_KINDS = ("notify", "call_end")


class _Lane:
    """One client's workers, and how they are woken. All but `condition` is guarded by it."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.client: Client | None = None
        """None: no longer configured, or the bridge is stopping; then no worker claims anything."""
        self.wakes = 0
        self.fails = False
        """Whether the last try that ended failed."""
        self.workers: dict[int, threading.Thread] = {}

    def wants(self, number: int) -> bool:
        """Whether worker `number` is to go on claiming."""
        with self.condition:
            return self.client is not None and number < self.client.concurrency

    def wake(self) -> None:
        """Make every idle worker look again."""
        with self.condition:
            self.wakes += 1
            self.condition.notify_all()

    def wake_one(self) -> None:
        """Make one idle worker look; it wakes the next when it finds something."""
        with self.condition:
            self.wakes += 1
            self.condition.notify()

    def wait(self, seen: int, timeout_s: float) -> None:
        """Sleep until woken for the first time since `wakes` was `seen`, or until the time is over."""
        with self.condition:
            self.condition.wait_for(lambda: self.wakes != seen, timeout_s)


class Deliveries:
    """Brings what is in the outbox to the clients' servers, until closed.

    `on_attempt` is told of every try, in the worker's thread.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        transport: Transport,
        *,
        open_recording: Callable[[str], FileIO],
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = clocks.uptime,
        random: Callable[[], float] = any_random,
        on_attempt: Callable[[Delivery, NewAttempt], None] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._trying = Trying(transport, open_recording, clock, uptime, random)
        self._clock = clock
        self._uptime = uptime
        self._steps = clocks.Steps()
        self._behind_s = 0.0
        """By how much the clock was set and the waiting deliveries not yet moved."""
        self._followed_s = 0.0
        """By how much it was set in all, as far as the waiting deliveries were moved."""
        self._reading_clock = threading.RLock()
        self._on_attempt = on_attempt
        self._lanes: dict[str, _Lane] = {}
        self._changing = threading.Lock()
        self._closing = threading.Event()

    def start(self) -> None:
        """Take up what the last run left half done, and begin. Raises StoreError."""
        with self._store.write(self._now()) as writer:
            released = writer.release_claims()
            dated_later = writer.take_up_future()
        if released:
            log.info("delivery.taken_up", deliveries=released)
        if dated_later:
            log.warning("clock.was_set_back", deliveries_moved=dated_later)
        self.reload(self._settings)

    def wake(self, client_name: str) -> None:
        """Something was queued for this client, and is committed."""
        lane = self._lanes.get(client_name)
        if lane is not None:
            lane.wake_one()

    def reload(self, settings: Settings) -> None:
        """Take new settings of the clients; a try under way ends as it began."""
        with self._changing:
            if self._closing.is_set():
                return
            self._settings = settings
            clients = _clients(settings)
            for name in {*self._lanes, *clients}:
                self._staff(name, self._lanes.setdefault(name, _Lane()), clients.get(name))
        self._park_strangers()

    def close(self, timeout_s: float) -> None:
        """Stop claiming, and give the tries under way that long to end.

        What has not ended stays `sending` in the store, and is sent again at the next start.
        """
        with self._changing:
            self._closing.set()
            workers: list[threading.Thread] = []
            for lane in self._lanes.values():
                with lane.condition:
                    lane.client = None
                    workers += lane.workers.values()
                lane.wake()
        until = time.monotonic() + timeout_s
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
        left = sum(worker.is_alive() for worker in workers)
        if left:
            log.warning("delivery.left_for_next_start", tries=left)

    def _staff(self, name: str, lane: _Lane, client: Client | None) -> None:
        """Give a lane its client's settings and as many workers as these ask for."""
        with lane.condition:
            lane.client = client
            missing = set(range(client.concurrency if client is not None else 0)) - set(lane.workers)
            for number in sorted(missing):
                # A daemon thread: a try that outlives `close` must not hold the process.
                lane.workers[number] = threading.Thread(
                    target=self._work, args=(name, lane, number), name=f"deliver-{name}-{number}", daemon=True
                )
                lane.workers[number].start()
        lane.wake()

    def _park_strangers(self) -> None:
        """Park what is queued for clients that the configuration does not have."""
        try:
            now = self._clock()
            clients = _clients(self._settings)
            for name in self._store.queue_depths(now).keys() - clients.keys():
                reason = no_client(name)
                with self._store.write(now) as writer:
                    parked = writer.park(name, reason)
                if parked:
                    log.error("delivery.parked", client=name, deliveries=parked, error=reason)
        except StoreError as error:
            log.error("delivery.store_failed", error=str(error))

    # -- in a worker's thread ---------------------------------------------------------------

    def _work(self, name: str, lane: _Lane, number: int) -> None:
        claimed: Delivery | None = None
        while claimed is not None or self._goes_on(lane, number):
            try:
                if claimed is None:
                    claimed = self._next(name, lane, number)
                    continue
                delivery, claimed = claimed, None
                started_at, followed_s = self._moment()
                tried = self._try(delivery, lane, started_at)
                if tried is not None:
                    claimed = self._record(delivery, tried, followed_s, lane, number)
                    self._tell(delivery, tried)
            except Exception:
                log.exception("delivery.worker_failed", client=name)
                self._closing.wait(STORE_PAUSE_S)
        if not self._closing.is_set() and lane.client is None:
            self._park_strangers()

    def _goes_on(self, lane: _Lane, number: int) -> bool:
        """Whether to claim more; when not, the worker has signed off and may be replaced."""
        with lane.condition:
            if lane.wants(number):
                return True
            if lane.workers.get(number) is threading.current_thread() and not self._closing.is_set():
                del lane.workers[number]
            return False

    def _next(self, name: str, lane: _Lane, number: int) -> Delivery | None:
        """The next delivery; None after a sleep when there was none."""
        seen = lane.wakes
        try:
            now = self._now()
            due = self._store.next_due(name)
            if due is None or due > now:
                lane.wait(seen, LONGEST_SLEEP_S if due is None else min(LONGEST_SLEEP_S, due - now))
                return None
            if lane.fails:
                self._closing.wait(GIVES_WAY_S)
            with self._writing() as writer:
                claimed = writer.claim(name, 1) if lane.wants(number) else []
        except StoreError as error:
            if not self._closing.is_set():
                log.error("delivery.store_failed", client=name, error=str(error))
            self._closing.wait(STORE_PAUSE_S)
            return None
        if not claimed:
            return None
        lane.wake_one()
        return claimed[0]

    def _now(self) -> float:
        """The time, after what waits has followed the clock if that was set. Raises StoreError."""
        with self._reading_clock:
            now = self._clock()
            self._behind_s += self._steps.look(now, self._uptime())
            if self._behind_s:
                with self._store.write(now) as writer:
                    moved = writer.follow_clock(self._behind_s)
                log.warning("clock.was_set", by_s=round(self._behind_s), deliveries_moved=moved)
                self._followed_s += self._behind_s
                self._behind_s = 0.0
            return now

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Writer]:
        """A transaction of now: nobody follows a set clock between its time and its end."""
        with self._reading_clock, self._store.write(self._now()) as writer:
            yield writer

    def _moment(self) -> tuple[float, float]:
        """The time by the clock as it is set, and by how much it had been set in all when it was that."""
        with self._reading_clock:
            now = self._clock()
            return now, self._followed_s + self._behind_s + self._steps.pending(now, self._uptime())

    def _try(self, delivery: Delivery, lane: _Lane, started_at: float) -> Tried | None:
        """Make one try; None when the bridge is stopping, and the next start is to make it."""
        client = lane.client
        if client is not None:
            tried = self._trying.once(delivery, client, started_at)
            return _without_keys(tried) if self._settings.privacy.mask_digits else tried
        return None if self._closing.is_set() else self._trying.without_client(delivery)

    def _record(
        self, delivery: Delivery, tried: Tried, followed_s: float, lane: _Lane, number: int
    ) -> Delivery | None:
        """Record a try, however long the store takes to come back, and claim the next delivery.

        `followed_s` is how much the clock had been set by when the try began.
        """
        lane.fails = tried.outcome.what is not What.DELIVERED
        while True:
            try:
                again_at = tried.outcome.next_attempt_at
                with self._writing() as writer:
                    writer.record_attempt(
                        delivery.id,
                        tried.attempt,
                        next_attempt_at=None
                        if again_at is None
                        else again_at + self._followed_s - followed_s,
                        retry_index=tried.outcome.retry_index,
                    )
                    goes_on = lane.wants(number) and not lane.fails
                    claimed = writer.claim(delivery.client, 1) if goes_on else []
                return claimed[0] if claimed else None
            except StoreError as error:
                log.error(
                    "delivery.not_recorded",
                    client=delivery.client,
                    call=delivery.call_id,
                    delivery=delivery.id,
                    error=str(error),
                )
                if self._closing.wait(STORE_PAUSE_S):
                    return None

    def _tell(self, delivery: Delivery, tried: Tried) -> None:
        _log(delivery, tried)
        if self._on_attempt is not None:
            self._on_attempt(delivery, tried.attempt)


def _clients(settings: Settings) -> dict[str, Client]:
    """The clients that deliveries go to."""
    return {name: client for name, client in settings.clients.items() if client.kind in _KINDS}


def _without_keys(tried: Tried) -> Tried:
    """The try with the menu keys masked that a server repeats in its answer."""
    answer = tried.attempt.answer
    return replace(tried, attempt=replace(tried.attempt, answer=answer and without_keys(answer)))


def _log(delivery: Delivery, tried: Tried) -> None:
    attempt = tried.attempt
    told = log.bind(
        client=delivery.client,
        call=delivery.call_id,
        delivery=delivery.id,
        notice=delivery.event,
        status=attempt.status_code,
        elapsed_ms=round(attempt.elapsed_s * 1000),
    )
    match tried.outcome.what:
        case What.DELIVERED:
            told.info("delivery.sent")
        case What.RETRY:
            told.warning(
                "delivery.failed_try", error=attempt.error, next_attempt_at=tried.outcome.next_attempt_at
            )
        case What.FAILED:
            told.error("delivery.parked", error=attempt.error)
        case What.EXPIRED:
            told.warning("delivery.expired", error=attempt.error)
