"""End-of-call documents a second, durable, against a plain `requests` loop: `bench/deliveries.py [--short]`.

Ours: a real store on the disk (SQLite; `--postgresql`: a server of its own on 127.0.0.1, every commit on the
disk), real workers, one client with four of them. The other: four threads, each with a `requests.Session`
(no proxies looked for, connections kept alive), which post the same bodies and keep nothing. The receiver is
a process of its own, the same for both; runs alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import requests
import structlog
from delivering import client as client_named
from delivering import no_recordings, settings_of
from figures import Figure, add_arguments, tell
from sql_servers import postgresql

from vipex_bridge.cli.logs import configure
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.render.request import Request
from vipex_bridge.store.outbox import Delivery, NewAttempt, NewDelivery
from vipex_bridge.store.store import Store

WORKERS = 4
BODY = '{"id": %d, "sub_cdrs": [' + ", ".join(['{"exten": "252", "duration": 61}'] * 40) + "]}"
"""About 1.3 KiB, as a call of four parts has it."""
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"stored": true}'
GOAL = 0.5


class _Receiver(asyncio.Protocol):
    """Answers each request with 200 as soon as its body is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._got = transport, b""

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            length = self._got[:end].lower().rpartition(b"content-length:")[2].split(b"\r\n", 1)[0]
            if len(self._got) < end + 4 + int(length):
                return
            self._got = self._got[end + 4 + int(length) :]
            assert isinstance(self._transport, asyncio.WriteTransport)
            self._transport.write(ANSWER)


async def _receive() -> None:
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def receiver() -> Iterator[str]:
    """The URL of a receiver in a process of its own."""
    process = subprocess.Popen([sys.executable, __file__, "--receive"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/calls"
    finally:
        process.kill()
        process.wait()


def ours(database: str, url: str, count: int) -> tuple[float, float]:
    """Deliveries a second and ms of our processor for each, from the start to the last recorded."""
    bodies = [BODY % number for number in range(count)]
    content = (("Content-Type", "application/json"),)
    over, left = threading.Event(), [count]

    def tried(delivery: Delivery, attempt: NewAttempt) -> None:
        assert attempt.outcome == "delivered", attempt
        left[0] -= 1
        if not left[0]:
            over.set()

    with closing(Store(database, "pbx1")) as store, closing(Transport()) as transport:
        now = time.time()
        with store.write(now) as writer:
            for number, body in enumerate(bodies):
                request = Request("POST", "", content, body, ())
                writer.queue(NewDelivery("billing", "call_end", number, "call_end", now, request))
        deliveries = Deliveries(
            store,
            settings_of(client_named(url=url, concurrency=WORKERS)),
            transport,
            open_recording=no_recordings,
            on_attempt=tried,
        )
        began, cpu_s = time.perf_counter(), time.process_time()
        deliveries.start()
        over.wait()
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        deliveries.close(5.0)
    return count / took_s, 1000 * cpu_s / count


def plain(url: str, count: int) -> tuple[float, float]:
    """The same bodies by `requests`, with nothing on the disk."""
    bodies = [(BODY % number).encode() for number in range(count)]

    def post(mine: list[bytes]) -> None:
        with requests.Session() as session:
            session.trust_env = False
            for number, body in enumerate(mine):
                headers = {"Content-Type": "application/json", "Idempotency-Key": f"{number:032}"}
                assert session.post(url, data=body, headers=headers, timeout=10).ok

    threads = [threading.Thread(target=post, args=(bodies[n::WORKERS],)) for n in range(WORKERS)]
    began, cpu_s = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - began), 1000 * (time.process_time() - cpu_s) / count


def measure(kind: str, urls: Iterator[str], rounds: int, count: int) -> Figure:
    """Rounds of both, one after the other."""
    with receiver() as url:
        plain(url, 50)
        runs = [(ours(next(urls), url, count), plain(url, count)) for _ in range(rounds)]
    mine, others = ([run[side][0] for run in runs] for side in (0, 1))
    cpu_ms, other_ms = (statistics.median(run[side][1] for run in runs) for side in (0, 1))
    ratio = statistics.median(mine) / statistics.median(others)
    return Figure(
        "P6",
        f"end-of-call documents/s, durable, 4 workers, store on {kind}",
        f"{statistics.median(mine):.0f}/s ({cpu_ms:.2f} ms of processor each)",
        f"requests, 4 threads: {statistics.median(others):.0f}/s ({other_ms:.2f} ms)",
        ratio,
        f">= {GOAL}",
        ratio >= GOAL,
        "requests keeps nothing: no claim, no record of the try, no commit, no log line",
    )


def _files(folder: str) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"sqlite:///{folder}/{number}.db"


def main() -> None:
    """Prints the figures; with `--receive` it is the receiver."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--postgresql", action="store_true", help="with a store on PostgreSQL as well")
    add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.receive:
        asyncio.run(_receive())
        return
    configure()
    rounds, count = (1, 300) if arguments.short else (5, 3000)
    with ExitStack() as stack:
        # The log is written as it is by the bridge, but not to be read here.
        quiet = stack.enter_context(Path("/dev/null").open("w"))
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(quiet))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        tell([measure("SQLite", _files(folder), rounds, count)], arguments)
        if arguments.postgresql:
            server = stack.enter_context(postgresql())
            server.stop()
            server.command[server.command.index("fsync=off")] = "fsync=on"
            server.start()
            urls = (stack.enter_context(server.database()) for _ in range(rounds))
            tell([measure("PostgreSQL", urls, rounds, count)], arguments)


if __name__ == "__main__":
    main()
