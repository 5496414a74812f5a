"""P3: from `DialState` RINGING leaving Asterisk to the request complete at the receiver, 20 calls a second.

    .venv/bin/python bench/ring_to_request.py [--calls 600] [--rate 20]

Asterisk's own time is the event's `Timestamp`. Against it, between the calls and at the same rate, a process
that POSTs the same body to the same receiver by `requests.post`, from before that to the request complete;
and, for comparison, by a `requests.Session` that keeps its connection.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from figures import Figure, add_arguments, tell
from loaded_house import BenchError, Calls, House, call, house, listening, ms, percentile

CLIENTS = """
  ring:
    kind: notify
    on: [ringing]
    url: {url}/ring
"""
DIALPLAN = """
[from-trunk](+)
exten => 3642999498,1,Dial(PJSIP/252,30)
 same => n,Hangup()
"""
WARM_UP_CALLS = 20
P50_GOAL, P99_GOAL = 3.0, 10.0


def measure(calls: int, rate: float) -> tuple[list[float], list[float], list[float]]:
    """Seconds of each ringing, each bare POST, and each POST on a kept connection."""
    with house(CLIENTS, DIALPLAN) as everything:
        call(everything.asterisk, Calls(WARM_UP_CALLS, rate, "36301", "3642999498"))
        body = next(arrival.body for arrival in everything.receiver.arrivals())
        posting = [sys.executable, __file__, "--post", everything.receiver.url("/bare"), body]
        wanted = Calls(calls, rate, "36302", "3642999498")
        with listening(everything.asterisk) as heard:
            with subprocess.Popen(
                [*posting, f"{rate}", f"{calls}"], stdout=subprocess.PIPE, text=True
            ) as other:
                call(everything.asterisk, wanted)
                begun = [float(line) for line in other.communicate()[0].split()]
            rang = {
                event["CallerIDNum"]: float(event["Timestamp"])
                for event in heard.those("DialStatus", "RINGING", calls)
            }
        return _paired(everything, wanted, rang, begun)


def _paired(
    everything: House, calls: Calls, rang: dict[str, float], begun: list[float]
) -> tuple[list[float], list[float], list[float]]:
    arrived: dict[str, float] = {}
    posted: dict[int, float] = {}
    for arrival in everything.receiver.arrivals():
        if arrival.path.startswith("/bare"):
            posted[int(arrival.path.rpartition("/")[2])] = arrival.at
        else:
            arrived.setdefault(arrival.body.partition('"src": "')[2].partition('"')[0], arrival.at)
    numbers = [calls.number(count) for count in range(1, calls.count + 1)]
    lost = [number for number in numbers if number not in arrived or number not in rang]
    if lost or len(posted) < len(begun):
        raise BenchError(
            f"{len(lost)} of {calls.count} calls, {len(begun) - len(posted)} POSTs did not arrive"
        )
    ours = [arrived[number] - rang[number] for number in numbers]
    bare = [posted[number] - at for number, at in enumerate(begun)]
    return ours, bare[::2], bare[1::2]


def post(url: str, body: str, rate: float, count: int) -> None:
    """The other process: POSTs twice `rate` a second, each second one on a kept connection."""
    import requests

    session = requests.Session()
    headers = {"Content-Type": "application/json"}
    data = body.encode()
    first = time.monotonic() + 0.3
    for number in range(2 * count):
        time.sleep(max(0.0, first + number / rate / 2 - time.monotonic()))
        begun = time.time()
        (session.post if number % 2 else requests.post)(
            f"{url}/{number}", data=data, headers=headers, timeout=5
        )
        print(f"{begun:.6f}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="from ringing to the request at the receiver")
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--rate", type=float, default=20.0, help="calls a second")
    parser.add_argument("--post", nargs=4, help=argparse.SUPPRESS)
    add_arguments(parser)
    options = parser.parse_args()
    if options.post:
        url, body, rate, count = options.post
        post(url, body, float(rate), int(count))
        return
    ours, bare, kept = measure(60 if options.short else options.calls, options.rate)
    figures = []
    for hundredth, goal in ((50, P50_GOAL), (99, P99_GOAL)):
        us, them, session = (percentile(each, hundredth) for each in (ours, bare, kept))
        figures.append(
            Figure(
                "P3", f"ringing to request, {options.rate:g} calls/s, p{hundredth}", ms(us),
                f"a bare requests.post {ms(them)}", us / them, f"<= {goal:g} x", us <= goal * them,
                f"by a kept requests.Session: {ms(session)}, {us / session:.2f} x; "
                "ours waits for a commit on the disk before it is sent",
            )
        )  # fmt: skip
    tell(figures, options)


if __name__ == "__main__":
    main()
