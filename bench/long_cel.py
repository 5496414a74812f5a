"""How long the CEL rows of one call take to be found in a long CSV file: `bench/long_cel.py [CALLS]`.

Writes a file of that many calls, one every half second, 13 rows and 3.3 kB each, and asks for some of them.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from zoneinfo import ZoneInfo

from vipex_bridge.cdr.cel_rows import CelSource
from vipex_bridge.cdr.sources import open_cel
from vipex_bridge.config.presets import CEL_PRESET_OF_CSV
from vipex_bridge.config.settings import Cdr, Secret

BEGAN = 1_795_409_377.0
EVERY_S = 0.5
_EVENTS = (
    "CHAN_START", "APP_START", "CHAN_START", "ANSWER", "ANSWER", "BRIDGE_ENTER", "BRIDGE_ENTER",
    "BRIDGE_EXIT", "BRIDGE_EXIT", "HANGUP", "CHAN_END", "CHAN_END", "LINKEDID_END",
)  # fmt: skip


def fill(path: Path, calls: int) -> None:
    """Writes that many calls of ten seconds."""
    lines = []
    for place, event in enumerate(_EVENTS):
        fields = [event, f"@{place}@", "Caller", "36709676052", "", "", "", "from-trunk", "3642999409"]
        fields += ["PJSIP/trunk-0000002a", "Dial", "PJSIP/251,30,U(vipex-record)", "3", "", "##", "##"]
        fields += ["", "", "", '{"bridge_id":"167a9558-bb71-4767-b33d-6248c265e3df"}']
        lines.append(",".join('"' + field.replace('"', '""') + '"' for field in fields))
    pieces = re.split(r"(##|@\d+@)", "\n".join(lines) + "\n")
    with path.open("w") as file:
        for number in range(calls):
            began = BEGAN + number * EVERY_S
            own = {f"@{place}@": f"{began + 0.8 * place:.6f}" for place in range(len(_EVENTS))}
            own["##"] = f"{int(began)}.{number}"
            file.write("".join(own.get(piece, piece) for piece in pieces))


def asked(source: CelSource, numbers: Iterable[int]) -> float:
    """Milliseconds that a call's rows took, the mean of those calls."""
    taken = []
    for number in numbers:
        at = BEGAN + number * EVERY_S
        began = time.perf_counter()
        rows = source.rows_of([f"{int(at)}.{number}"], at, at + 10)
        taken.append(time.perf_counter() - began)
        assert len(rows) == len(_EVENTS)
    return mean(taken) * 1000


def main() -> None:
    """Measures one file."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Master.csv"
        fill(path, calls)
        shape = CEL_PRESET_OF_CSV
        options = Cdr(Secret(f"csv://{path}"), "cel", shape.table, shape.columns, shape.time_format)
        source = open_cel(options, ZoneInfo("UTC"))
        print(f"{calls} calls, {path.stat().st_size / 1e9:.2f} GB")
        print(f"the first call of all asked: {asked(source, [calls // 2]):.0f} ms")
        print(f"its 200 neighbours: {asked(source, range(calls // 2, calls // 2 + 200)):.1f} ms each")
        print(f"one far away: {asked(source, [calls // 20]):.0f} ms")
        began = time.perf_counter()
        source.rows_of(["nobody"], BEGAN, BEGAN + 10)
        print(f"one that is not there, the whole file searched: {time.perf_counter() - began:.1f} s")
        tracemalloc.start()
        source = open_cel(options, ZoneInfo("UTC"))
        asked(source, range(0, min(calls, 40_000), 400))
        print(f"what is remembered: {tracemalloc.get_traced_memory()[0] / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
