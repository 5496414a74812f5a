"""Which claimed deliveries the workers have in hand.

When the store fails in the moment of a commit, whether a claim was kept is not known: nobody has in hand what
the store then has as being sent. Such strays are queued again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager

from vipex_bridge.store.outbox import Delivery
from vipex_bridge.store.writer import Writer

Claiming = Callable[[], AbstractContextManager[Callable[[Writer, Collection[str]], None]]]
"""What is done around a transaction that queues something: `Deliveries.claiming`."""

UNSURE_FOR_S = 60.0
"""So long after a failed commit strays are looked for: a frozen server may still do it once it goes on."""


class Claims:
    """The deliveries that workers have in hand, from before their claim is committed."""

    def __init__(self) -> None:
        self._in_hand: set[int] = set()
        self._unsure_until_s: float | None = None
        self._changing = threading.Lock()

    def take(self, claimed: Sequence[Delivery]) -> None:
        """These are about to be committed as claimed."""
        with self._changing:
            self._in_hand.update(delivery.id for delivery in claimed)

    def lose(self, delivery_ids: Collection[int], uptime_s: float) -> None:
        """The commit failed: perhaps it was done all the same."""
        with self._changing:
            self._in_hand.difference_update(delivery_ids)
            self._unsure_until_s = uptime_s + UNSURE_FOR_S

    def end(self, delivery_ids: Collection[int]) -> None:
        """What became of them is in the store."""
        with self._changing:
            self._in_hand.difference_update(delivery_ids)

    def may_stray(self, uptime_s: float) -> bool:
        """Whether the store may have claims that nobody has in hand."""
        with self._changing:
            return self._unsure_until_s is not None and uptime_s < self._unsure_until_s

    def in_hand(self) -> frozenset[int]:
        """Those in hand by now."""
        with self._changing:
            return frozenset(self._in_hand)
