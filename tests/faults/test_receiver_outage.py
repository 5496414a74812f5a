"""A receiver that is down for 26 hours while calls go on: all of them arrive after it, in order, none twice.

Real workers, store and sockets; the hours are passed in.
"""

from __future__ import annotations

import json
import socket
import time as real_time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from delivering import Bridge
from faulty_server import Answer, FaultyServer, running
from passing_time import PassingTime
from reliability import record, rounds
from stored import NOW, new, open_in, queued

from vipex_bridge.config.load import load_text
from vipex_bridge.config.settings import Client
from vipex_bridge.deliver.http import Transport
from vipex_bridge.store.outbox import NewDelivery

CONFIGURATION = """
node: test
asterisk: {}
clients:
  billing: {kind: call_end, url: 'http://host/'}
"""
HOURS = 26
STEP_S = 600.0
EVENTS = ("arrival", "ringing", "answer", "hangup")
LONG_TIMEOUT_S = 3000


@dataclass
class Outage:
    """The calls of the time in which a receiver was down."""

    time: PassingTime
    url: str
    calls: int
    queued: int = 0

    def goes_on(self) -> None:
        """Calls spread evenly over the hours: each one's end to one client, some notices to another."""
        steps = round(HOURS * 3600 / STEP_S)
        begun = 0
        for step in range(1, steps + 1):
            upto = self.calls * step // steps
            made = [delivery for call in range(begun, upto) for delivery in self._of_call(call)]
            if made:
                queued(self.time.store, *made, now=self.time.now)
            self.queued, begun = self.queued + len(made), upto
            self.time.move_to(NOW + step * STEP_S)

    def _of_call(self, call: int) -> Iterator[NewDelivery]:
        for event in EVENTS if call % 10 == 0 else ():
            yield self._delivery("crm", call, event)
        yield self._delivery("billing", call, "call_end")

    def _delivery(self, name: str, call: int, event: str) -> NewDelivery:
        body = json.dumps({"call": call, "event": event})
        return new(name, call, event=event, at=self.time.now, url=f"{self.url}/{name}/{call}", body=body)

    def is_told(self) -> None:
        """It is over: the hours go on until nothing waits any more."""
        while due := [
            at for one in self.time.clients if (at := self.time.store.next_due(one.name)) is not None
        ]:
            # Much waits, and all of it goes at once.
            self.time.move_to(max(self.time.now, min(due)) + STEP_S, within_s=900.0)


def _clients() -> tuple[Client, Client]:
    """With the retry list that a client has by default."""
    settings = load_text(CONFIGURATION, Path("config.yaml"), {}).settings
    billing = settings.clients["billing"]
    assert sum(billing.retry_s) == pytest.approx(75.6 * 3600, rel=0.01)
    return billing, replace(billing, name="crm", kind="notify")


def _lost(server: FaultyServer, outage: Outage) -> int:
    """What did not arrive, of all that was queued."""
    arrived = {(r.target, json.loads(r.body)["event"]) for r in server.received}
    return outage.queued - len(arrived)


def _arrived_in_order(server: FaultyServer, calls: int) -> None:
    of_call: dict[str, list[str]] = {}
    for request in server.received:
        if "/crm/" in request.target:
            of_call.setdefault(request.target, []).append(json.loads(request.body)["event"])
    assert len(of_call) == len(range(0, calls, 10))
    assert all(tuple(dict.fromkeys(events)) == EVENTS for events in of_call.values())


@pytest.mark.timeout(LONG_TIMEOUT_S)
def test_down_for_26_hours(tmp_path: Path) -> None:
    calls = rounds(1000, 10_000)
    transport = Transport()
    with open_in(tmp_path) as store, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.05)
        time = PassingTime(store)
        outage = Outage(time, f"http://127.0.0.1:{bound.getsockname()[1]}", calls)
        with time.running(Bridge(store, transport), *_clients()):
            outage.goes_on()
            bound.listen(64)
            began = real_time.monotonic()
            with running(listener=bound) as server:
                outage.is_told()
                took_s = real_time.monotonic() - began
        transport.close()
        by_key = Counter(request.header("Idempotency-Key") for request in server.received)
        lost, twice = _lost(server, outage), sum(count - 1 for count in by_key.values())
        record(
            "receiver down for 26 simulated hours, default retry list",
            rounds=1,
            calls=calls,
            lost=lost,
            duplicates=twice,
            recovery_s=[took_s],
            note=f"{outage.queued} deliveries, {outage.queued / took_s:.0f} a second once it was back; "
            f"the last one left {(time.now - NOW) / 3600 - HOURS:.1f} simulated hours after the end",
        )
        assert (lost, twice) == (0, 0)
        assert not store.deliveries(status="failed")
        _arrived_in_order(server, calls)


@pytest.mark.timeout(LONG_TIMEOUT_S)
def test_26_hours_in_which_it_takes_calls_and_does_not_say_so(tmp_path: Path) -> None:
    """Its answers are lost, each in another way: what comes again is the same, under the same key."""
    calls = rounds(50, 500)
    transport = Transport()
    with open_in(tmp_path) as store, running() as server:
        ways: list[Answer] = [
            server.replies(503, Retry_After="1000"),
            server.resets(),
            server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            server.replies(307, Location="/"),
            server.sends(b""),
        ]
        server.answer = lambda sock, request: ways[len(server.received) % len(ways)](sock, request)
        time = PassingTime(store)
        outage = Outage(time, server.url, calls)
        with time.running(Bridge(store, transport), *_clients()):
            outage.goes_on()
            server.answer = None
            outage.is_told()
        transport.close()
        versions = {(r.header("Idempotency-Key"), r.target, r.body) for r in server.received}
        lost = _lost(server, outage)
        record(
            "receiver whose answers are lost for 26 simulated hours",
            rounds=1,
            calls=calls,
            lost=lost,
            duplicates=len(server.received) - outage.queued,
            note="every repeat carries the same Idempotency-Key and the same data",
        )
        assert lost == 0
        assert len(versions) == outage.queued, "one key and one version each"
        _arrived_in_order(server, calls)
