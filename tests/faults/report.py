"""Makes docs/reliability.md of what the fault tests wrote down: `report.py LINES.jsonl PAGE.md`."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

HEAD = """# Reliability

What was done to the bridge, and what came of it. Made by `./test --long` on {when}, on a machine with
{cores} cores, Linux {kernel}, Python {python}: to make it again, run that command (about half an hour).

Lost: calls that ended and did not reach the receiver. Repeated: requests that the receiver got more than
once, each time with the same `Idempotency-Key` and the same body (the tests fail otherwise). Time to
recover: from the end of the fault, or from the restart, until a call was delivered again.

A power cut is more than `kill -9`: what the disk was told to keep it may lose. The store commits with
`synchronous = FULL`; that the disk obeys was not tested.

| fault | rounds | calls | lost | repeated | to recover: median, worst | remarks |
| --- | ---: | ---: | ---: | ---: | --- | --- |
"""


def page(lines: Iterable[Mapping[str, Any]], head: str) -> str:
    """The page: `head`, then a row for each line in their order."""
    return head + "".join(map(_row, lines))


def _row(line: Mapping[str, Any]) -> str:
    took = line["recovery_s"]
    recovery = f"{statistics.median(took):.1f} s, {max(took):.1f} s" if took else "-"
    cells = [
        line["fault"],
        line["rounds"],
        line["calls"],
        line["lost"],
        line["duplicates"],
        recovery,
        line["note"],
    ]
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def main() -> int:
    """Reads the lines, writes the page."""
    source, target = map(Path, sys.argv[1:3])
    lines = [json.loads(text) for text in source.read_text("utf-8").splitlines()]
    head = HEAD.format(
        when=datetime.now().astimezone().strftime("%Y-%m-%d"),
        cores=os.cpu_count(),
        kernel=platform.release().partition("-")[0],
        python=platform.python_version(),
    )
    target.write_text(page(lines, head), encoding="utf-8")
    print(f"{target}: {len(lines)} faults, {sum(line['lost'] for line in lines)} calls lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
