"""Whether a server can be reached: a TCP connection, TLS where it is wanted, and no request."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from vipex_bridge.config.settings import Tls
from vipex_bridge.deliver.http import check_url, context_of, failures_of
from vipex_bridge.deliver.sockets import Progress, connect, exchange_of
from vipex_bridge.errors import Unreachable

_PEEK_S = 0.3
"""In TLS 1.3 a server refuses a client's certificate only after the handshake (RFC 8446, section 4.4.2)."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A connection that came about. `tls` is its version, '' without TLS."""

    where: str
    tls: str = ""
    trusted_until: float | None = None
    """When the server's certificate ends, epoch seconds; None where it is not looked at."""


def reach(url: str, tls: Tls, timeout_s: float) -> Reached:
    """Connects to the server of `url` and closes again; nothing of the URL but host and port is ever told.

    Raises Unreachable and TimedOut, each with the place and the reason.
    """
    check_url(url)
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    where = f"{host}:{port}"
    context = context_of(tls) if is_tls else None
    progress = Progress(time.monotonic() + timeout_s)
    with exchange_of(progress), failures_of(where, progress, timeout_s), connect(host, port) as plain:
        if context is None:
            return Reached(where)
        with context.wrap_socket(plain, server_hostname=host) as secured:
            _refuses_at_once(secured)
            certificate = secured.getpeercert() or {}
            ends = certificate.get("notAfter")
            until = ssl.cert_time_to_seconds(ends) if isinstance(ends, str) else None
            return Reached(where, secured.version() or "TLS", until)


def _refuses_at_once(secured: ssl.SSLSocket) -> None:
    """Raises what the server has against us, if it says so before any request."""
    secured.settimeout(_PEEK_S)
    try:
        if not secured.recv(1):
            raise Unreachable("the connection was closed right after TLS was agreed on")
    except TimeoutError:
        return
