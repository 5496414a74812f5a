"""What the running bridge can be read off at any moment, for its metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from vipex_bridge.ami.session import Session
from vipex_bridge.bridge.ending import Ending
from vipex_bridge.bridge.live import Live
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.config.settings import Settings
from vipex_bridge.errors import StoreError
from vipex_bridge.metrics import Ami, Cdr, Present, Queue
from vipex_bridge.store.store import Store

log = structlog.get_logger()

LOOKED_AT_EVERY_S = 5.0
"""How old the figures of the queues are at most, while the store is quick."""
SHARE = 0.02
"""Of the time, the counting takes at most this much: a long queue is counted less often."""


@dataclass(slots=True)
class Measuring:
    """Counts the queues from time to time, and reads everything else when it is asked."""

    settings: Callable[[], Settings]
    store: Store
    tracker: Tracker
    live: Live
    ending: Ending
    poller: Poller | None
    session: Callable[[], Session | None]
    clock: Callable[[], float] = time.time
    _queues: Mapping[str, Queue] = field(default_factory=dict)
    _store_bytes: int = 0

    async def run(self) -> None:
        """Counts until cancelled."""
        while True:
            began = time.monotonic()
            try:
                await asyncio.to_thread(self.count)
            except StoreError as error:
                log.error("metrics.queues_not_counted", error=str(error))
            took_s = time.monotonic() - began
            await asyncio.sleep(max(LOOKED_AT_EVERY_S, took_s / SHARE))

    def count(self) -> None:
        """Looks into the store; blocking. Raises StoreError."""
        settings = self.settings()
        depths, paused = self.store.queue_depths(self.clock()), self.store.paused()
        told_to = {name for name, client in settings.clients.items() if client.kind != "lookup"}
        self._queues = {
            name: Queue(*depths.get(name, (0, 0.0)), is_paused=name in paused)
            for name in sorted(told_to | depths.keys())
        }
        self._store_bytes = self.store.size_bytes()

    def present(self) -> Present:
        """How the bridge is now. Of the event loop, as the tracker is."""
        settings, session, trouble = self.settings(), self.session(), self.ending.source_trouble
        return Present(
            node=settings.node,
            ami=None if session is None else Ami(session.connected, session.reconnects, session.malformed),
            events=dict(self.live.events),
            failed_events=self.live.failed_events,
            calls_up=sum(bool(call.channels) and not call.is_over() for call in self.tracker.calls()),
            notices=dict(self.live.noticed),
            told=dict(self.ending.told),
            failed_calls=self.ending.failed_calls,
            failed_looks=self.ending.failed_looks,
            cdr=None
            if self.poller is None
            else Cdr(trouble is None, self.poller.bad_rows, self.ending.late_rows, self.poller.last_read_at),
            queues=self._queues,
            lookup_timeouts_s={
                name: client.timeout_s for name, client in settings.clients.items() if client.kind == "lookup"
            },
            store_bytes=self._store_bytes,
            customers_at_fault=len(settings.disabled),
        )
