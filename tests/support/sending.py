"""Requests in a few words, for tests of the HTTP transport."""

from __future__ import annotations

from vipex_bridge.config.settings import Tls
from vipex_bridge.deliver.http import HttpAnswer, Outgoing, Transport

PLAIN = Tls()
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def get(url: str, *headers: tuple[str, str]) -> Outgoing:
    return Outgoing("GET", url, headers, None)


def post(url: str, body: bytes = b"{}", *headers: tuple[str, str]) -> Outgoing:
    return Outgoing("POST", url, headers, body)


def sent(
    transport: Transport,
    outgoing: Outgoing,
    tls: Tls = PLAIN,
    timeout_s: float = 5.0,
    max_bytes: int = 100_000,
) -> HttpAnswer:
    return transport.exchange(outgoing, tls=tls, timeout_s=timeout_s, max_bytes=max_bytes)
