"""P9: the bridge beside an Asterisk that has all the calls it can hold, told to three clients of each kind.

    .venv/bin/python bench/full_load.py [--minutes 10] [--rate CALLS-A-SECOND]

Asterisk writes its CDRs as shipped, and no CEL. Without `--rate` it is looked for: the highest at which, with
all of this on one machine, no call fails at the phones and all has been told soon after the last one. Each
call is an inbound one that makes one lookup or three, is rung for 0.3 s, answered, hung up a second later:
three clients are notified of its arrival, ringing, answer and hang-up, three are told its end.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from figures import Figure, add_arguments, tell
from loaded_house import (
    AGI_URL,
    BenchError,
    Calls,
    House,
    Process,
    calling,
    house,
    listening,
    lookup,
    ms,
    percentile,
    wait_for_end,
)

EVENTS = "[arrival, ringing, answer, hangup]"
BODY = '{"event": "{{ event }}", "id": {{ id }}, "src": "{{ src }}", "exten": {{ exten | tojson }}}'
CLIENTS = "".join(
    f"  notify-{number}: {{kind: notify, on: {EVENTS}, url: '{{url}}/notify-{number}'}}\n"
    f"  end-{number}: {{kind: call_end, url: '{{url}}/end-{number}'}}\n"
    + lookup(f"lookup-{number}", f"/lookup-{number}")
    for number in (1, 2, 3)
).replace("/notify-1'}", f"/notify-1', body: '{BODY}'}}")
"""One has a format of its own, which says what happened: from it is known when ringing was told."""
EXTEN = "3642999499"
DIALPLAN = f"""
[from-trunk](+)
exten => {EXTEN},1,AGI({AGI_URL}/lookup,lookup-1)
 same => n,GotoIf($[${{CALLERID(num):-1}} % 2]?ring)
 same => n,AGI({AGI_URL}/lookup,lookup-2)
 same => n,AGI({AGI_URL}/lookup,lookup-3)
 same => n(ring),Dial(PJSIP/252,30)
 same => n,Hangup()
"""
RATES = (65, 55, 46, 39, 33, 28, 24, 20, 17, 14, 12, 10, 8, 6, 5, 4)
PROBE_S = 12.0
TOLD_WITHIN_S = 8.0
"""After the last call's end: `settle` is 3 s of it."""
LEFT_WITHIN_S = 120.0
CPU_GOAL, RING_GOAL_S, MEMORY_GOAL = 0.5, 0.25, 1.1
_SRC = re.compile(r'"src": ?"(\d+)"|[?&]src=(\d+)')


@dataclass
class Memory:
    """What the bridge needs while the calls go on, looked at each second."""

    process: Process
    seen_mib: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Until it is over."""
        while not self.over.wait(1.0):
            self.seen_mib.append(self.process.memory_mib())

    def third_and_end(self) -> tuple[float, float]:
        """The medians of a tenth of the time: after a third of it, and at its end."""
        tenth = max(1, len(self.seen_mib) // 10)
        third = len(self.seen_mib) // 3
        return statistics.median(self.seen_mib[third : third + tenth]), statistics.median(
            self.seen_mib[-tenth:]
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen in one run."""

    rate: float
    calls: int
    seconds: float
    asterisk_s: float
    bridge_s: float
    receiver_s: float
    """Processor time of each."""
    told_after_s: float
    """All, from when the phones had hung up."""
    lost: int
    repeated: int
    rings: tuple[float, ...]
    third_mib: float
    end_mib: float


def run(everything: House, rate: float, seconds: float, prefix: str, left_within_s: float) -> Run:
    """Plays the calls, and waits until all of it is told or the time is over."""
    calls = Calls(max(2, round(rate * seconds)), rate, prefix, EXTEN)
    expected = {calls.number(count): _expected(count, calls) for count in range(1, calls.count + 1)}
    wanted = sum(sum(each.values()) for each in expected.values())
    processes = everything.asterisk_process, everything.bridge, Process(everything.receiver.pid)
    before, known = [process.cpu_s() for process in processes], everything.receiver.count()
    memory = Memory(everything.bridge)
    watching = threading.Thread(target=memory.watch)
    with listening(everything.asterisk) as heard:
        watching.start()
        try:
            with calling(everything.asterisk, calls) as phones:
                wait_for_end(phones, calls)
        finally:
            memory.over.set()
            watching.join()
        over = time.monotonic()
        while everything.receiver.count() < known + wanted and time.monotonic() < over + left_within_s:
            time.sleep(0.1)
        told_after_s = time.monotonic() - over
        asterisk_s, bridge_s, receiver_s = [
            process.cpu_s() - then for process, then in zip(processes, before, strict=True)
        ]
        rang = {
            event["CallerIDNum"]: float(event["Timestamp"])
            for event in heard.those("DialStatus", "RINGING", calls.count)
        }
    lost, repeated, rings = _compared(everything, expected, rang)
    third_mib, end_mib = memory.third_and_end()
    return Run(
        rate=rate, calls=calls.count, seconds=seconds,
        asterisk_s=asterisk_s, bridge_s=bridge_s, receiver_s=receiver_s,
        told_after_s=told_after_s, lost=lost, repeated=repeated, rings=rings,
        third_mib=third_mib, end_mib=end_mib,
    )  # fmt: skip


