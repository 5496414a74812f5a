"""A receiving server that costs next to nothing, in a process of its own: it writes down what came, and when.

A request to `/slow...` is answered after 20 ms, every other at once, all with the same small JSON object.
"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

SLOW_S = 0.02
KEPT_BYTES = 320
"""Of each body: enough to know the call by."""
ANSWER = b'{"route": {"branch": "vip"}, "agent": {"extension": "252"}}'
_REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
) + ANSWER
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nidempotency-key: *([^\r]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request; `at` is when the whole of it had been read, epoch seconds."""

    at: float
    path: str
    key: str
    """Its Idempotency-Key, or ''."""
    body: str
    """The first KEPT_BYTES."""


class Receiving:
    """The receiver that runs."""

    def __init__(self, port: int, arrivals: Path, process: subprocess.Popen[str]) -> None:
        self.port = port
        self.pid = process.pid
        self._arrivals = arrivals
        self._process = process

    def url(self, path: str) -> str:
        """Where a client is received."""
        return f"http://127.0.0.1:{self.port}{path}"

    def count(self) -> int:
        """How many requests came so far; they are all written down then."""
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGUSR1)
        return int(self._process.stdout.readline())

    def arrivals(self) -> Iterator[Arrival]:
        """All that came so far."""
        self.count()
        with self._arrivals.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                at, path, key, body = line.rstrip("\n").split("\t", 3)
                yield Arrival(float(at), path, key, body)


@contextmanager
def receiving() -> Iterator[Receiving]:
    """Starts one, and ends it."""
    with tempfile.TemporaryDirectory(prefix="vipex-bench-") as folder:
        arrivals = Path(folder) / "arrivals"
        command = [sys.executable, __file__, str(arrivals)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield Receiving(int(process.stdout.readline()), arrivals, process)
            finally:
                process.terminate()


class _Connection(asyncio.Protocol):
    def __init__(self, file: TextIO, seen: list[int]) -> None:
        self._file = file
        self._seen = seen
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = self._unread[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._unread) < whole:
                return
            now = time.time()
            body, self._unread = self._unread[end + 4 : whole], self._unread[whole:]
            path = head[head.find(b" ") + 1 : head.find(b" HTTP/")].decode()
            if path.startswith("/slow"):
                asyncio.get_running_loop().call_later(SLOW_S, self._transport.write, _REPLY)
            else:
                self._transport.write(_REPLY)
            self._seen[0] += 1
            key = _KEY.search(head)
            kept = body[:KEPT_BYTES].decode("utf-8", "replace").replace("\n", " ")
            self._file.write(f"{now:.6f}\t{path}\t{key[1].decode() if key else ''}\t{kept}\n")


async def _receive(arrivals: Path) -> None:
    with arrivals.open("w", encoding="utf-8", newline="\n", buffering=1 << 20) as file:
        loop = asyncio.get_running_loop()
        seen = [0]
        server = await loop.create_server(lambda: _Connection(file, seen), "127.0.0.1", 0, backlog=1024)
        ended = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        loop.add_signal_handler(signal.SIGUSR1, _written, file, seen)
        print(server.sockets[0].getsockname()[1], flush=True)
        await ended.wait()
        server.close()


def _written(file: TextIO, seen: list[int]) -> None:
    file.flush()
    print(seen[0], flush=True)


if __name__ == "__main__":
    asyncio.run(_receive(Path(sys.argv[1])))
