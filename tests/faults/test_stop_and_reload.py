"""The bridge stopped, reloaded and started twice under load: in time, losing nothing, saying what it does."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import reliability
from agi_call import agi
from bridge_process import BridgeProcess
from delivering import wait_until
from faulty_server import FaultyServer, running
from free_ports import free_port
from played_pbx import PlayedPbx
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

STOPS_WITHIN_S = 5.0
"""Contract, section 1."""


class Busy:
    """A bridge with twenty calls a second, lookups under way, and a receiver."""

    def __init__(self, folder: Path, pbx: PlayedPbx, server: FaultyServer, slow: FaultyServer) -> None:
        self.folder = folder
        self.pbx = pbx
        self.server = server
        self.slow = slow
        self.agi_port = free_port()
        slow.answer = slow.hangs()
        self.bridge = BridgeProcess(folder, self.configuration())

    def configuration(self, more: str = "") -> str:
        text = CONFIGURATION.format(
            ami=self.pbx.ami.port, folder=self.folder, http=self.server.port, notice=NOTICE
        )
        hanging = f"  hanging: {{kind: notify, on: [arrival], url: '{self.slow.url}', timeout: 30s}}\n"
        lookup = f"  route: {{kind: lookup, url: '{self.slow.url}', timeout: 20s}}\n"
        return text.replace("agi: null", f"agi: {{listen: '127.0.0.1:{self.agi_port}', socket: null}}") + (
            hanging + lookup + more
        )

    def begin(self) -> None:
        self.bridge.start()
        self.bridge.wait_for("reconcile.done")
        self.pbx.begin()
        wait_until(lambda: len(self.pbx.calls) >= 40)

    def wait_for_calls(self, more: int) -> None:
        """Until so many more calls have come."""
        before = len(self.pbx.calls)
        wait_until(lambda: len(self.pbx.calls) >= before + more, 30.0)

    def ask(self, lookups: int) -> list[threading.Thread]:
        """So many callers wait for the answer of a server that gives none."""

        def lookup() -> None:
            with suppress(OSError):
                agi(self.agi_port, "lookup", "route")

        asking = [threading.Thread(target=lookup) for _ in range(lookups)]
        for thread in asking:
            thread.start()
        self.slow.wait_for(lookups)
        return asking


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    with running() as server, running() as slow, PlayedPbx(tmp_path, per_s=20) as pbx:
        yield Busy(tmp_path, pbx, server, slow)


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_it_stops_in_time_under_load_and_loses_nothing(busy: Busy) -> None:
    busy.begin()
    stops = reliability.rounds(3, 20)
    took = []
    for _ in range(stops):
        mark = busy.bridge.mark()
        asking = busy.ask(5)
        took.append(busy.bridge.stop())
        assert took[-1] < STOPS_WITHIN_S, busy.bridge.log()
        for thread in asking:
            thread.join(10)
            assert not thread.is_alive()
        busy.bridge.launch()
        busy.bridge.wait_for("call.told", after=mark)
        busy.bridge.wait_for("ami.connected", after=mark)
    busy.pbx.quiet()
    missing = wait_for_all(busy.server, busy.pbx.calls)
    busy.bridge.stop()
    found = told(busy.server.received)
    reliability.record(
        "stopped (SIGTERM) under load, with a hanging receiver and lookups under way",
        rounds=stops,
        calls=len(busy.pbx.calls),
        lost=len(missing),
        duplicates=found.duplicates,
        note=f"stopped within {max(took):.1f} s at most",
    )
    assert not missing, busy.bridge.log()
    check(found, busy.pbx.calls)


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_it_stops_in_time_although_another_program_holds_the_store(busy: Busy) -> None:
    busy.begin()
    for _ in range(reliability.rounds(1, 10)):
        mark = busy.bridge.mark()
        with closing(sqlite3.connect(busy.folder / "state.db", timeout=20, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            busy.wait_for_calls(5)
            assert busy.bridge.stop() < STOPS_WITHIN_S, busy.bridge.log()
        busy.bridge.launch()
        busy.bridge.wait_for("ami.connected", after=mark)
    busy.pbx.quiet()
    assert not wait_for_all(busy.server, busy.pbx.calls)
    busy.bridge.stop()
    check(told(busy.server.received), busy.pbx.calls)


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_configurations_good_and_bad_are_taken_and_refused_under_load(busy: Busy) -> None:
    busy.begin()
    config = busy.bridge.config
    reloads = reliability.rounds(5, 50)
    good = busy.configuration(
        f"  second: {{kind: call_end, url: 'http://127.0.0.1:{busy.server.port}/second'}}\n"
    )
    for turn in range(reloads):
        mark = busy.bridge.mark()
        config.write_text(busy.configuration("  broken: {kind: nothing}\n"), encoding="utf-8")
        busy.bridge.signal(signal.SIGHUP)
        said = busy.bridge.wait_for("configuration.refused", after=mark)
        assert "clients.broken.kind" in str(said["fault"])
        config.write_text(good if turn % 2 == 0 else busy.configuration(), encoding="utf-8")
        busy.bridge.signal(signal.SIGHUP)
        busy.bridge.wait_for("configuration.reloaded", after=mark)
    config.write_text(good, encoding="utf-8")
    mark = busy.bridge.mark()
    busy.bridge.signal(signal.SIGHUP)
    busy.bridge.wait_for("configuration.reloaded", after=mark)
    taken = len(busy.pbx.calls)
    wait_until(lambda: len(busy.pbx.calls) >= taken + 20)
    busy.pbx.quiet()
    missing = wait_for_all(busy.server, busy.pbx.calls)
    reliability.record(
        "reloaded (SIGHUP) with good and bad configurations under load",
        rounds=2 * reloads + 1,
        calls=len(busy.pbx.calls),
        lost=len(missing),
        duplicates=told(busy.server.received).duplicates,
    )
    assert not missing, busy.bridge.log()
    check(told(busy.server.received), busy.pbx.calls)
    # The client that the last reload brought gets every call that ended after it.
    late = {call.caller for call in busy.pbx.calls[taken:]}

    def at_second() -> set[str]:
        bodies = [r.body.decode() for r in list(busy.server.received) if r.target.startswith("/second")]
        return {caller for caller in late if any(f'"src": "{caller}"' in body for body in bodies)}

    wait_until(lambda: at_second() == late, 30.0)
    busy.bridge.stop()


@pytest.mark.parametrize("node", ["pbx1", "pbx2"])
def test_a_second_bridge_on_the_same_store_refuses_and_names_the_first(busy: Busy, node: str) -> None:
    busy.begin()
    other = busy.folder / "other.yaml"
    text = busy.configuration().replace("node: pbx1", f"node: {node}")
    other.write_text(text.replace(str(busy.agi_port), str(free_port())), encoding="utf-8")
    began = time.monotonic()
    second = subprocess.run(
        [sys.executable, "-m", "vipex_bridge.cli.main", "run", "--config", str(other)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1, second.stderr
    last = second.stderr.strip().splitlines()[-1]
    started = busy.bridge.wait_for("bridge.started")
    assert f"in use by another bridge (node pbx1, pid {started['pid']})" in last, last
    assert "Traceback" not in second.stderr and time.monotonic() - began < 30
    # The first one is not disturbed by it.
    taken = len(busy.pbx.calls)
    wait_until(lambda: len(busy.pbx.calls) >= taken + 10)
    busy.pbx.quiet()
    assert not wait_for_all(busy.server, busy.pbx.calls)
    busy.bridge.stop()
    check(told(busy.server.received), busy.pbx.calls)
