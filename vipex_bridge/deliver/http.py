"""One HTTP exchange with one deadline: the only module that knows requests and urllib3.

What is ordinary goes the short way (`deliver/quick.py`), all else through requests' adapter. Its `Session`
is left out on purpose: even told not to follow a redirect it reads that answer without bound, it keeps
cookies, and it looks for proxies and .netrc. The adapter does none of this.

A kept-alive connection is used again for `KEEP_S` seconds. When the server closed it at just that
moment, the request is sent once more over a new one, provided that no byte of an answer came and that
repeating does no harm: GET and HEAD, or an Idempotency-Key (contract, section 4), with a body in memory.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import SKIP_HEADER

from vipex_bridge.config.settings import Tls
from vipex_bridge.deliver import quick, request_head
from vipex_bridge.deliver.head import WholeHead
from vipex_bridge.deliver.masking import MASK
from vipex_bridge.deliver.sockets import Progress, TimedTlsSocket, connect, exchange_of, usable
from vipex_bridge.errors import BadAnswer, ExchangeError, TimedOut, Unreachable

KEEP_S = 4.0
"""Below the five seconds after which the hastiest common servers drop an idle connection."""

_POOL_SIZE = 64
_CHUNK_BYTES = 65_536
_PATH_CHARS = 120
# urllib3 warns with whole URLs, and these hold API keys; every failure is ours to report anyway.
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)


@runtime_checkable
class SizedReader(Protocol):
    """A body that is read piece by piece, of a length known beforehand."""

    def read(self, amount: int = -1, /) -> bytes: ...

    def __len__(self) -> int: ...

    def pieces(self) -> Iterator[bytes]:
        """The whole from its start, at every call again; what `read` gives is the same."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Outgoing:
    """A complete request. All but the method may hold secrets, so `repr()` shows none of it."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | SizedReader | None = field(repr=False)
    is_path_hidden: bool = False
    """The URL came from a secret's place: only its host may be named."""

    @property
    def where(self) -> str:
        """Host and path, for errors and logs: never the query, which holds callers' data and API keys."""
        parts = urlsplit(self.url)
        path = f"/{MASK}" if self.is_path_hidden else parts.path[:_PATH_CHARS]
        return f"{parts.hostname}{':' + str(parts.port) if parts.port else ''}{path}"


