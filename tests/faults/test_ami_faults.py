"""The manager interface cut, silent or refusing while calls go on: each is told, and told once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import reliability
from ami_line import Line, laid
from delivering import wait_until


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with laid(tmp_path) as made:
        yield made


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_a_stream_cut_at_any_byte_costs_no_call(line: Line) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chances = random.Random(seed)
    line.begin()
    cuts = reliability.rounds(10, 200)
    recovery_s: list[float] = []
    for _ in range(cuts):
        line.wire.cut_after_bytes = chances.randrange(1, 20_000)
        line.wire.cut()
        line.wire.mend()
        # The next connection is cut in the middle of whatever stands at that byte; the one after it holds.
        wait_until(lambda: line.wire.cuts_made > len(recovery_s), within_s=30.0)
        recovery_s.append(line.reconnects(lambda: None))
    line.finish("AMI stream cut at a random byte", cuts, recovery_s)


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
