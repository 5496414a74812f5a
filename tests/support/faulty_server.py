"""A real HTTP server on 127.0.0.1 that answers well, or in every wrong way that a network knows."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    """The number of the connection that it came on, from 1."""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


Answer = Callable[[socket.socket, Received], bool]
"""Answers a request on its socket; True keeps the connection for another."""


@dataclass
class FaultyServer:
    """Answers each request with `answer`, or with the first of `queue` as long as it holds any."""

    listener: socket.socket
    context: ssl.SSLContext | None = None
    answer: Answer | None = None
    queue: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    reads_slowly: bool = False
    """Accepts, but reads nothing of what is sent."""
    greeting: Callable[[socket.socket], bool] | None = None
    """What is done with a new connection before anything is read; False ends it."""
    closed: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}/api"

    # What it can do

    def replies(
        self, status: int = 200, body: bytes = b"", content_type: str = "application/json", **headers: str
    ) -> Answer:
        """A whole answer; further headers by keyword, `_` for `-`."""
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"Content-Type: {content_type}"] if content_type else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return self.sends("\r\n".join([*lines, "", ""]).encode() + body, keep=True)

    def sends(self, data: bytes, *, keep: bool = False) -> Answer:
        """Exactly these bytes, then the end of the connection."""

        def answer(sock: socket.socket, request: Received) -> bool:
            sock.sendall(data)
            return keep

        return answer

    def hangs(self, data: bytes = b"") -> Answer:
        """These bytes, then nothing more for ever."""

        def answer(sock: socket.socket, request: Received) -> bool:
            sock.sendall(data)
            self.hold(sock)
            return False

        return answer

    def drips(self, start: bytes, rest: bytes, every_s: float = 0.05) -> Answer:
        """`start` at once, then `rest` over and over, a byte at a time."""

        def answer(sock: socket.socket, request: Received) -> bool:
            sock.sendall(start)
            for byte in itertools.cycle(rest):
                if self.closed.wait(every_s):
                    break
                sock.sendall(bytes([byte]))
            return False

        return answer

    def floods(self, head: bytes, block: bytes) -> Answer:
        """`head`, then `block` without end."""

        def answer(sock: socket.socket, request: Received) -> bool:
            sock.sendall(head)
            while not self.closed.is_set():
                sock.sendall(block)
            return False

        return answer

    def resets(self, data: bytes = b"") -> Answer:
        """These bytes, then a TCP reset."""

        def answer(sock: socket.socket, request: Received) -> bool:
            sock.sendall(data)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False

        return answer

    def resets_after(self, count: int) -> Callable[[socket.socket], bool]:
        """A greeting: a TCP reset when `count` bytes of the request have been read."""

        def greet(sock: socket.socket) -> bool:
            left = count
            while left and (got := sock.recv(left)):
                left -= len(got)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False

        return greet

    def hold(self, sock: socket.socket) -> None:
        """Wait until the client leaves or the server ends."""
        while not self.closed.is_set():
            readable, _, _ = select.select([sock], [], [], 0.05)
            if readable:
                with contextlib.suppress(OSError):
                    if sock.recv(65536):
                        continue
                return

    def wait_for(self, count: int, timeout_s: float = 5.0) -> None:
        """Block until so many requests have arrived in all."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, timeout_s)

    # How it runs

    def serve(self) -> None:
        while not self.closed.is_set():
            try:
                sock, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve_one, args=(sock, self.connections))
            self.threads.append(thread)
            thread.start()

    def _serve_one(self, raw: socket.socket, number: int) -> None:
        raw.settimeout(5)
        sock = raw
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(lambda: sock.close())
            if self.reads_slowly:
                self.closed.wait(10)
                return
            if self.greeting is not None and not self.greeting(raw):
                return
            if self.context is not None:
                sock = self.context.wrap_socket(raw, server_side=True)
            while not self.closed.is_set():
                request = self._read(sock, number)
                if request is None:
                    return
                with self.arrived:
                    self.received.append(request)
                    self.arrived.notify_all()
                answer = self.queue.pop(0) if self.queue else self.answer
                if not (answer or self.replies())(sock, request):
                    return

    def _read(self, sock: socket.socket, number: int) -> Received | None:
        data = b""
        # poll(2), for a test may have thousands of files open.
        watch = select.poll()
        watch.register(sock, select.POLLIN)
        while b"\r\n\r\n" not in data:
            ready = watch.poll(50) or (isinstance(sock, ssl.SSLSocket) and sock.pending())
            if self.closed.is_set():
                return None
            if ready:
                chunk = sock.recv(65536)
                if not chunk:
                    return None
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        parts = bytearray(body)
        while len(parts) < length:
            chunk = sock.recv(65536)
            if not chunk:
                return None
            parts += chunk
        method, target, _ = first.split(" ")
        return Received(method, target, headers, bytes(parts), number)

    def close(self) -> None:
        self.closed.set()
        self.listener.close()
        for thread in self.threads:
            thread.join(6)


def bomb(size: int) -> bytes:
    """A gzip of `size` zeros."""
    return gzip.compress(bytes(size))


def _listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.settimeout(0.05)
    return listener


@contextlib.contextmanager
def running(
    context: ssl.SSLContext | None = None, listener: socket.socket | None = None
) -> Iterator[FaultyServer]:
    """A server on a free port, or on `listener`; ended, with all its threads, when the block ends."""
    server = FaultyServer(listener or _listening(), context)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.closed.set()
        thread.join(6)
        server.close()
