"""A receiving HTTP server that records each request, answers as told, and misbehaves on demand.

For the demonstration, the tests and CRM developers on their own machine: it knows no TLS, and whoever
reaches its port can speak to it.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO
from urllib.parse import parse_qsl

from vipex_bridge.errors import BridgeError
from vipex_bridge.receive.checked import checked
from vipex_bridge.receive.faults import OK, Fault
from vipex_bridge.receive.show import ReceivedRequest, show
from vipex_bridge.receive.signature import verdict

MAX_BODY_BYTES = 256 * 1024 * 1024
"""A larger request is refused with 413: room for the largest recording (100 MB) in base64."""

HUGE_BYTES = 64 * 1024 * 1024
"""What the fault `huge` answers with: more than any answer that is read."""

_IDLE_S = 60
_CONTENT_TYPES = {
    ".json": "application/json", ".xml": "application/xml", ".txt": "text/plain; charset=utf-8",
    ".form": "application/x-www-form-urlencoded",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers with status 200."""

    content_type: str
    body: bytes


DEFAULT_ANSWER = Answer("application/json", b'{"ok": true}\n')


def parse_answer(text: str) -> tuple[str, Answer]:
    """Read `PATH=JSON` or `PATH=FILE`; a file's content type goes by its suffix (.json, .xml, .form, .txt).

    Raises ValueError when it is neither.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.startswith("/"):
        raise ValueError(f"{text!r} is no answer: write /PATH=JSON or /PATH=FILE")
    try:
        json.loads(value)
    except ValueError:
        file = Path(value)
        try:
            return path, Answer(_CONTENT_TYPES.get(file.suffix.lower(), "text/plain"), file.read_bytes())
        except (OSError, ValueError) as error:
            raise ValueError(f"{value!r} is neither JSON nor a file that can be read: {error}") from None
    return path, Answer("application/json", value.encode())


class Receiver:
    """The server, from `start` (or `with`) to `close`. Port 0 takes a free one; see `port` and `url`.

    `faults` are gone through in turn, one for each request, for ever; none: every request is answered.
    `answers` says what a path answers, and may be changed meanwhile. `on_request` is told each request
    before it is answered, one at a time. The last `keep` requests are kept for `requests_received`.
    Raises BridgeError when the port cannot be had.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        faults: Sequence[Fault] = (),
        answers: Mapping[str, Answer] | None = None,
        on_request: Callable[[ReceivedRequest], None] | None = None,
        keep: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._faults = tuple(faults)
        self._answers = {} if answers is None else answers
        self._on_request = on_request
        self._clock = clock
        self._count = 0
        self._received: deque[ReceivedRequest] = deque(maxlen=keep)
        self._changed = threading.Condition()
        self.closing = threading.Event()
        """Set when the server closes: nothing waits on after that."""
        try:
            self._server = _Server((host, port), self)
        except OSError as error:
            raise BridgeError(f"cannot listen on {host}:{port}: {error}: choose another --listen") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver")

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """`http://HOST:PORT`, without a slash at its end."""
        return f"http://{self._server.server_address[0]!s}:{self.port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop at once: whatever still waits is cut off, every thread has ended afterwards."""
        self.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def requests_received(self) -> list[ReceivedRequest]:
        """The requests kept so far, in the order of their arrival."""
        with self._changed:
            return list(self._received)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[ReceivedRequest]:
        """Wait until `count` requests have come, and give those kept. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout_s):
                raise TimeoutError(f"{self._count} of {count} requests came within {timeout_s:g} s")
            return list(self._received)

    def take(
        self, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> tuple[Fault, Answer]:
        """Record one request; give how it is to be answered. Called by the server's threads."""
        path, _, query_text = target.partition("?")
        query = tuple(parse_qsl(query_text, keep_blank_values=True))
        with self._changed:
            fault = self._faults[self._count % len(self._faults)] if self._faults else OK
            received = ReceivedRequest(self._clock(), method, path, query, headers, body, answered=str(fault))
            self._count += 1
            self._received.append(received)
            if self._on_request:
                self._on_request(received)
            self._changed.notify_all()
        return fault, self._answers.get(path, DEFAULT_ANSWER)


