"""The time of the outbox's transactions: what waits follows a clock that is set, between two of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog

from vipex_bridge.deliver.clock import Steps
from vipex_bridge.store.store import Store
from vipex_bridge.store.writer import Writer

log = structlog.get_logger()


class Timing:
    """Whichever thread reads the clock first after it was set has what waits follow it."""

    def __init__(self, store: Store, clock: Callable[[], float], uptime: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._uptime = uptime
        self._reading = threading.Lock()
        self._steps = Steps()
        self._behind_s = 0.0
        """By how much the clock was set and the waiting deliveries not yet moved."""
        self.followed_s = 0.0
        """By how much it was set in all, as far as the waiting deliveries were moved."""
        self._following = Following()

    def now(self) -> float:
        """The time, after what waits has followed the clock if that was set. Raises StoreError."""
        with self._reading:
            now = self._clock()
            self._behind_s += self._steps.look(now, self._uptime())
            if not self._behind_s:
                return now
        with self._following.alone():
            behind_s = self._behind_s
            if behind_s:
                with self._store.write(now) as writer:
                    moved = writer.follow_clock(behind_s)
                log.warning("clock.was_set", by_s=round(behind_s), deliveries_moved=moved)
                with self._reading:
                    self.followed_s += behind_s
                    self._behind_s -= behind_s
        return now

    def moment(self) -> tuple[float, float]:
        """The time by the clock as it is set, and by how much it had been set in all when it was that."""
        with self._reading:
            now = self._clock()
            return now, self.followed_s + self._behind_s + self._steps.pending(now, self._uptime())

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """A transaction of now: nobody follows a set clock between its time and its end."""
        while True:
            self.now()
            with self._following.together():
                now, set_by_s = self.moment()
                # Else it was set just now, and is followed first.
                if set_by_s == self.followed_s:
                    with self._store.write(now) as writer:
                        yield writer
                    return


class Following:
    """Transactions of one time, any number at once; or one alone, in which what waits follows the clock."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._is_alone = False

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Nobody follows a set clock meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone)
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else is in a transaction of ours."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone)
            self._is_alone = True
            self._changed.wait_for(lambda: not self._together)
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()