def _expected(count: int, calls: Calls) -> Counter[str]:
    """How many requests each client is to get of a call."""
    wanted = Counter({f"/notify-{number}": 4 for number in (1, 2, 3)})
    wanted.update({f"/end-{number}": 1 for number in (1, 2, 3)})
    asked = (1,) if int(calls.number(count)[-1]) % 2 else (1, 2, 3)
    wanted.update({f"/lookup-{number}": 1 for number in asked})
    return wanted


def _compared(
    everything: House, expected: dict[str, Counter[str]], rang: dict[str, float]
) -> tuple[int, int, tuple[float, ...]]:
    """How many requests were lost and repeated, and the seconds from each ringing to its request."""
    got: dict[str, Counter[str]] = defaultdict(Counter)
    keys: set[str] = set()
    repeated, rings = 0, []
    for arrival in everything.receiver.arrivals():
        path = arrival.path.partition("?")[0]
        found = _SRC.search(arrival.body or arrival.path)
        number = (found[1] or found[2]) if found else ""
        if number not in expected:
            continue
        if arrival.key and arrival.key in keys:
            repeated += 1
            continue
        keys.add(arrival.key)
        got[number][path] += 1
        if path == "/notify-1" and '"ringing"' in arrival.body and number in rang:
            rings.append(arrival.at - rang[number])
    lost = sum((wanted - got[number]).total() for number, wanted in expected.items())
    repeated += sum((got[number] - wanted).total() for number, wanted in expected.items())
    return lost, repeated, tuple(rings)


def highest_rate(everything: House, rates: tuple[int, ...] = RATES) -> float:
    """The highest that is held; said on standard error as it is looked for."""
    for step, rate in enumerate(rates):
        try:
            probe = run(everything, rate, PROBE_S, f"36{step + 10}0", LEFT_WITHIN_S)
        except BenchError as error:
            print(f"{rate} calls/s: {error}", file=sys.stderr, flush=True)
            continue
        print(
            f"{rate} calls/s: all told {probe.told_after_s:.1f} s after the end", file=sys.stderr, flush=True
        )
        if probe.told_after_s <= TOLD_WITHIN_S and not probe.lost:
            return rate
    raise BenchError("no rate was held")


def figures(seen: Run) -> list[Figure]:
    """The rows."""
    p99_s = percentile(seen.rings, 99)
    load = f"{seen.rate:g} calls/s for {seen.seconds / 60:.1f} minutes"
    per_call = [each / seen.calls * 1000 for each in (seen.bridge_s, seen.asterisk_s, seen.receiver_s)]
    cpu = seen.bridge_s / seen.asterisk_s
    return [
        Figure(
            "P9", f"processor time, {load}", f"{per_call[0]:.1f} ms a call",
            f"Asterisk {per_call[1]:.1f} ms a call", cpu, f"<= {CPU_GOAL:g} x", cpu <= CPU_GOAL,
            f"the receiver {per_call[2]:.1f} ms a call; 16 or 18 requests a call",
        ),
        Figure(
            "P9", f"lost, {load}", f"{seen.lost} requests of {seen.calls} calls, {seen.repeated} repeated",
            "", None, "0", seen.lost == 0 and seen.repeated == 0,
            f"all told {seen.told_after_s:.1f} s after the last call's end",
        ),
        Figure(
            "P9", f"ringing to request, {load}, p99", ms(p99_s), "", None, f"< {RING_GOAL_S * 1000:.0f} ms",
            p99_s < RING_GOAL_S, f"p50 {ms(percentile(seen.rings, 50))}",
        ),
        Figure(
            "P9", f"memory at the end, {load}", f"{seen.end_mib:.0f} MiB",
            f"after a third of the time {seen.third_mib:.0f} MiB", seen.end_mib / seen.third_mib,
            f"<= {MEMORY_GOAL:g} x", seen.end_mib <= MEMORY_GOAL * seen.third_mib,
        ),
    ]  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="the bridge beside a busy Asterisk")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, help="calls a second; default: the highest that is held")
    add_arguments(parser)
    options = parser.parse_args()
    with house(CLIENTS, DIALPLAN) as everything:
        if options.short:
            rate, seconds = options.rate or 3.0, 4.0
        else:
            rate, seconds = options.rate or highest_rate(everything), options.minutes * 60
        tell(figures(run(everything, rate, seconds, "36990", LEFT_WITHIN_S)), options)


if __name__ == "__main__":
    main()
