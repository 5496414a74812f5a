"""The bridge's metrics for Prometheus, counted and written. What each means: docs/metrics.md.

What happens often is counted here as it happens, from any thread; what can be read off the running bridge
is read when Prometheus asks. No label holds anything of a caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from vipex_bridge import __version__
from vipex_bridge.calls.document import Direction
from vipex_bridge.config.settings import Client
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.series import Counts, Times, gauges
from vipex_bridge.store.outbox import Delivery, NewAttempt

OUTCOMES = ("delivered", "retry", "failed", "expired")
STATUSES = ("OK", "NOMATCH", "TIMEOUT", "HTTPERROR", "UNREACHABLE", "BADRESPONSE", "OPEN")
"""What a lookup that has a client can end with (contract, section 3)."""
EXCHANGE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
DELAY_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0)
_OWN_EVENT = re.compile(r"[a-z_]+\.[a-z_]+")


@dataclass(frozen=True, slots=True)
class Ami:
    """The manager connection."""

    is_connected: bool
    reconnects: int
    malformed: int


@dataclass(frozen=True, slots=True)
class Cdr:
    """The CDR source."""

    is_readable: bool
    bad_rows: int
    late_rows: int
    read_at: float | None
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one client."""

    waiting: int = 0
    oldest_s: float = 0.0
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """What is read off the running bridge at one moment. What it does without is None."""

    node: str
    ami: Ami | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    failed_events: int = 0
    calls_up: int = 0
    notices: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[Direction, int] = field(default_factory=dict)
    failed_calls: int = 0
    failed_looks: int = 0
    cdr: Cdr | None = None
    queues: Mapping[str, Queue] = field(default_factory=dict)
    lookup_timeouts_s: Mapping[str, float] = field(default_factory=dict)
    store_bytes: int = 0
    customers_at_fault: int = 0


class Metrics:
    """Counts, from any thread, and writes what was counted."""

    def __init__(self) -> None:
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._deliveries = Counts(
            "vipex_deliveries",
            "Tries of deliveries by what came of them; expired ones without a try count too",
            ["client", "outcome"],
        )
        self._exchange_s = Times(
            "vipex_delivery_seconds",
            "How long a delivery's exchange took, whatever came of it",
            ["client"],
            EXCHANGE_BUCKETS_S,
        )
        self._delay_s = Times(
            "vipex_delivery_delay_seconds",
            "From a delivery's queueing to its success",
            ["kind"],
            DELAY_BUCKETS_S,
        )
        self._lookups = Counts("vipex_lookups", "Lookups by VIPEX_STATUS", ["client", "status"])
        self._lookup_s = Times(
            "vipex_lookup_seconds",
            "How long the dialplan waited for a lookup's answer",
            ["client"],
            EXCHANGE_BUCKETS_S,
        )
        self._log_lines = Counts(
            "vipex_log_lines", "Lines logged as warning or worse, by event", ["level", "event"]
        )

    def expects(self, clients: Iterable[Client]) -> None:
        """These clients are configured: what has not happened yet is 0, so that its first time is a rise."""
        for client in clients:
            if client.kind == "lookup":
                for status in STATUSES:
                    self._lookups.expect((client.name, status))
            else:
                for outcome in OUTCOMES:
                    self._deliveries.expect((client.name, outcome))

    def tried(self, delivery: Delivery, attempt: NewAttempt) -> None:
        """A try of a delivery was made."""
        self._deliveries.add((delivery.client, attempt.outcome))
        self._exchange_s.observe((delivery.client,), attempt.elapsed_s)
        if attempt.outcome == "delivered":
            done_at = attempt.started_at + attempt.elapsed_s
            self._delay_s.observe((delivery.kind,), max(0.0, done_at - delivery.created_at))

    def expired(self, client: str, deliveries: int) -> None:
        """So many of the client's deliveries expired before their next try."""
        self._deliveries.add((client, "expired"), deliveries)

    def asked(self, client: str, result: LookupResult) -> None:
        """A lookup has ended."""
        self._lookups.add((client, result.status))
        self._lookup_s.observe((client,), result.elapsed_s)

    def logged(self, level: str, event: str) -> None:
        """A line was logged. What a library says in its own words is counted as `library`."""
        if level not in ("debug", "info"):
            self._log_lines.add((level, event if _OWN_EVENT.fullmatch(event) else "library"))

    def exposition(self, present: Present) -> tuple[bytes, str]:
        """Everything in Prometheus' text format, and its content type."""
        read = CollectorRegistry()
        read.register(_Read(present))
        counted = (
            self._deliveries, self._exchange_s, self._delay_s, self._lookups, self._lookup_s, self._log_lines
        )  # fmt: skip
        own = [*(metric.text() for metric in counted), *_of_clients(present)]
        return generate_latest(self._process) + generate_latest(read) + "".join(
            own
        ).encode(), CONTENT_TYPE_LATEST


