"""Many live calls at once: memory for each, and whether one event costs more among many.

    python bench/live_calls.py

For 100, 1,000 and 10,000 calls that are up, each size in processes of its own: what a live call keeps in
memory (`tracemalloc`, and the growth of the process), and processor time for each event of 300 further calls
that come, are answered and go meanwhile, from AMI bytes to the tracker.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import ami_stream
from figures import Figure, add_arguments, tell

from vipex_bridge.ami.framing import Framer
from vipex_bridge.ami.resync import Resync
from vipex_bridge.ami.translate import worth_reading
from vipex_bridge.calls.numbering import Numbering
from vipex_bridge.calls.tracker import Ended, Tracker

SIZES, SHORT_SIZES = (100, 1_000, 10_000), (50, 200)
ROUNDS = 3
FURTHER, SHORT_FURTHER = 300, 50
GOAL_BYTES, GOAL_FLAT = 10_000, 1.2


class House:
    """A tracker behind its AMI, calls that are over forgotten, as the bridge does once they are told."""

    def __init__(self) -> None:
        self.tracker = Tracker(Numbering(trunks=("PJSIP/trunk*",)))
        self.events = 0
        self._framer = Framer(select=worth_reading)
        self._resync = Resync("")
        self._resync.is_open = True

    def hears(self, reads: Iterable[bytes]) -> None:
        for read in reads:
            ended = []
            for message in self._framer.feed(read):
                for event in self._resync.take(message, 0.0):
                    self.events += 1
                    ended += [out.key for out in self.tracker.feed(event) if isinstance(out, Ended)]
            self.tracker.touched()
            for key in ended:
                self.tracker.forget(key)

    def fill(self, calls: int) -> None:
        call = ami_stream.captured()
        heard = worth_reading([block for _, block in call.blocks[: call.up]])
        call = ami_stream.Captured([(0.0, block) for block in heard], len(heard))
        for number in range(calls):
            self.hears([block for _, block in call.again(number, number / 60)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "CALLS", "FURTHER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        what, calls, further = arguments.measure
        print(json.dumps(_memory(int(calls)) if what == "memory" else _time(int(calls), int(further))))
        return
    sizes = SHORT_SIZES if arguments.short else SIZES
    further = SHORT_FURTHER if arguments.short else FURTHER
    memory = {size: _measured("memory", size, further) for size in sizes}
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(1 if arguments.short else ROUNDS):
        for size, taken in times.items():
            taken.append(_measured("time", size, further)["us"])
    tell(_figures(memory, {size: statistics.median(taken) for size, taken in times.items()}), arguments)


def _measured(what: str, calls: int, further: int) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, __file__, "--measure", what, str(calls), str(further)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    told: dict[str, float] = json.loads(ran.stdout)
    return told


def _memory(calls: int) -> dict[str, float]:
    """Bytes for each live call: as allocated, and by how much the process has grown."""
    warm = House()
    warm.fill(20)
    gc.collect()
    resident = _resident_bytes()
    grown_house = House()
    grown_house.fill(calls)
    gc.collect()
    grown = _resident_bytes() - resident
    del grown_house
    gc.collect()
    tracemalloc.start()
    house = House()
    house.fill(calls)
    gc.collect()
    allocated, _ = tracemalloc.get_traced_memory()
    live = sum(not record.is_over() for record in house.tracker.calls())
    assert live == calls
    return {"allocated": allocated / calls, "grown": grown / calls}


def _time(calls: int, further: int) -> dict[str, float]:
    """Microseconds of processor time for each tracked event of further calls, among so many live ones."""
    house = House()
    house.fill(calls)
    call = ami_stream.captured()
    blocks = [block for n in range(further) for block in call.again(100_000 + n, 1000 + n / 60)]
    blocks.sort(key=lambda block: block[0])
    reads = ami_stream.reads(b"".join(block for _, block in blocks))
    before = house.events
    began = time.process_time()
    house.hears(reads)
    taken_s = time.process_time() - began
    assert sum(not record.is_over() for record in house.tracker.calls()) == calls
    return {"us": taken_s / (house.events - before) * 1e6}


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _figures(memory: dict[int, dict[str, float]], times: dict[int, float]) -> list[Figure]:
    figures = [
        Figure(
            measure="P8",
            what=f"memory of a live call, {size:,} of them live",
            ours=f"{found['allocated']:,.0f} bytes",
            against="",
            ratio=None,
            goal=f"<= {GOAL_BYTES:,} bytes",
            is_met=found["allocated"] <= GOAL_BYTES,
            remark=f"the process grew by {found['grown']:,.0f} bytes for each",
        )
        for size, found in memory.items()
    ]
    first, last = min(times), max(times)
    ratio = times[last] / times[first]
    told = ", ".join(f"{taken:.1f} us among {size:,}" for size, taken in times.items())
    flat = Figure(
        measure="P8",
        what=f"processor time for a tracked event, {first:,} to {last:,} live calls",
        ours=told,
        against="",
        ratio=ratio,
        goal=f"<= {GOAL_FLAT:g} x from the fewest to the most",
        is_met=ratio <= GOAL_FLAT,
        remark="with the events that are passed over before it",
    )
    return [*figures, flat]


if __name__ == "__main__":
    main()