@dataclass(frozen=True)
class HttpAnswer:
    """A complete answer; `body` is decoded of any Content-Encoding."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    elapsed_s: float

    def header(self, name: str) -> str:
        """The value of the first header of that name, in any case; '' without one."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Transport:
    """Sends requests, keeps connections alive, and never takes longer than it was told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adapters: dict[Tls, tuple[tuple[int, ...], _Adapter]] = {}

    def exchange(
        self, outgoing: Outgoing, *, tls: Tls, timeout_s: float, max_bytes: int, cut: bool = False
    ) -> HttpAnswer:
        """Send `outgoing` and give the whole answer, whatever its status; redirects are not followed.

        Blocks for at most `timeout_s` (connecting to last byte), but for resolving the name. `cut`: an
        answer of more than `max_bytes` (decoded) is cut there, where only its status matters. A body
        that is a reader is closed in any case. May be called by many threads at once.

        Raises Unreachable (nothing came back), TimedOut, BadAnswer (no whole HTTP answer came, or one of
        more than `max_bytes`); each names `outgoing.where`.
        """
        started = time.monotonic()
        progress = Progress(started + timeout_s)
        try:
            check_url(outgoing.url)
            length = len(outgoing.body) if outgoing.body is not None else None
            headers = request_head.checked(outgoing.method, outgoing.headers, length)
            adapter = self._adapter(tls)
            place = quick.place_of(outgoing.url)
            with exchange_of(progress), failures_of(outgoing.where, progress, timeout_s):

                def once() -> HttpAnswer:
                    if place is not None and (outgoing.body is None or isinstance(outgoing.body, bytes)):
                        return _quickly(
                            adapter.connections, place, outgoing, headers, started, max_bytes, cut
                        )
                    return _once(adapter, _prepared(outgoing, headers), started, max_bytes, cut)

                try:
                    return once()
                except (requests.RequestException, HTTPError, OSError):
                    if progress.dialled or progress.heard or not _repeatable(outgoing):
                        raise
                progress.fresh = True
                return once()
        finally:
            if outgoing.body is not None and not isinstance(outgoing.body, bytes):
                outgoing.body.close()

    def close(self) -> None:
        """Close the kept-alive connections; exchanges under way end by themselves."""
        with self._lock:
            adapters = [adapter for _, adapter in self._adapters.values()]
            self._adapters.clear()
        for adapter in adapters:
            adapter.connections.close()
            adapter.close()

    def _adapter(self, tls: Tls) -> _Adapter:
        """The connections of these TLS settings; new ones when a file has changed (a renewed certificate)."""
        files = [path for path in (tls.ca, tls.certificate, tls.key) if path is not None]
        try:
            stamp = tuple(path.stat().st_mtime_ns for path in files)
        except OSError as error:
            raise Unreachable(f"TLS file {error.filename} cannot be read: {error.strerror}") from None
        with self._lock:
            kept = self._adapters.get(tls)
            if kept is not None and kept[0] == stamp:
                return kept[1]
            adapter = _Adapter(context_of(tls))
            self._adapters[tls] = (stamp, adapter)
        if kept is not None:
            kept[1].connections.close()
            kept[1].close()
        return adapter


class _Connection(HTTPConnection):
    response_class = WholeHead

    def _new_conn(self) -> socket.socket:
        return connect(self._dns_host, self.port or 80)

    @property
    def is_connected(self) -> bool:
        return super().is_connected and usable(self.sock, KEEP_S)


class _TlsConnection(HTTPSConnection):
    response_class = WholeHead

    def _new_conn(self) -> socket.socket:
        return connect(self._dns_host, self.port or 443)

    def connect(self) -> None:
        super().connect()
        # `tls.verify: false` is the operator's written word; urllib3 would warn at each request.
        self.is_verified = True

    @property
    def is_connected(self) -> bool:
        return super().is_connected and usable(self.sock, KEEP_S)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """Requests' adapter over connections that know the deadline, with one TLS context for all."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.connections = quick.Connections(context, KEEP_S)
        self.verify = context.verify_mode is not ssl.CERT_NONE
        super().__init__(_POOL_SIZE, _POOL_SIZE)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._context, **pool_kwargs
        )
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context has its certificates already, and is not to load them per connection."""


def context_of(tls: Tls) -> ssl.SSLContext:
    """Whom a client trusts and how it names itself. Raises Unreachable for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TimedTlsSocket
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
        elif tls.verify:
            _trust_the_machine(context)
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(f"tls.ca {tls.ca} holds no certificates that can be used: {error}") from None
    if tls.certificate is not None:
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal.
            context.load_cert_chain(tls.certificate, tls.key, password="")
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(
                f"tls.certificate {tls.certificate} and its key cannot be used: {error}"
            ) from None
    return context


def _trust_the_machine(context: ssl.SSLContext) -> None:
    """Trust what the machine trusts, so that a company's CA installed there serves; else the bundle."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        context.load_default_certs()
    else:
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)


def check_url(url: str) -> None:
    """Raises Unreachable for what is no whole address."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise Unreachable("the URL is not a whole http:// or https:// address: correct the client's url")


def _prepared(outgoing: Outgoing, given: list[tuple[str, str]]) -> requests.PreparedRequest:
    """The request as requests' adapter takes it, not touched by what requests would add or re-quote."""
    headers = HTTPHeaderDict()
    for name, value in given:
        headers.add(name, value)
    for name in ("User-Agent", "Accept-Encoding"):
        if name not in headers:
            headers[name] = SKIP_HEADER
    prepared = requests.PreparedRequest()
    prepared.method = outgoing.method
    prepared.url = outgoing.url
    prepared.headers = cast("Any", headers)
    prepared.body = cast("Any", outgoing.body)
    return prepared


