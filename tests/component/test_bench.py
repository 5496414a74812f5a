"""Each measurement that needs no Asterisk runs, and tells its figures; how fast anything is, is not asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
ALONE = ("ami_events", "live_calls", "deliveries", "recording_memory", "growth", "start_up")


def test_every_measurement_that_run_makes_is_there() -> None:
    from everything import ALL

    assert [each.name for each in ALL if not (BENCH / each.name).is_file()] == []
    assert {goal for each in ALL for goal in each.measures} == {f"P{number}" for number in range(1, 11)}


@pytest.mark.parametrize("name", ALONE)
def test_a_short_run_tells_figures(name: str, tmp_path: Path) -> None:
    told = tmp_path / "figures.jsonl"
    command = [sys.executable, str(BENCH / f"{name}.py"), "--short", "--json", str(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert rows
    assert len(done.stdout.splitlines()) >= len(rows)
    for row in rows:
        assert any(
            f"{row['measure']} {row['what']}: {row['ours']}" in line for line in done.stdout.splitlines()
        )
        assert row["ratio"] is None or row["ratio"] > 0


def test_the_page_is_made_of_what_was_kept() -> None:
    from page import Ran, written

    row = {
        "measure": "P4", "what": "a lookup", "ours": "3 ms", "against": "CURL() 2 ms", "ratio": 1.5,
        "goal": "<= 1.15 x", "is_met": False, "remark": "one | two",
    }  # fmt: skip
    runs = [
        Ran("lookup.py", ("P4",), "bench/lookup.py", 1.0, 9, "a machine", "", (row,)),
        Ran("start_up.py", ("P10",), "bench/start_up.py", 2.0, 1, "a machine", "exit code 1: broken", ()),
    ]
    text = written(runs, [("growth.py", ("P8",))], ["# Found\n\n## Why\n\ntext\n", "## As it is\n"])
    lines = text.splitlines()
    assert "| P4 | a lookup | 3 ms | CURL() 2 ms | 1.50 | <= 1.15 x | **no** | one \\| two |" in lines
    assert "| P8 | growth.py |  |  |  |  |  | **not measured** |" in lines
    assert "| P10 | start_up.py |  |  |  |  |  | **the measurement failed**: exit code 1: broken |" in lines
    assert [line for line in lines if line.startswith("#")] == [
        "# How fast it is", "## Where and when", "## Goals", "## Found", "### Why", "## As it is",
    ]  # fmt: skip
    assert text.index("| P4 |") < text.index("| P8 |") < text.index("| P10 |")


def test_a_measurement_that_breaks_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import everything

    (tmp_path / "broken.py").write_text("import sys\nsys.exit('no disk')\n", "utf-8")
    monkeypatch.setattr(everything, "HERE", tmp_path)
    ran = everything.run(everything.Measurement("broken.py", ("P8",)))
    assert (ran.failed, ran.rows) == ("exit code 1: no disk", ())
    assert json.loads(ran.as_json())["failed"] == ran.failed


def test_run_says_what_it_can_do() -> None:
    done = subprocess.run([str(BENCH / "run"), "--help"], capture_output=True, text=True, check=True)
    assert "--only" in done.stdout
