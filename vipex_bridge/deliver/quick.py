"""The ordinary exchange, straight over sockets and `http.client`: a body in memory to a plain address.

Through requests' adapter it takes four times the processor (docs/performance.md). What is out of the
ordinary (an address that must be re-written, a recording as the body) is left to that: `deliver/http.py`.
"""

from __future__ import annotations

import errno
import re
import select
import ssl
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import cast
from urllib.parse import urlsplit

from vipex_bridge.deliver.head import WholeHead
from vipex_bridge.deliver.sockets import TimedSocket, TimedTlsSocket, connect, usable

_HOST = re.compile(r"[a-z0-9.-]+")
_TARGET = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*")
"""RFC 3986, sections 3.3 and 3.4, with upper-case escapes: what goes out as it is."""
_IN_ONE_BYTES = 65_536
"""Head and body up to this size are one write."""
_READS_ON = (errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE)
"""A server may answer, and close, before it has read everything."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes."""

    is_tls: bool
    host: str
    port: int
    name: str
    """As the Host header has it."""
    target: str


@lru_cache(maxsize=256)
def place_of(url: str) -> Place | None:
    """Where `url` leads, None when it is out of the ordinary."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    usual = 443 if is_tls else 80
    port = parts.port or usual
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    if not _HOST.fullmatch(host) or not _TARGET.fullmatch(target) or url.endswith("?"):
        return None
    return Place(is_tls, host, port, host if port == usual else f"{host}:{port}", target)


class Connections:
    """Those of one TLS context, kept alive for `keep_s`. May be used by many threads at once."""

    def __init__(self, context: ssl.SSLContext, keep_s: float) -> None:
        self._context = context
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._kept: dict[tuple[bool, str, int], list[TimedSocket | TimedTlsSocket]] = {}
        self._swept_at = time.monotonic()
        self._closed = False

    def ask(
        self, place: Place, method: str, head: bytes, body: bytes
    ) -> tuple[TimedSocket | TimedTlsSocket, WholeHead]:
        """Send a request over a kept connection, or a new one; gives what came, read up to its body."""
        sock = self._take(place) or self._dial(place)
        answer = None
        try:
            _send(sock, head, body)
            answer = WholeHead(sock, method=method)
            answer.begin()
        except BaseException:
            if answer is not None:
                answer.close()
            sock.close()
            raise
        return sock, answer

    def done(self, place: Place, sock: TimedSocket | TimedTlsSocket, answer: WholeHead) -> None:
        """Keep the connection when its answer was read to the end and it may go on; else close it."""
        goes_on = answer.isclosed() and not answer.will_close
        answer.close()
        with self._lock:
            if goes_on and not self._closed:
                self._kept.setdefault((place.is_tls, place.host, place.port), []).append(sock)
            old = self._swept()
        if not goes_on or self._closed:
            sock.close()
        for unused in old:
            unused.close()

    def close(self) -> None:
        """Close what is kept; exchanges under way end by themselves."""
        with self._lock:
            self._closed = True
            kept = [sock for socks in self._kept.values() for sock in socks]
            self._kept.clear()
        for sock in kept:
            sock.close()

    def _take(self, place: Place) -> TimedSocket | TimedTlsSocket | None:
        while True:
            with self._lock:
                socks = self._kept.get((place.is_tls, place.host, place.port))
                if not socks:
                    return None
                sock = socks.pop()
            if usable(sock, self._keep_s) and not _has_ended(sock):
                return sock
            sock.close()

    def _swept(self) -> list[TimedSocket | TimedTlsSocket]:
        """Now and then: those that nobody may use any more, taken out."""
        now = time.monotonic()
        if now - self._swept_at < self._keep_s:
            return []
        self._swept_at = now
        old = [sock for socks in self._kept.values() for sock in socks if now - sock.heard_at > self._keep_s]
        self._kept = {
            key: still
            for key, socks in self._kept.items()
            if (still := [sock for sock in socks if now - sock.heard_at <= self._keep_s])
        }
        return old

    def _dial(self, place: Place) -> TimedSocket | TimedTlsSocket:
        sock = connect(place.host, place.port)
        if not place.is_tls:
            return sock
        try:
            secured = self._context.wrap_socket(sock, server_hostname=place.host.rstrip("."))
        except BaseException:
            sock.close()
            raise
        # The context makes no other kind: `sslsocket_class`.
        return cast("TimedTlsSocket", secured)


def _has_ended(sock: TimedSocket | TimedTlsSocket) -> bool:
    """Whether an idle connection was closed by its server, or has bytes that nobody asked for."""
    looking = select.poll()
    looking.register(sock, select.POLLIN)
    return bool(looking.poll(0))


def _send(sock: TimedSocket | TimedTlsSocket, head: bytes, body: bytes) -> None:
    try:
        if len(body) <= _IN_ONE_BYTES:
            sock.sendall(head + body)
        else:
            sock.sendall(head)
            sock.sendall(body)
    except OSError as error:
        if error.errno not in _READS_ON:
            raise
