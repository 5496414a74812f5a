"""Asterisk gone, killed or flooding while calls go on: each is told, and told once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import reliability
from ami_line import Line, laid
from delivering import wait_until
from played_pbx import PlayedCall, PlayedPbx
from told import wait_for_all

BURST_MIB = 100.0
"""What 10,000 events at once may take in memory."""


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with laid(tmp_path) as made:
        yield made


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


def _wait_for_answered_call(pbx: PlayedPbx) -> None:
    """Until a call that began after this moment has been answered."""
    before = len(pbx.calls)
    wait_until(lambda: any(call.answered_at is not None for call in pbx.calls[before:]))


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_calls_of_an_asterisk_that_is_killed_are_told_too(line: Line) -> None:
    line.begin()
    crashes = reliability.rounds(1, 10)
    broken_off: list[PlayedCall] = []
    recovery_s = []
    for _ in range(crashes):
        # What was never seen, and has no row, nobody can tell of: the bridge is back at work first.
        _wait_for_answered_call(line.pbx)
        line.bridge.wait_for("call.notice", after=line.bridge.mark(), notice="answer")
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
