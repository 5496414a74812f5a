"""Makes every measurement in full, one after the other, and writes docs/performance.md.

    bench/run                       all of them; takes about an hour
    bench/run --only lookup.py      some anew, the others' rows are kept
    bench/run --only                none: the page is made again

What was measured is kept in bench/results.jsonl. On a machine that does nothing else, please.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import Ran, machine, written

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/performance.md"
RESULTS = HERE / "results.jsonl"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A script of this folder."""

    name: str
    measures: tuple[str, ...]
    options: tuple[str, ...] = ()


ALL = (
    Measurement("ami_events.py", ("P1", "P2")),
    Measurement("live_calls.py", ("P8",)),
    Measurement("ring_to_request.py", ("P3",)),
    Measurement("lookup.py", ("P4",)),
    Measurement("script_form.py", ("P5",)),
    Measurement("deliveries.py", ("P6",)),
    Measurement("recording_memory.py", ("P7",)),
    Measurement("growth.py", ("P8",), ("--full",)),
    Measurement("full_load.py", ("P9",), ("--minutes", "10")),
    Measurement("start_up.py", ("P10",)),
)


def run(measurement: Measurement) -> Ran:
    """Runs it; its figures go to the terminal as they come."""
    began, where = time.time(), machine()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        command = [sys.executable, str(HERE / measurement.name), *measurement.options, "--json", str(file)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        sys.stderr.write(done.stderr)
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
    rows = tuple(json.loads(line) for line in lines)
    failed = ""
    if done.returncode != 0 or not rows:
        last = (done.stderr.strip().splitlines() or ["it told no figure"])[-1]
        failed = f"exit code {done.returncode}: {last}"
    took_s = round(time.time() - began)
    shown = " ".join(["bench/" + measurement.name, *measurement.options])
    return Ran(measurement.name, measurement.measures, shown, began, took_s, where, failed, rows)


def kept() -> dict[str, Ran]:
    """The latest run of each that was kept."""
    lines = RESULTS.read_text("utf-8").splitlines() if RESULTS.exists() else []
    runs = [_ran(json.loads(line)) for line in lines]
    return {each.name: each for each in runs}


def _ran(data: dict[str, Any]) -> Ran:
    return Ran(**{**data, "measures": tuple(data["measures"]), "rows": tuple(data["rows"])})


def keep(runs: dict[str, Ran]) -> None:
    """Writes down what was measured, and makes the page of it."""
    order = [measurement.name for measurement in ALL]
    known = [runs[name] for name in order if name in runs]
    RESULTS.write_text("".join(each.as_json() + "\n" for each in known), "utf-8")
    absent = [(each.name, each.measures) for each in ALL if each.name not in runs]
    notes = [path.read_text("utf-8") for path in sorted(PAGE.parent.glob("performance-notes*.md"))]
    PAGE.write_text(written(known, absent, notes), "utf-8")


def main() -> int:
    """The command. Exit code 1 when a measurement failed."""
    parser = argparse.ArgumentParser(prog="bench/run", description="every measurement, and the page of them")
    names = [measurement.name for measurement in ALL]
    parser.add_argument("--only", nargs="*", choices=names, metavar="NAME", help=", ".join(names))
    options = parser.parse_args()
    runs = kept()
    failed = 0
    for measurement in ALL:
        if options.only is not None and measurement.name not in options.only:
            continue
        print(f"== {measurement.name}", file=sys.stderr, flush=True)
        runs[measurement.name] = made = run(measurement)
        failed += bool(made.failed)
        keep(runs)
    keep(runs)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
