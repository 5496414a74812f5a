"""What one client's workers have in hand: claimed and not tried yet, tried and not recorded yet.

Several are claimed at once only while the server answers at a glance, and any free worker takes the next one:
nothing that was claimed sits behind another's exchange. One worker at a time records what all of them have
tried meanwhile, in one transaction, while the others go on.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from vipex_bridge.deliver.attempt import Tried
from vipex_bridge.store.outbox import Delivery
from vipex_bridge.store.results import Result

HOLDS_S = 2.0
"""What was claimed longer ago is claimed anew: much may have changed meanwhile."""
QUICK_S = 0.1
"""A server that answers within this time is given several at once."""
MOST = 64
"""How many are claimed at once, and at most not recorded at the same time but for those under way."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is marked as being sent on the disk."""

    delivery: Delivery
    asked_at_s: float
    """When that was begun, on `time.monotonic()`."""
    held_from_s: float
    """When it was done."""
    followed_s: float
    """By how much the clock had been set in all by then."""


@dataclass(frozen=True, slots=True)
class Made:
    """A try that is over."""

    delivery: Delivery
    tried: Tried
    followed_s: float
    """By how much the clock had been set in all when it began."""

    def result(self, followed_s: float) -> Result:
        """As the outbox keeps it, when the clock has been set by `followed_s` in all."""
        outcome = self.tried.outcome
        again_at = outcome.next_attempt_at
        if again_at is not None:
            again_at += followed_s - self.followed_s
        return Result(self.delivery.id, self.tried.attempt, again_at, outcome.retry_index)


@dataclass(frozen=True, slots=True)
class Settling:
    """What one transaction is to write: tries, and the ids of what was claimed in vain."""

    made: list[Made]
    back: list[int]


class Hand:
    """Guarded by a lock of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: deque[Claimed] = deque()
        self._made: list[Made] = []
        self._back: list[int] = []
        self._is_settling = False
        self._is_quick = False
        self._valid_from_s = float("-inf")

    def take(self, now: float, at_s: float, followed_s: float) -> Delivery | None:
        """The next one to be tried; what is not fit to be tried any more is to be put back."""
        with self._lock:
            while self._claimed:
                claimed = self._claimed.popleft()
                expires_at = claimed.delivery.expires_at
                if (
                    claimed.asked_at_s >= self._valid_from_s
                    and claimed.held_from_s >= at_s - HOLDS_S
                    and claimed.followed_s == followed_s
                    and (expires_at is None or now < expires_at)
                ):
                    return claimed.delivery
                self._back.append(claimed.delivery.id)
            return None

    def refuse(self, delivery: Delivery) -> None:
        """It is not to be tried now after all."""
        with self._lock:
            self._back.append(delivery.id)

    def drop(self, at_s: float) -> None:
        """What was claimed until now is not to be tried."""
        with self._lock:
            self._valid_from_s = at_s
            self._back += [claimed.delivery.id for claimed in self._claimed]
            self._claimed.clear()

    def add(
        self, deliveries: list[Delivery], asked_at_s: float, held_from_s: float, followed_s: float
    ) -> None:
        """These are claimed on the disk; see `Claimed`."""
        with self._lock:
            self._claimed.extend(Claimed(d, asked_at_s, held_from_s, followed_s) for d in deliveries)

    def keep(self, made: Made) -> None:
        """A try is over, and is to be recorded."""
        with self._lock:
            self._made.append(made)
            attempt = made.tried.attempt
            self._is_quick = attempt.status_code is not None and attempt.elapsed_s < QUICK_S

    def room(self, workers: int, tried: int) -> int:
        """How many may be claimed, when so many were tried since the last time."""
        with self._lock:
            if not self._is_quick:
                return 1 if not self._claimed else 0
            return max(0, min(MOST, 2 * (workers + tried)) - len(self._claimed))

    def has_work(self) -> bool:
        """Whether some worker is to see to it."""
        with self._lock:
            return bool(self._claimed or self._made or self._back)

    def has_unsettled(self) -> bool:
        """Whether something is to be written down."""
        with self._lock:
            return bool(self._made or self._back)

    def begin_settling(self) -> Settling | None:
        """What is to be written down; None while another worker is at it."""
        with self._lock:
            if self._is_settling:
                return None
            self._is_settling = True
            settling = Settling(self._made, self._back)
            self._made, self._back = [], []
            return settling

    def settled(self, left: Settling | None = None) -> None:
        """That is over; `left`: it could not be written, and is still to be."""
        with self._lock:
            self._is_settling = False
            if left is not None:
                self._made[:0] = left.made
                self._back[:0] = left.back
