"""docs/performance.md: the machine, the table of goals, and what was found."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/pbx"))

HEAD = """# How fast it is

Made by `bench/run`, which makes all of these measurements one after the other; a command of the first table
is one of them alone. What is compared was measured in turn in the same session, on the same machine. A ratio
is ours by the other's.
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """One measurement as it was made. `failed` says why it could not be, or not whole; '' else."""

    name: str
    measures: tuple[str, ...]
    command: str
    began: float
    took_s: int
    machine: str
    failed: str
    rows: tuple[dict[str, Any], ...]

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False)


def machine() -> str:
    """What it runs on, and how busy that is."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB; Linux {platform.release()}; "
        f"Python {platform.python_version()}; {_asterisk()}; load {os.getloadavg()[0]:.1f} before it"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _asterisk() -> str:
    from laboratory import ROOT

    own = ["chroot", str(ROOT)] if (ROOT / "usr/sbin/asterisk").exists() else []
    try:
        said = subprocess.run([*own, "/usr/sbin/asterisk", "-V"], capture_output=True, text=True, check=False)
    except OSError:
        return "no Asterisk"
    return said.stdout.partition("+")[0].strip() or "no Asterisk"


def written(runs: Sequence[Ran], absent: Iterable[tuple[str, tuple[str, ...]]], notes: Iterable[str]) -> str:
    """The page. `absent` are the measurements that were never made."""
    parts = [HEAD, _made(runs), _goals(runs, absent), *(_below(note) for note in notes)]
    return "\n".join(parts)


def _below(note: str) -> str:
    """A file of its own, as a part of the page."""
    text = note.strip() + "\n"
    return re.sub(r"^#", "##", text, flags=re.MULTILINE) if text.startswith("# ") else text


def _made(runs: Sequence[Ran]) -> str:
    lines = ["| measurement | when | took | on |", "| --- | --- | --- | --- |"]
    for each in runs:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(each.began))
        lines.append(f"| `{each.command}` | {when} | {each.took_s} s | {_cell(each.machine)} |")
    return "\n".join(["## Where and when", "", *lines, ""])


def _goals(runs: Sequence[Ran], absent: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    lines = [
        "| goal | what | ours | against | ratio | wanted | met | remark |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows = [(row["measure"], _row(row)) for each in runs for row in each.rows]
    for each in runs:
        if each.failed:
            said = f"**the measurement failed**: {each.failed}"
            rows += [(measure, _line(measure, each.name, remark=said)) for measure in each.measures]
    rows += [
        (measure, _line(measure, name, remark="**not measured**"))
        for name, measures in absent
        for measure in measures
    ]
    # P10 comes after P9, and rows of one goal stay as they were told.
    lines += [line for _, line in sorted(rows, key=lambda row: int(row[0].lstrip("P")))]
    return "\n".join(["## Goals", "", *lines, ""])


def _row(row: dict[str, Any]) -> str:
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    met = {True: "yes", False: "**no**", None: ""}[row["is_met"]]
    return _line(
        row["measure"], row["what"], row["ours"], row["against"], ratio, row["goal"], met, row["remark"]
    )


def _line(
    measure: str,
    what: str,
    ours: str = "",
    against: str = "",
    ratio: str = "",
    goal: str = "",
    met: str = "",
    remark: str = "",
) -> str:
    cells = (measure, what, ours, against, ratio, goal, met, remark)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
