"""The delivery workers: threads of each client's own, so that a dead client delays no other.

A worker sends what is claimed; in one transaction it records what came of that, and of what the client's
other workers have sent meanwhile, and claims what is next. With nothing due for a while it leaves; one
thread for all clients looks for what has become due.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from io import FileIO
from random import random as any_random

import structlog

from vipex_bridge.config.settings import Settings
from vipex_bridge.deliver import clock as clocks
from vipex_bridge.deliver.attempt import Tried, Trying, log_not_recorded, log_try, with_keys_masked
from vipex_bridge.deliver.claims import Claims
from vipex_bridge.deliver.hand import Made, Settling
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.lane import Lane, clients_of
from vipex_bridge.deliver.strangers import park_strangers
from vipex_bridge.deliver.timing import Timing
from vipex_bridge.errors import StoreError
from vipex_bridge.store.outbox import Delivery, NewAttempt
from vipex_bridge.store.store import Store
from vipex_bridge.store.writer import Writer

log = structlog.get_logger()

LONGEST_SLEEP_S = 5.0
"""The clock may be set meanwhile, and `resend` comes from another process that cannot wake us.

So long a worker waits for something to do; what falls due later, the watch finds.
"""
STORE_PAUSE_S = 1.0
"""Between tries to reach a store that fails."""


class Deliveries:
    """Brings what is in the outbox to the clients' servers, until closed.

    `on_attempt` is told of every try, `on_expired` how many of a client's deliveries waited too long; both
    in the worker's thread.
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
        on_expired: Callable[[str, int], None] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._trying = Trying(transport, open_recording, clock, uptime, random)
        self._clock = clock
        self._uptime = uptime
        self._timing = Timing(store, clock, uptime)
        self._on_attempt = on_attempt
        self._on_expired = on_expired
        self._claims = Claims()
        self._lanes: dict[str, Lane] = {}
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._to_look = threading.Event()
        """Something may be due that nobody was woken for."""
        self._watching = threading.Thread(target=self._watch, name="watch-outbox", daemon=True)

    def start(self) -> None:
        """Take up what the last run left half done, and begin. Raises StoreError."""
        with self._store.write(self._timing.now()) as writer:
            released = writer.release_claims()
            dated_later = writer.take_up_future()
        if released:
            log.info("delivery.taken_up", deliveries=released)
        if dated_later:
            log.warning("clock.was_set_back", deliveries_moved=dated_later)
        for name in self._store.paused():
            log.warning("delivery.paused", client=name)
        self.reload(self._settings)
        self._watching.start()

    def wake(self, client_name: str) -> None:
        """Something was queued for this client, and is committed."""
        lane = self._lanes.get(client_name)
        # Nobody can try at a server that is left alone: waking him would only take time from the others.
        if lane is not None and lane.wait_s(self._uptime()) == 0:
            lane.wake_one()

    @contextlib.contextmanager
    def claiming(self) -> Iterator[Callable[[Writer, Collection[str]], None]]:
        """Around a transaction that queues something for some clients.

        What is given is to be called at the transaction's end with the clients: it claims what can be sent
        at once. When the block ends the transaction is committed, and that is sent.
        """
        asked_at_s, followed_s = time.monotonic(), self._timing.followed_s
        found: dict[str, list[Delivery]] = {}
        writers: list[Writer] = []

        def claim(writer: Writer, clients: Collection[str]) -> None:
            writers.append(writer)
            for name in clients:
                lane = self._lanes.get(name)
                free = lane.free() if lane is not None and lane.wait_s(self._uptime()) == 0 else 0
                room = min(free, lane.hand.room(free, 0)) if lane is not None else 0
                found[name] = writer.claim(name, room) if room else []
                self._claims.take(found[name])

        try:
            yield claim
        except BaseException:
            self._claims.lose([d.id for deliveries in found.values() for d in deliveries], self._uptime())
            raise
        for name, deliveries in found.items():
            if deliveries:
                self._lanes[name].hand.add(deliveries, asked_at_s, time.monotonic(), followed_s)
                for _ in deliveries:
                    self._lanes[name].wake_one()
            else:
                self.wake(name)
        for writer in writers:
            self._count_expired(writer)

    def look(self) -> None:
        """Something was queued for some clients or other, and is committed."""
        self._to_look.set()

    def take_over(self) -> None:
        """Take what bridges that died have to send to clients that are configured here. Raises StoreError."""
        taken = self._store.take_over(clients_of(self._settings).keys(), self._clock())
        for node, deliveries in taken.items():
            log.warning("delivery.taken_over", node=node, deliveries=deliveries)
        if taken:
            self._to_look.set()

    def is_left_alone(self, client_name: str) -> bool:
        """Whether what is due waits because the client's server has not answered for long."""
        lane = self._lanes.get(client_name)
        return lane is not None and lane.wait_s(self._uptime()) > 0

    def pause(self, client_name: str, *, is_paused: bool) -> bool:
        """Send this client nothing from now on, or again; False when there is no such client.

        What is queued stays queued, and notifications expire. The pause is kept in the store: it holds until
        it is ended, also over restarts. Raises StoreError.
        """
        lane = self._lanes.get(client_name)
        if lane is None or lane.client is None:
            return False
        with self._writing() as writer:
            is_new = writer.pause(client_name, is_paused=is_paused)
        lane.hand.drop(time.monotonic())
        lane.wake()
        if is_new:
            log.warning("delivery.paused" if is_paused else "delivery.resumed", client=client_name)
        return True

    def reload(self, settings: Settings) -> None:
        """Take new settings of the clients; a try under way ends as it began."""
        with self._changing:
            if self._closing.is_set():
                return
            self._settings = settings
            clients = clients_of(settings)
            for name in {*self._lanes, *clients}:
                if name not in self._lanes:
                    # Replaced, not changed: others go through it meanwhile.
                    self._lanes = {**self._lanes, name: Lane(partial(self._work, name), name)}
                self._lanes[name].take(clients.get(name))
        self._to_look.set()
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
                    workers += lane.workers.values()
                    lane.take(None)
        self._to_look.set()
        until = time.monotonic() + timeout_s
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
        left = sum(worker.is_alive() for worker in workers)
        if left:
            log.warning("delivery.left_for_next_start", tries=left)

    def _park_strangers(self) -> None:
        park_strangers(self._store, self._settings, self._clock())

    # -- in the watch's thread --------------------------------------------------------------

    def _watch(self) -> None:
        """Wakes the workers of every client for whom something has become due by itself."""
        wait_s = 0.0
        while True:
            self._to_look.wait(wait_s)
            self._to_look.clear()
            if self._closing.is_set():
                return
            wait_s = LONGEST_SLEEP_S
            try:
                self._queue_strays()
                now = self._timing.now()
                for name, due in self._store.due_by_client().items():
                    lane = self._lanes.get(name)
                    if lane is not None and lane.client is None:
                        # Rendered before the reload that took its client away, and committed after it.
                        park_strangers(self._store, self._settings, self._clock(), [name])
                    elif due > now:
                        wait_s = min(wait_s, due - now)
                    elif lane is not None:
                        lane.wake_one()
                for lane in self._lanes.values():
                    if lane.hand.has_work():
                        lane.wake_one()
            except StoreError as error:
                self._claims.lose((), self._uptime())
                log.error("delivery.store_failed", error=str(error))
                wait_s = STORE_PAUSE_S
            except Exception:
                log.exception("delivery.watch_failed")

    def _queue_strays(self) -> None:
        if self._claims.may_stray(self._uptime()):
            with self._writing() as writer:
                released = writer.release_claims(but=self._claims.in_hand())
            if released:
                log.warning("delivery.taken_up", deliveries=released)

    # -- in a worker's thread ---------------------------------------------------------------

    def _work(self, name: str, number: int) -> None:
        lane = self._lanes[name]
        while lane.goes_on(number):
            try:
                seen = lane.wakes
                delivery, started_at, followed_s = self._taken(lane)
                if delivery is None:
                    if not self._settle(name, lane, number, seen):
                        lane.rest(number, seen, LONGEST_SLEEP_S, may_leave=True)
                    continue
                tried = self._try(delivery, lane, started_at)
                if tried is not None:
                    if tried.attempt.status_code is not None:
                        lane.was_answered()
                    lane.hand.keep(Made(delivery, tried, followed_s))
                    self._settle(name, lane, number, seen)
            except Exception:
                log.exception("delivery.worker_failed", client=name)
                self._closing.wait(STORE_PAUSE_S)
        if lane.client is None:
            lane.hand.drop(time.monotonic())
            if lane.hand.has_unsettled():
                self._settle(name, lane, number, lane.wakes)
            if not self._closing.is_set():
                self._park_strangers()
        elif lane.hand.has_work():
            lane.wake_one()

    def _taken(self, lane: Lane) -> tuple[Delivery | None, float, float]:
        """The next of what is claimed and may be tried now; the moment, and how much the clock was set."""
        now, followed_s = self._timing.moment()
        delivery = lane.hand.take(now, time.monotonic(), followed_s)
        if delivery is not None and not lane.may_try(self._uptime()):
            lane.hand.refuse(delivery)
            delivery = None
        return delivery, now, followed_s

    def _settle(self, name: str, lane: Lane, number: int, seen: int) -> bool:
        """Record what was tried, and claim what comes next; False when another worker is at it.

        A worker who finds nothing to do rests until something is due, or woken.
        """
        while True:
            settling = lane.hand.begin_settling()
            if settling is None:
                return False
            left: Settling | None = settling
            rest_s = None
            try:
                if settling.made or settling.back:
                    self._write_down(name, lane, number, settling)
                    self._tell(settling.made)
                else:
                    rest_s = self._claim_when_due(name, lane, number)
                left = None
            except StoreError as error:
                # What was claimed in vain is queued again with the strays.
                self._claims.lose(settling.back, self._uptime())
                left = Settling(settling.made, [])
                if not settling.made and not self._closing.is_set():
                    log.error("delivery.store_failed", client=name, error=str(error))
                for made in settling.made:
                    log_not_recorded(made.delivery, error)
            except BaseException:
                # Whatever it is, it would come again: they are sent again at the next start.
                left = None
                raise
            finally:
                lane.hand.settled(left)
            if left is not None and self._closing.wait(STORE_PAUSE_S):
                return True
            # What another worker has tried meanwhile was left to this one to write down.
            if rest_s is not None and not lane.hand.has_unsettled():
                is_left_alone = lane.wait_s(self._uptime()) > 0
                may_leave = number > 0 if is_left_alone else rest_s >= LONGEST_SLEEP_S
                lane.rest(number, seen, rest_s, may_leave=may_leave)
                return True
            if not lane.hand.has_unsettled():
                return True

    def _claim_when_due(self, name: str, lane: Lane, number: int) -> float | None:
        """Claims what is due; gives for how long there is nothing to do, None for not at all."""
        left_alone_s = lane.wait_s(self._uptime())
        if left_alone_s > 0:
            return min(LONGEST_SLEEP_S, left_alone_s)
        now = self._timing.now()
        due = self._store.next_due(name)
        if due is None or due > now:
            return LONGEST_SLEEP_S if due is None else min(LONGEST_SLEEP_S, due - now)
        self._write_down(name, lane, number, Settling([], []))
        return None

    def _write_down(self, name: str, lane: Lane, number: int, settling: Settling) -> None:
        """One transaction: what was tried is recorded, and what is due claimed, as far as it can be sent."""
        asked_at_s = time.monotonic()
        found: list[Delivery] = []
        made = {each.delivery.id for each in settling.made}
        try:
            with self._writing() as writer:
                if settling.made:
                    writer.record([each.result(self._timing.followed_s) for each in settling.made])
                if settling.back:
                    writer.put_back(settling.back)
                    self._claims.end(settling.back)
                goes_on = lane.wants(number) and lane.wait_s(self._uptime()) == 0
                room = lane.hand.room(lane.concurrency(), len(settling.made)) if goes_on else 0
                found = writer.claim(name, room) if room else []
                self._claims.take(found)
                followed_s = self._timing.followed_s
        except BaseException:
            # A try that is still to be recorded stays in hand.
            self._claims.lose({delivery.id for delivery in found} - made, self._uptime())
            raise
        # One whose next try is due already was claimed again at once.
        self._claims.end(made - {delivery.id for delivery in found})
        lane.hand.add(found, asked_at_s, time.monotonic(), followed_s)
        # One of them is this worker's own; when there may be more, another worker is to look.
        for _ in range(len(found) if len(found) == room else len(found) - 1):
            lane.wake_one()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Writer]:
        with self._timing.writing() as writer:
            yield writer
        self._count_expired(writer)

    def _count_expired(self, writer: Writer) -> None:
        if self._on_expired is not None:
            for client, deliveries in writer.expired.items():
                self._on_expired(client, deliveries)

    def _try(self, delivery: Delivery, lane: Lane, started_at: float) -> Tried | None:
        """Make one try; None when the bridge is stopping, and the next start is to make it."""
        client = lane.client
        if client is not None:
            tried = self._trying.once(delivery, client, started_at)
            return with_keys_masked(tried) if self._settings.privacy.mask_digits else tried
        return None if self._closing.is_set() else self._trying.without_client(delivery)

    def _tell(self, settled: list[Made]) -> None:
        for made in settled:
            log_try(made.delivery, made.tried)
            if self._on_attempt is not None:
                self._on_attempt(made.delivery, made.tried.attempt)