def serve(
    host: str, port: int, *, faults: Sequence[Fault] = (), answers: Mapping[str, Answer] | None = None,
    stream: TextIO, signing_key: bytes = b"",
) -> None:  # fmt: skip
    """Show every request on `stream` until KeyboardInterrupt, and whether it is what is sent by default.

    With a key, also whether it is well signed.

    Raises BridgeError for a port not to be had.
    """

    def tell(text: str) -> None:
        stream.write(text)
        stream.flush()

    receiver = Receiver(
        host,
        port,
        faults=faults,
        answers=answers,
        keep=0,
        on_request=lambda request: tell(
            show(request, verdict(request, signing_key) if signing_key else "", checked(request)) + "\n"
        ),
    )
    with receiver:
        tell(f"Listening on {receiver.url}; Ctrl-C ends.\n\n")
        receiver.closing.wait()


class _Server(ThreadingHTTPServer):
    """Threads that end with the server, whatever their connections do."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        self.receiver = receiver
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        with self._lock:
            for connection in self._open:
                _cut_off(connection)
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection. The names of its methods are those of http.server."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    server: _Server

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            # The peer has gone, or the server closes: there is nobody to tell.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Requests are told by `on_request`, not by http.server's own log."""

    def _handle(self) -> None:
        body = self._read_body()
        if body is None:
            return
        receiver = self.server.receiver
        fault, answer = receiver.take(self.command, self.path, tuple(self.headers.items()), body)
        match fault.kind:
            case "reset":
                self._reset()
            case "hang":
                receiver.closing.wait(fault.seconds)
                self.close_connection = True
            case "drip":
                self._drip(answer, fault.seconds)
            case "cut":
                self._raw(_head(answer.content_type, len(answer.body)) + answer.body[: len(answer.body) // 2])
            case "nonsense":
                self._raw(b"\x00\xffthis is no HTTP\r\n\r\n")
            case "huge":
                self._huge()
            case "slow":
                receiver.closing.wait(fault.seconds)
                self._answer(200, answer.content_type, answer.body)
            case "status":
                self._status(fault)
            case _:
                self._answer(200, answer.content_type, answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _read_body(self) -> bytes | None:
        """The body, or None once the request is refused."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.close_connection = True
            self._answer(411, "text/plain", b"send a Content-Length\n")
            return None
        if int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(413, "text/plain", b"the body is too large\n")
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _answer(
        self, status: int, content_type: str, body: bytes, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        has_body = status >= 200 and status not in (204, 304)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if has_body:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(body)

    def _status(self, fault: Fault) -> None:
        headers = [("Retry-After", str(math.ceil(fault.seconds)))] if fault.seconds else []
        headers += [("Location", "/elsewhere")] if 300 <= fault.status < 400 else []
        self._answer(fault.status, "text/plain", f"{fault.status} on demand\n".encode(), headers)

    def _raw(self, data: bytes) -> None:
        """These bytes instead of an answer, then the end of the connection."""
        self.wfile.write(data)
        self.close_connection = True

    def _huge(self) -> None:
        """An answer of HUGE_BYTES, for as long as the peer takes it."""
        block = b" " * 65536
        self.wfile.write(_head("text/plain", HUGE_BYTES))
        for _ in range(HUGE_BYTES // len(block)):
            if self.server.receiver.closing.is_set():
                break
            self.wfile.write(block)
        self.close_connection = True

    def _drip(self, answer: Answer, pause_s: float) -> None:
        """The answer byte by byte, head and all."""
        for byte in _head(answer.content_type, len(answer.body)) + answer.body:
            self.wfile.write(bytes([byte]))
            if self.server.receiver.closing.wait(pause_s):
                break
        self.close_connection = True

    def _reset(self) -> None:
        """Break the connection off with RST instead of an orderly FIN."""
        self.close_connection = True
        # l_onoff 1, l_linger 0: socket(7), SO_LINGER.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())


def _head(content_type: str, length: int) -> bytes:
    """The head of an answer after which the connection ends."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {content_type}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _cut_off(connection: socket.socket) -> None:
    """End a connection that another thread may be blocked on."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
