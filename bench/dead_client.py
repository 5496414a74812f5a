"""Measures what a dead client costs a healthy one: the time from queued to received, with it and without.

    .venv/bin/python bench/dead_client.py [--fault hangs|refuses] [--pairs 4] [--seconds 6] [--rate 50]

Real store, workers and sockets on 127.0.0.1; the receiver is a process of its own. Runs with and without
the dead client alternate, each on a new store; the figures are medians over the runs. Takes
2 * pairs * seconds, about 50 s unless told otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from vipex_bridge.config.load import load_text
from vipex_bridge.config.settings import Settings
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.recordings import opened
from vipex_bridge.render.request import Request
from vipex_bridge.store.outbox import NewDelivery
from vipex_bridge.store.store import Store

CONFIGURATION = """
node: bench
asterisk: {}
store: 'sqlite:////nowhere/state.db'
clients:
  healthy: {kind: call_end, url: 'http://127.0.0.1/'}
  dead: {kind: call_end, url: 'http://127.0.0.1/', timeout: 1s}
"""
FAULTS = ("hangs", "refuses")
WARM_UP_S = 1.0
"""Calls of this time are sent and not counted: everything is used for the first time then."""
LEFT_WITHIN_S = 30.0
"""How long the last of a run may take to arrive."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Percentiles of one run, in seconds, and how much did not arrive."""

    p50_s: float
    p99_s: float
    lost: int


@dataclass(frozen=True, slots=True)
class Result:
    """Medians over all runs: without the dead client, with it; and the medians of the pairs' ratios."""

    without: Figures
    with_dead: Figures
    p50_ratio: float
    p99_ratio: float

    def __str__(self) -> str:
        rows = [
            f"{name:<22} p50 {f.p50_s * 1000:7.2f} ms   p99 {f.p99_s * 1000:7.2f} ms   lost {f.lost}"
            for name, f in (("without a dead client", self.without), ("with a dead client", self.with_dead))
        ]
        return "\n".join([*rows, f"ratio: p50 {self.p50_ratio:.2f}, p99 {self.p99_ratio:.2f}"])


def measure(fault: str = "hangs", *, pairs: int = 4, seconds: float = 6.0, rate: float = 50.0) -> Result:
    """Run `pairs` times without and with the dead client; which of the two goes first alternates."""
    runs: dict[bool, list[Figures]] = {False: [], True: []}
    for pair in range(pairs):
        for with_dead in (False, True) if pair % 2 == 0 else (True, False):
            runs[with_dead].append(_run(fault if with_dead else None, seconds, rate))
    return Result(
        _median(runs[False]),
        _median(runs[True]),
        statistics.median(w.p50_s / o.p50_s for w, o in zip(runs[True], runs[False], strict=True)),
        statistics.median(w.p99_s / o.p99_s for w, o in zip(runs[True], runs[False], strict=True)),
    )


def _median(runs: list[Figures]) -> Figures:
    return Figures(
        statistics.median(run.p50_s for run in runs),
        statistics.median(run.p99_s for run in runs),
        sum(run.lost for run in runs),
    )


def _run(fault: str | None, seconds: float, rate: float) -> Figures:
    settings = load_text(CONFIGURATION, Path("config.yaml"), {}).settings
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = stack.enter_context(closing(Store(f"sqlite:///{folder}/state.db", "bench")))
        port, arrivals = stack.enter_context(_receiver())
        dead = stack.enter_context(_dead(fault)) if fault is not None else None
        count = round(seconds * rate)
        with _working(store, settings) as deliveries:
            queued = _calls(store, deliveries, port, dead, count, rate)
            until = time.monotonic() + LEFT_WITHIN_S
            while len(arrivals) < count and time.monotonic() < until:
                time.sleep(0.02)
    counted = range(round(WARM_UP_S * rate), count)
    took = [arrivals[number] - queued[number] for number in counted if number in arrivals]
    hundredths = statistics.quantiles(took, n=100)
    return Figures(hundredths[49], hundredths[98], count - len(arrivals))


@contextmanager
def _working(store: Store, settings: Settings) -> Iterator[Deliveries]:
    transport = Transport()
    deliveries = Deliveries(store, settings, transport, open_recording=partial(opened, None))
    deliveries.start()
    try:
        yield deliveries
    finally:
        deliveries.close(0.2)
        transport.close()


def _calls(
    store: Store, deliveries: Deliveries, port: int, dead: int | None, count: int, rate: float
) -> dict[int, float]:
    """Queue `count` calls at an even pace; gives when each was queued, by the monotonic clock."""
    queued: dict[int, float] = {}
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        queued[number] = time.monotonic()
        now = time.time()
        with store.write(now) as writer:
            writer.queue(_delivery("healthy", number, port, now))
            if dead is not None:
                writer.queue(_delivery("dead", number, dead, now))
        deliveries.wake("healthy")
        if dead is not None:
            deliveries.wake("dead")
    return queued


def _delivery(client: str, number: int, port: int, now: float) -> NewDelivery:
    body = json.dumps({"id": number, "src": "3642999425", "sub_cdr": [{"exten": "251"}] * 20})
    request = Request(
        "POST", f"http://127.0.0.1:{port}/{number}", (("Content-Type", "application/json"),), body
    )
    return NewDelivery(client, "call_end", number, "call_end", now, request)


@contextmanager
def _receiver() -> Iterator[tuple[int, dict[int, float]]]:
    """A healthy receiver in a process of its own: its port, and when each call came, as it comes."""
    process = subprocess.Popen([sys.executable, __file__, "--receive"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    arrivals: dict[int, float] = {}
    port = int(process.stdout.readline())

    def read(lines: Iterator[str]) -> None:
        for line in lines:
            number, moment = line.split()
            arrivals.setdefault(int(number), float(moment))

    reader = threading.Thread(target=read, args=(process.stdout,))
    reader.start()
    try:
        yield port, arrivals
    finally:
        process.terminate()
        process.wait(10)
        reader.join(10)
        process.stdout.close()


@contextmanager
def _dead(fault: str) -> Iterator[int]:
    """The port of a server that takes requests and says nothing, or of one that is not there."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if fault == "hangs":
            bound.listen(1000)
        yield int(bound.getsockname()[1])


async def _receive() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            moment = time.monotonic()
            number = head.split(b" ", 2)[1].decode().lstrip("/")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            print(number, moment, flush=True)

    async def serve_until_left(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve_until_left, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="what a dead client costs a healthy one")
    parser.add_argument("--fault", choices=FAULTS, default="hangs")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        asyncio.run(_receive())
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(measure(options.fault, pairs=options.pairs, seconds=options.seconds, rate=options.rate))


if __name__ == "__main__":
    main()