def _repeatable(outgoing: Outgoing) -> bool:
    keyed = any(name.lower() == "idempotency-key" for name, _ in outgoing.headers)
    in_memory = outgoing.body is None or isinstance(outgoing.body, bytes)
    return in_memory and (keyed or outgoing.method in ("GET", "HEAD"))


def _once(
    adapter: _Adapter, prepared: requests.PreparedRequest, started: float, max_bytes: int, cut: bool
) -> HttpAnswer:
    response = adapter.send(prepared, stream=True, timeout=None, verify=adapter.verify)
    # Closing gives a connection back that was read to the end, and closes any other.
    with contextlib.closing(response.raw) as raw:
        raw.decode_content = True
        body = _body_of(raw, max_bytes, cut)
        if len(body) <= max_bytes:
            raw.release_conn()
        headers = tuple((str(name), str(value)) for name, value in raw.headers.items())
        return HttpAnswer(raw.status, headers, bytes(body[:max_bytes]), time.monotonic() - started)


def _quickly(
    connections: quick.Connections,
    place: quick.Place,
    outgoing: Outgoing,
    headers: list[tuple[str, str]],
    started: float,
    max_bytes: int,
    cut: bool,
) -> HttpAnswer:
    sent = cast("bytes", outgoing.body or b"")
    head = request_head.written(outgoing.method, place.target, place.name, headers)
    sock, answer = connections.ask(place, outgoing.method, head, sent)
    try:
        told = tuple(answer.getheaders())
        encoded = answer.getheader("Content-Encoding") is not None
        body = _body_of(_decoding(answer, told) if encoded else answer, max_bytes, cut)
        if answer.length and len(body) <= max_bytes:
            raise http.client.IncompleteRead(b"")
        return HttpAnswer(answer.status, told, bytes(body[:max_bytes]), time.monotonic() - started)
    finally:
        connections.done(place, sock, answer)


def _decoding(answer: http.client.HTTPResponse, headers: tuple[tuple[str, str], ...]) -> HTTPResponse:
    """The answer read through urllib3, which undoes its Content-Encoding."""
    return HTTPResponse(
        answer, HTTPHeaderDict(headers), answer.status, preload_content=False, original_response=answer
    )


def _body_of(raw: Any, max_bytes: int, cut: bool) -> bytearray:
    """The body, no further than needed. Raises BadAnswer when it is larger, unless `cut`."""
    body = bytearray()
    while len(body) <= max_bytes and (chunk := raw.read(_CHUNK_BYTES)):
        body += chunk
    if len(body) > max_bytes and not cut:
        raise BadAnswer(f"the answer is larger than {max_bytes} bytes")
    return body


@contextlib.contextmanager
def failures_of(where: str, progress: Progress, timeout_s: float) -> Iterator[None]:
    """Make whatever ends an exchange one of our errors: one line, with host and path alone."""
    try:
        yield
    except (TimedOut, requests.Timeout, ReadTimeoutError, TimeoutError):
        raise TimedOut(f"{where}: {_late(progress)} within {round(timeout_s, 2):g} s") from None
    except ExchangeError as error:
        raise type(error)(f"{where}: {error}") from None
    except (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        what = _what(error)
        if progress.heard:
            raise BadAnswer(f"{where}: no whole HTTP answer: {what}") from None
        raise Unreachable(f"{where}: {what}") from None


def _late(progress: Progress) -> str:
    if progress.heard:
        return "the answer was not complete"
    if progress.dialled and not progress.connected:
        return "no connection"
    return "no answer"


def _what(error: BaseException) -> str:
    """The reason at the bottom of a library's nest of exceptions, without any text that holds a URL."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's TLS certificate is not trusted: {cause.verify_message}"
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or type(cause).__name__}"
        if isinstance(cause, http.client.RemoteDisconnected):
            return "the connection was closed without an answer"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return type(causes[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
