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
from played_pbx import PlayedCall, PlayedPbx
from relay import Relay
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

BURST_MIB = 100.0
"""What 10,000 events at once may take in memory."""


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

    def finish(
        self, fault: str, rounds: int, recovery_s: list[float], note: str = "", *, was_there: bool = False
    ) -> None:
        """No more calls; every one must have been told. `was_there`: see `check`."""
        self.pbx.quiet()
        missing = wait_for_all(self.server, self.pbx.calls, notices=was_there)
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
        check(found, self.pbx.calls, was_there=was_there)
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
def test_calls_that_end_while_ami_is_gone_are_told_from_the_cdr(line: Line) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chances = random.Random(seed)
    line.begin()
    times = reliability.rounds(3, 50)
    recovery_s = []
    for _ in range(times):
        wait_until(lambda: bool(line.pbx.going_on()))
        line.pbx.do(line.pbx.ami.stop())
        _wait_for_unseen_call(line.pbx)
        threading.Event().wait(chances.uniform(0.0, 3.0))
        recovery_s.append(line.reconnects(lambda: line.pbx.do(line.pbx.ami.start())))
    line.finish("AMI gone and back, with calls ended meanwhile", times, recovery_s)


def _wait_for_unseen_call(pbx: PlayedPbx) -> None:
    """Until a call has come and gone with nobody listening."""
    before = len(pbx.calls)
    wait_until(lambda: any(call.ended_at is not None for call in pbx.calls[before:]))


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_calls_of_an_asterisk_that_is_killed_are_told_too(line: Line) -> None:
    line.begin()
    crashes = reliability.rounds(1, 10)
    broken_off: list[PlayedCall] = []
    recovery_s = []
    for _ in range(crashes):
        wait_until(lambda: any(call.answered_at is not None for call in line.pbx.going_on()))
        recovery_s.append(line.reconnects(lambda: broken_off.extend(line.pbx.crash())))
    line.finish(
        "Asterisk killed and restarted in mid-call",
        crashes,
        recovery_s,
        f"{len(broken_off)} calls broken off, without a CDR row",
    )


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_ten_thousand_events_in_one_burst_are_all_taken(line: Line) -> None:
    line.begin()
    line.bridge.wait_for("call.told")
    before_kib = line.bridge.peak_memory_kib()
    began = time.monotonic()
    # Fourteen events of an answered call, eight of a missed one: about 12 on average.
    line.pbx.burst(850)
    line.pbx.quiet()
    missing = wait_for_all(line.server, line.pbx.calls)
    took = time.monotonic() - began
    grown_mib = (line.bridge.peak_memory_kib() - before_kib) / 1024
    line.finish(
        "10,000 AMI events in one burst",
        1,
        [took],
        f"time: until all were told; {grown_mib:.0f} MiB more memory at the most",
        was_there=True,
    )
    assert not missing
    assert grown_mib < BURST_MIB
