"""Delivery workers by a clock that stands still until it is moved: days pass in seconds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from delivering import Bridge
from stored import NOW

from vipex_bridge.config.settings import Client
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.store.store import Store


@dataclass
class PassingTime:
    """The time of a `Bridge` over `store`, and its workers."""

    store: Store
    now: float = NOW
    clients: tuple[Client, ...] = ()
    deliveries: list[Deliveries] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    @contextmanager
    def running(self, bridge: Bridge, *clients: Client) -> Iterator[None]:
        """The workers of these clients go by this time."""
        bridge.clock = self
        self.clients = clients
        with bridge.running(*clients) as deliveries:
            self.deliveries = [deliveries]
            yield

    def move_to(self, moment: float, within_s: float = 60.0) -> None:
        """It is `moment`; returns when everything due by then has been tried that may be tried."""
        self.now = moment
        for client in self.clients:
            self.deliveries[0].wake(client.name)
        self.settle(within_s)

    def move_to_next(self) -> None:
        """It is the time of the next try; returns when that has been made."""
        due = [at for client in self.clients if (at := self.store.next_due(client.name)) is not None]
        self.move_to(max(self.now, min(due)))

    def settle(self, within_s: float = 60.0) -> None:
        """Block until nothing is due and nothing is being sent."""
        tick = threading.Event()
        for _ in range(round(within_s / 0.02)):
            if self._is_settled():
                return
            tick.wait(0.02)
        raise AssertionError("the workers do not come to rest")

    def _is_settled(self) -> bool:
        # What is left alone cannot move until the time does.
        tried = [one for one in self.clients if not self.deliveries[0].is_left_alone(one.name)]
        due = [self.store.next_due(client.name) for client in tried]
        if any(at is not None and at <= self.now for at in due):
            return False
        # After the above: a try that ends claims what it made claimable in the same transaction.
        return not self.store.deliveries(status="sending", limit=1)
