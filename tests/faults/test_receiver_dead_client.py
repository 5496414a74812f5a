"""A dead client beside a healthy one: the healthy one gets everything; what it costs goes into the report."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from reliability import LONG, record

BENCH = Path(__file__).parents[2] / "bench" / "dead_client.py"
RATE = 50


@pytest.mark.parametrize("fault", ["hangs", "refuses"])
def test_a_dead_client_costs_a_healthy_one_no_call(fault: str) -> None:
    pairs, seconds = (3, 20) if LONG else (1, 2)
    done = subprocess.run(
        [sys.executable, BENCH, "--fault", fault, "--pairs", str(pairs), "--seconds", str(seconds)],
        capture_output=True,
        text=True,
        check=True,
    )
    print(done.stdout)
    figures = " ".join(done.stdout.split())
    lost = sum(int(count) for count in re.findall(r"lost (\d+)", figures))
    record(
        f"dead client ({fault}) beside a healthy one",
        rounds=2 * pairs,
        calls=2 * pairs * seconds * RATE,
        lost=lost,
        duplicates=0,
        note=figures,
    )
    assert "ratio: p50" in figures
    assert lost == 0
