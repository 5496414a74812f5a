"""What the pages and the API look at: the running bridge, seen from its server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.config.settings import Settings
from vipex_bridge.console.lookup_times import LookupTimes
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.lookup.asked import LookupLog
from vipex_bridge.lookup.exchange import Lookups
from vipex_bridge.metrics import Metrics, Present
from vipex_bridge.server.health import Part
from vipex_bridge.store.store import Store


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one bridge. What is called gives what is so at that moment."""

    store: Store
    settings: Callable[[], Settings]
    deliveries: Deliveries
    tracker: Tracker
    """Of the event loop: read it there alone."""
    transport: Transport
    lookups: Lookups
    health: Callable[[], list[Part]]
    """The parts but the store, which is tried when it is asked about."""
    metrics: Metrics
    present: Callable[[], Present]
    """Of the event loop, likewise."""
    clock: Callable[[], float] = field(default=time.time)
    lookup_times: LookupTimes = field(default_factory=LookupTimes)
    lookup_log: LookupLog = field(default_factory=LookupLog)
