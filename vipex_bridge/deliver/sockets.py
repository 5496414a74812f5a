"""Sockets of which every single operation ends at the deadline of the exchange that uses them.

A timeout of a socket is per operation, so a server that drips one byte a second outlasts any. Here each
operation is given just the time that is left of the whole exchange; the exchange is found by the thread
it runs in (a context variable), so a kept-alive connection that serves a later exchange obeys that one.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from vipex_bridge.config.addresses import refusal
from vipex_bridge.errors import TimedOut, Unreachable


@dataclass(slots=True)
class Progress:
    """How far the exchange of this thread has come."""

    ends_at: float
    """The deadline on `time.monotonic()`."""
    dialled: bool = False
    """A new connection was asked for: none was at hand."""
    connected: bool = False
    heard: bool = False
    """At least one byte of the answer has come."""
    fresh: bool = False
    """Connections kept from earlier are not to be used."""


_TIME_IS_UP = "the time is up"
_progress: ContextVar[Progress] = ContextVar("progress")


@contextlib.contextmanager
def exchange_of(progress: Progress) -> Iterator[None]:
    """While this runs, sockets used by this thread obey `progress.ends_at`."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


def usable(sock: Any, keep_s: float) -> bool:
    """Whether a kept connection may serve this exchange: heard from within the last `keep_s` seconds."""
    if _progress.get().fresh or not isinstance(sock, TimedSocket | TimedTlsSocket):
        return False
    return time.monotonic() - sock.heard_at <= keep_s


def connect(host: str, port: int) -> TimedSocket:
    """A TCP connection to the first address of `host` that takes one.

    Addresses that nothing may be sent to (config/addresses.py) are left out here, where the very address
    that was looked at is the one connected to: what a name stood for earlier does not count.
    Each address gets an equal share of the time that is left, so that a dead one does not eat it all.
    Resolving the name is the one thing that a thread cannot break off: it ends when the resolver does.
    Raises Unreachable with the reason, TimedOut at the deadline.
    """
    progress = _progress.get()
    progress.dialled = True
    addresses, why_not = _allowed(_addresses(host, port))
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        share_s = _remaining_s() / (len(addresses) - index)
        try:
            sock = TimedSocket(family, kind, protocol)
        except OSError as error:
            why_not = _reason(error)
            continue
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(share_s)
            sock.connect(address)
            sock.settimeout(_remaining_s())
        except OSError as error:
            sock.close()
            why_not = _reason(error)
        except TimedOut:
            sock.close()
            raise
        else:
            progress.connected = True
            return sock
    _remaining_s()
    raise Unreachable(why_not)


class TimedSocket(socket.socket):
    """A TCP socket; what it does by itself stays within the exchange's deadline."""

    heard_at: float = 0.0
    """When the last byte came, on `time.monotonic()`."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(_remaining_s())
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except TimeoutError:
            raise TimedOut(_TIME_IS_UP) from None
        self.heard_at = _heard(count)
        return count

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        self.settimeout(_remaining_s())
        try:
            super().sendall(data, flags)
        except TimeoutError:
            raise TimedOut(_TIME_IS_UP) from None


class TimedTlsSocket(ssl.SSLSocket):
    """The same over TLS; an `SSLContext` makes it when it is its `sslsocket_class`."""

    heard_at: float = 0.0

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(_remaining_s())
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except TimeoutError:
            raise TimedOut(_TIME_IS_UP) from None
        self.heard_at = _heard(count)
        return count

    def send(self, data: Any, flags: int = 0) -> int:
        # SSLSocket.sendall() is a loop over send(): each round gets what is left.
        self.settimeout(_remaining_s())
        try:
            return super().send(data, flags)
        except TimeoutError:
            raise TimedOut(_TIME_IS_UP) from None


def _addresses(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise Unreachable(f"the name cannot be resolved: {error.strerror}") from None
    except (UnicodeError, OverflowError):
        raise Unreachable("the name or port is not valid: correct the URL") from None


def _allowed(addresses: list[Any]) -> tuple[list[Any], str]:
    """Those that may be connected to, and what to say when none of them takes a connection."""
    allowed, refused = [], "the name has no address"
    for entry in addresses:
        address = entry[4][0]
        why = refusal(address)
        if why is None:
            allowed.append(entry)
        else:
            refused = (
                f"{address} is {why}, to which nothing is ever sent: correct the client's url, or its name"
            )
    return allowed, refused


def _remaining_s() -> float:
    left_s = _progress.get().ends_at - time.monotonic()
    # A timeout of 0 would mean "do not wait at all" to a socket, and raise something else.
    if left_s <= 0:
        raise TimedOut(_TIME_IS_UP)
    return left_s


def _heard(count: int) -> float:
    if count:
        _progress.get().heard = True
    return time.monotonic()


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
