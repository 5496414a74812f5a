"""Each measurement beside a real Asterisk runs, and tells its figures; how fast anything is, is not asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.pbx
BENCH = Path(__file__).parents[2] / "bench"
BESIDE_ASTERISK = {
    "ring_to_request": {"P3"},
    "lookup": {"P4"},
    "script_form": {"P5"},
    "full_load": {"P9"},
}


@pytest.mark.parametrize("name", BESIDE_ASTERISK)
def test_a_short_run_tells_figures(name: str, tmp_path: Path) -> None:
    told = tmp_path / "figures.jsonl"
    command = [sys.executable, str(BENCH / f"{name}.py"), "--short", "--json", str(told)]
    # The house of the other tests is up meanwhile.
    apart = str(int(os.environ.get("VIPEX_LAB_PORT_OFFSET", "0")) + 30)
    environment = {**os.environ, "VIPEX_LAB_PORT_OFFSET": apart}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert {row["measure"] for row in rows} == BESIDE_ASTERISK[name]
    assert len(done.stdout.splitlines()) == len(rows)
    assert all(row["ratio"] is None or row["ratio"] > 0 for row in rows)
    if name == "full_load":
        [lost] = [row for row in rows if row["what"].startswith("lost")]
        assert lost["ours"].startswith("0 requests of ")