def _of_clients(now: Present) -> Iterator[str]:
    """The gauges of the clients, thousands of them: prometheus-client takes long for so many."""
    waiting = {client: queue.waiting for client, queue in now.queues.items()}
    oldest_s = {client: queue.oldest_s for client, queue in now.queues.items()}
    paused = {client: queue.is_paused for client, queue in now.queues.items()}
    yield gauges("vipex_queue_deliveries", "Deliveries that wait or are sent", "client", waiting)
    yield gauges("vipex_queue_oldest_seconds", "Age of the oldest that waits", "client", oldest_s)
    yield gauges("vipex_client_paused", "1 while the client is paused", "client", paused)
    yield gauges("vipex_lookup_timeout_seconds", "A lookup's deadline", "client", now.lookup_timeouts_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Read(Collector):
    """What was read off the bridge, as prometheus-client takes it."""

    present: Present

    def collect(self) -> Iterator[Metric]:
        """Each metric that there is something to say of."""
        now = self.present
        info = GaugeMetricFamily("vipex_build_info", "The version that runs", labels=["version", "node"])
        info.add_metric([__version__, now.node], 1)
        yield info
        if now.ami is not None:
            yield _gauge("vipex_ami_connected", "1 while logged in to Asterisk", now.ami.is_connected)
            yield _counter("vipex_ami_reconnects", "Log-ins after the first", now.ami.reconnects)
            yield _counter("vipex_ami_malformed", "Messages that could not be read", now.ami.malformed)
        yield _counters("vipex_ami_events", "Events taken from Asterisk", "event", now.events)
        yield _counter("vipex_events_failed", "Events that could not be tracked", now.failed_events)
        yield _gauge("vipex_calls_up", "Calls that are up", now.calls_up)
        yield _counters("vipex_notices", "What happened to calls", "event", now.notices)
        told = {direction.name.lower(): now.told.get(direction, 0) for direction in Direction}
        yield _counters("vipex_calls_told", "Finished calls", "direction", told)
        yield _counter("vipex_calls_failed", "Finished calls that could not be built", now.failed_calls)
        yield _counter("vipex_looks_failed", "Looks for CDR or CEL rows that broke off", now.failed_looks)
        if now.cdr is not None:
            yield _gauge("vipex_cdr_readable", "1 while the CDR source can be read", now.cdr.is_readable)
            yield _counter("vipex_cdr_bad_rows", "Rows that cannot be a call's", now.cdr.bad_rows)
            yield _counter("vipex_cdr_late_rows", "Rows of calls that were told", now.cdr.late_rows)
            yield _gauge("vipex_cdr_read_timestamp_seconds", "Last read without error", now.cdr.read_at or 0)
        at_fault = float(now.customers_at_fault)
        yield _gauge("vipex_customers_at_fault", "Included files that cannot be used", at_fault)
        yield _gauge("vipex_store_bytes", "Size of the store's file", now.store_bytes)


def _gauge(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, says, value=float(value))


def _counter(name: str, says: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, says, value=float(value))


def _counters(name: str, says: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, says, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
