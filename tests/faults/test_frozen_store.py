"""A PostgreSQL that does not answer and does not refuse: its processes are stopped, or the network swallows
what is sent. Callers get their answers meanwhile; afterwards every call has been told, once.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import reliability
import requests
from agi_call import agi
from bridge_process import BridgeProcess
from faulty_server import FaultyServer
from free_ports import free_port
from played_pbx import PlayedPbx
from relay import Relay
from sql_servers import SqlServer, postgresql
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

FROZEN_S = 20.0
"""Longer than the 12 s after which a bridge is taken for dead."""
ASKED_EVERY_S = 0.2
STOPS_WITHIN_S = 5.0
"""What is promised."""


@dataclass
class Site:
    """An exchange and its bridge, with the wire to the server between them."""

    pbx: PlayedPbx
    bridge: BridgeProcess
    wire: Relay
    agi_port: int
    http_port: int

    def lookup(self) -> str:
        """What a caller's lookup comes to."""
        return agi(self.agi_port, "lookup", "route").get("VIPEX_STATUS", "")

    def health(self) -> tuple[int, str]:
        """The status of /healthz, and its line about the store."""
        answer = requests.get(f"http://127.0.0.1:{self.http_port}/healthz", timeout=10)
        return answer.status_code, answer.json()["store"]["says"]


@contextlib.contextmanager
def site(folder: Path, number: int, url: str, port: int, receiver: FaultyServer) -> Iterator[Site]:
    """The receiver learns by a header which bridge has sent a request."""
    folder.mkdir()
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with (
        PlayedPbx(folder, per_s=3, seed=seed, callers_from=100_000 * number) as pbx,
        Relay(port) as wire,
        contextlib.ExitStack() as undo,
    ):
        node, agi_port, http_port = f"pbx{number}", free_port(), free_port()
        text = CONFIGURATION.format(ami=pbx.ami.port, folder=folder, http=receiver.port, notice=NOTICE)
        for before, after in (
            ("node: pbx1", f"node: {node}"),
            (f"sqlite:///{folder}/state.db", url.replace(f":{port}/", f":{wire.port}/")),
            ("agi: null", f"agi: {{listen: '127.0.0.1:{agi_port}', socket: null}}"),
            ("kind: notify\n", f"kind: notify\n    headers: {{X-Node: {node}}}\n"),
            ("kind: call_end,", f"kind: call_end, headers: {{X-Node: {node}}},"),
        ):
            assert before in text
            text = text.replace(before, after)
        text += f"  route: {{kind: lookup, url: '{receiver.url}', response: {{set: {{X: x}}}}}}\n"
        text += f"http: {{listen: '127.0.0.1:{http_port}', tokens: [a-token-that-is-long-enough]}}\n"
        bridge = BridgeProcess(folder, text)
        undo.callback(bridge.kill)
        bridge.start()
        bridge.wait_for("reconcile.done", 60.0)
        pbx.begin()
        yield Site(pbx, bridge, wire, agi_port, http_port)


@contextlib.contextmanager
def two_sites(folder: Path, server: FaultyServer) -> Iterator[tuple[SqlServer, list[Site]]]:
    server.answer = server.replies(200, b'{"x": "y"}')
    with postgresql() as database, database.database() as url, contextlib.ExitStack() as undo:
        sites = [
            undo.enter_context(site(folder / f"site{number}", number, url, database.port, server))
            for number in (1, 2)
        ]
        yield database, sites


def _asked_while(silent: Sequence[Site], seconds: float) -> Counter[str]:
    """How lookups at these sites ended, asked all the time; their health says what is wrong."""
    statuses, pause, until = Counter[str](), threading.Event(), time.monotonic() + seconds
    while time.monotonic() < until:
        for each in silent:
            statuses[each.lookup()] += 1
            status, says = each.health()
            assert status == 503 and ("no answer" in says or "cannot be reached" in says), says
        pause.wait(ASKED_EVERY_S)
    return statuses


def _all_told(server: FaultyServer, sites: Sequence[Site], *, notices: bool) -> list[str]:
    for each in sites:
        each.pbx.quiet()
    calls = [call for each in sites for call in each.pbx.calls]
    missing = wait_for_all(server, calls, notices=notices)
    assert not missing, "\n\n".join(each.bridge.log() for each in sites)
    return missing


def _senders(server: FaultyServer) -> dict[str, set[str]]:
    """For each Idempotency-Key: which bridges have sent it."""
    found: dict[str, set[str]] = {}
    for request in server.received:
        key, node = request.header("Idempotency-Key"), request.header("X-Node")
        if key is not None and node is not None:
            found.setdefault(key, set()).add(node)
    return found


@pytest.mark.timeout(reliability.rounds(300, 1800))
@pytest.mark.parametrize("how", ["frozen", "swallowed"])
def test_a_server_that_says_nothing_holds_up_no_caller_and_nothing_is_lost(
    tmp_path: Path, server: FaultyServer, how: str
) -> None:
    rounds, lookups = reliability.rounds(1, 6), Counter[str]()
    with two_sites(tmp_path, server) as (database, sites):
        for _ in range(rounds):
            marks = [each.bridge.mark() for each in sites]
            # The network of one alone: the other takes over what it has to send.
            silent = sites if how == "frozen" else sites[:1]
            if how == "frozen":
                database.freeze()
            else:
                silent[0].wire.stall()
            try:
                lookups += _asked_while(silent, FROZEN_S)
            finally:
                database.thaw()
                silent[0].wire.mend()
            for each, mark in zip(sites, marks, strict=True):
                # What has gathered is committed in one go, which holds up the rest.
                each.bridge.wait_for("delivery.sent", 120.0, after=max(mark, each.bridge.mark() - 1))
        missing = _all_told(server, sites, notices=True)
        for each in sites:
            assert each.health()[0] == 200
            each.bridge.stop()
        calls = [call for each in sites for call in each.pbx.calls]
    found = told(server.received)
    reliability.record(
        f"PostgreSQL of two bridges silent for {FROZEN_S:g} s, while calls come: {how}",
        rounds=rounds,
        calls=len(calls),
        lost=len(missing),
        duplicates=found.duplicates,
        note=f"{lookups.total()} lookups meanwhile, {lookups['OK']} of them answered",
    )
    assert set(lookups) == {"OK"}
    check(found, calls, was_there=True)
    if how == "frozen":
        assert all(len(nodes) == 1 for nodes in _senders(server).values()), "nobody is taken for dead"
        assert found.duplicates == 0


@pytest.mark.timeout(300)
def test_a_bridge_ends_in_time_while_its_server_is_frozen(tmp_path: Path, server: FaultyServer) -> None:
    with two_sites(tmp_path, server) as (database, sites):
        database.freeze()
        try:
            _asked_while(sites[:1], 3.0)
            took_s = sites[0].bridge.stop()
        finally:
            database.thaw()
        assert took_s < STOPS_WITHIN_S
        sites[0].bridge.start()
        _all_told(server, sites, notices=False)
        for each in sites:
            each.bridge.stop()
        calls = [call for each in sites for call in each.pbx.calls]
    check(told(server.received), calls)
