"""The manager interface cut, silent, refusing or flooding while calls go on: each is told, and told once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import reliability
from bridge_process import BridgeProcess
from delivering import wait_until
from faulty_server import FaultyServer, running
from played_pbx import PlayedPbx
from relay import Relay
from told import CONFIGURATION, NOTICE, check, told, wait_for_all


class Line:
    """An exchange with calls coming, a wire that can be cut, a bridge behind it, and its receiver."""

    def __init__(self, folder: Path, pbx: PlayedPbx, wire: Relay, server: FaultyServer) -> None:
        self.pbx = pbx
        self.wire = wire
        self.server = server
        self.bridge = BridgeProcess(
            folder,
            CONFIGURATION.format(ami=wire.port, folder=folder, http=server.port, notice=NOTICE),
        )

    def begin(self) -> None:
        self.bridge.start()
        self.bridge.wait_for("reconcile.done")
        self.pbx.begin()

    def reconnects(self, fault: Callable[[], None], *, within_s: float = 30.0) -> float:
        """Brings the fault about; the seconds from then until the bridge is connected again."""
        mark = self.bridge.mark()
        began = time.monotonic()
        fault()
        self.bridge.wait_for("ami.connected", within_s, after=mark)
        return time.monotonic() - began

    def finish(self, fault: str, rounds: int, recovery_s: list[float], note: str = "") -> None:
        """No more calls; every one must have been told."""
        self.pbx.quiet()
        missing = wait_for_all(self.server, self.pbx.calls)
        self.bridge.stop()
        found = told(self.server.received)
        reliability.record(
            fault,
            rounds=rounds,
            calls=len(self.pbx.calls),
            lost=len(missing),
            duplicates=found.duplicates,
            recovery_s=recovery_s,
            note=note,
        )
        assert not missing, self.bridge.log()
        check(found, self.pbx.calls)
        assert found.duplicates == 0


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with (
        running() as server,
        PlayedPbx(tmp_path, per_s=10) as pbx,
        Relay(pbx.ami.port) as wire,
    ):
        yield Line(tmp_path, pbx, wire, server)


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_a_stream_cut_at_any_byte_costs_no_call(line: Line) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chances = random.Random(seed)
    line.begin()
    cuts = reliability.rounds(10, 200)
    recovery_s = []
    for _ in range(cuts):

        def cut_somewhere() -> None:
            line.wire.cut_after_bytes = chances.randrange(1, 20_000)
            line.wire.cut()
            line.wire.mend()

        # The next connection is cut in the middle of whatever stands at that byte; the one after it holds.
        line.reconnects(cut_somewhere)
        recovery_s.append(line.reconnects(lambda: None))
    line.finish(
        "AMI stream cut at a random byte", cuts, recovery_s, "time: from connected to connected again"
    )


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_a_half_open_connection_is_found_and_replaced(line: Line) -> None:
    line.begin()
    wait_until(lambda: len(line.pbx.calls) > 10)

    def stall() -> None:
        line.wire.stall()
        if reliability.LONG:
            threading.Event().wait(60)
        # The bridge finds out by itself; only then is the wire whole again.
        line.bridge.wait_for("ami.disconnected", 90.0)
        line.wire.cut()
        line.wire.mend()

    mark = line.bridge.mark()
    took = line.reconnects(stall, within_s=120.0)
    assert "answer" in str(line.bridge.wait_for("ami.disconnected", after=mark)["reason"])
    line.finish(f"AMI half-open ({'a minute' if reliability.LONG else 'until found'})", 1, [took])


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_a_log_in_refused_for_a_while_is_tried_until_it_is_granted(line: Line) -> None:
    line.begin()
    wait_until(lambda: len(line.pbx.calls) > 10)
    line.pbx.ami.secret = "changed"
    mark = line.bridge.mark()
    line.pbx.cut()
    line.bridge.wait_for("ami.login_refused", after=mark)
    threading.Event().wait(reliability.rounds(3, 30))
    line.pbx.ami.secret = "labsecret"
    took = line.reconnects(lambda: None, within_s=90.0)
    line.finish("AMI log-in refused for a while", 1, [took])


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_ten_thousand_events_in_one_burst_are_all_taken(line: Line) -> None:
    line.begin()
    line.bridge.wait_for("call.told")
    # Fourteen events of an answered call, eight of a missed one: about 12 on average.
    calls = 850
    began = time.monotonic()
    line.pbx.burst(calls)
    missing = wait_for_all(line.server, line.pbx.calls[: calls + 1], 120.0)
    took = time.monotonic() - began
    assert not missing
    line.finish("10,000 AMI events in one burst", 1, [took], "time: until all were told")
