"""Delivery workers over a real store, and the means to wait for what they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import FileIO
from zoneinfo import ZoneInfo

from faulty_server import Received
from stored import found

from vipex_bridge.config.settings import Agi, Client, Numbers, Secret, Settings
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.recordings import opened
from vipex_bridge.store.outbox import Delivery, NewAttempt
from vipex_bridge.store.store import Store

QUICK = (0.01, 0.02, 0.03)


def client(name: str = "billing", **options: object) -> Client:
    made = Client(name, "call_end", "http://127.0.0.1/", "POST", (), timeout_s=5.0, retry_s=QUICK)
    return replace(made, **options)  # type: ignore[arg-type]


def settings_of(*clients: Client) -> Settings:
    return Settings(
        node="pbx1",
        timezone=ZoneInfo("UTC"),
        ami=None,
        agi=Agi(None, 0, None),
        cdr=None,
        cel=None,
        recordings=None,
        numbers=Numbers(),
        store=Secret(""),
        retention_s=86400.0,
        http=None,
        clients={made.name: made for made in clients},
    )


def no_recordings(name: str) -> FileIO:
    return opened(None, name)


@dataclass
class Bridge:
    """A store with workers over it, and the means to wait for what they do."""

    store: Store
    transport: Transport
    open_recording: Callable[[str], FileIO] = no_recordings
    tried: list[tuple[int, str]] = field(default_factory=list)
    clock: Callable[[], float] = time.time
    uptime: Callable[[], float] | None = None
    """None: the clock is not set by anybody, time passes as it says."""
    happened: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def running(self, *clients: Client, within_s: float = 5.0) -> Iterator[Deliveries]:
        deliveries = Deliveries(
            self.store,
            settings_of(*clients),
            self.transport,
            open_recording=self.open_recording,
            clock=self.clock,
            uptime=self.uptime or self.clock,
            random=lambda: 0.0,
            on_attempt=self.on_attempt,
        )
        deliveries.start()
        try:
            yield deliveries
        finally:
            deliveries.close(within_s)

    def on_attempt(self, delivery: Delivery, attempt: NewAttempt) -> None:
        with self.happened:
            self.tried.append((delivery.id, attempt.outcome))
            self.happened.notify_all()

    def wait_for(self, count: int) -> None:
        """Block until so many tries have been recorded in all."""
        with self.happened:
            assert self.happened.wait_for(lambda: len(self.tried) >= count, 20), self.tried

    def status(self, delivery_id: int) -> str:
        return found(self.store, delivery_id).status


def keys(received: list[Received]) -> set[str | None]:
    return {request.header("Idempotency-Key") for request in received}


def wait_for_workers() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("deliver-"):
            thread.join(20)
            assert not thread.is_alive()


def wait_until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    tick = threading.Event()
    for _ in range(round(within_s / 0.02)):
        if true():
            return
        tick.wait(0.02)
    raise AssertionError("it did not come about")
