"""How thorough the fault tests are, and where what they measured is written down for the report."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

LONG = os.environ.get("VIPEX_LONG") == "1"
"""Whether the full counts are wanted (`./test --long`)."""


def rounds(short: int, long: int) -> int:
    """How often a fault is to be brought about in this run."""
    return long if LONG else short


def record(
    fault: str,
    *,
    rounds: int,
    calls: int,
    lost: int,
    duplicates: int,
    recovery_s: Sequence[float] = (),
    note: str = "",
) -> None:
    """Add a line to the file that VIPEX_RELIABILITY names, for `tests/faults/report.py`; else nothing.

    `duplicates` are requests that repeat one which the receiver had; `recovery_s` how long it took each
    time until calls were told again.
    """
    file = os.environ.get("VIPEX_RELIABILITY")
    if file is None:
        return
    line = {
        "fault": fault,
        "rounds": rounds,
        "calls": calls,
        "lost": lost,
        "duplicates": duplicates,
        "recovery_s": [round(seconds, 3) for seconds in recovery_s],
        "note": note,
    }
    with Path(file).open("a", encoding="utf-8") as report:
        report.write(json.dumps(line) + "\n")
