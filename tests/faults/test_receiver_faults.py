"""A receiver in every kind of trouble: what was queued meanwhile arrives by the retry list, once and whole.

Real workers over a real store and real sockets; the time between tries is passed in.
"""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme
from delivering import Bridge, client, keys
from faulty_server import Answer, FaultyServer, bomb, running
from passing_time import PassingTime
from stored import NOW, found, new, open_in, queued

from vipex_bridge.config.settings import Client, Tls
from vipex_bridge.deliver.http import Transport
from vipex_bridge.store.store import Store

RETRY_S = (10.0, 60.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""The contract's default."""
BODY = '{"id": 91059, "src": "Kovács", "legs": "' + "x" * 20_000 + '"}'
ZEROS = 50_000_000


@dataclass(frozen=True)
class Fault:
    """How a server answers, and what the log of tries is to say of it."""

    makes: Callable[[FaultyServer], Answer]
    reason: str
    status: int | None = None
    timeout_s: float = 5.0
    asked_s: float = 0.0
    """What the server's Retry-After asks for."""


def _status(status: int, **headers: str) -> Callable[[FaultyServer], Answer]:
    return lambda server: server.replies(status, b"no", **headers)


def _in(seconds: float) -> str:
    return format_datetime(datetime.datetime.fromtimestamp(NOW + seconds, datetime.UTC), usegmt=True)


FAULTS = {
    "500": Fault(_status(500), "the server answered 500", 500),
    "404": Fault(_status(404), "the server answered 404", 404),
    "429 with Retry-After in seconds": Fault(
        _status(429, Retry_After="120"), "the server answered 429", 429, asked_s=120
    ),
    "503 with Retry-After as a date": Fault(
        _status(503, Retry_After=_in(900)), "the server answered 503", 503, asked_s=900
    ),
    "503 with a Retry-After that is past": Fault(
        _status(503, Retry_After=_in(-900)), "the server answered 503", 503
    ),
    "301": Fault(_status(301, Location="http://127.0.0.1:9/elsewhere"), "the server answered 301", 301),
    "resets after the request": Fault(lambda server: server.resets(), "connection reset by peer"),
    "resets in the middle of the answer": Fault(
        lambda server: server.resets(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        "no whole HTTP answer: connection reset by peer",
    ),
    "hangs": Fault(lambda server: server.hangs(), "no answer within 0.4 s", timeout_s=0.4),
    "hangs in the middle of the answer": Fault(
        lambda server: server.hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        "the answer was not complete within 0.4 s",
        timeout_s=0.4,
    ),
    "drips a byte a second": Fault(
        lambda server: server.drips(b"HTTP/1.1 200 OK\r\n", b"X-Drip: ", every_s=1.0),
        "the answer was not complete within 1.5 s",
        timeout_s=1.5,
    ),
    "closes without an answer": Fault(
        lambda server: server.sends(b""), "the connection was closed without an answer"
    ),
    "closes in the middle of the answer": Fault(
        lambda server: server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "no whole HTTP answer"
    ),
    "closes in the middle of a header": Fault(
        lambda server: server.sends(b"HTTP/1.1 200 OK\r\nContent-Le"), "no whole HTTP answer"
    ),
    "closes after a header": Fault(
        lambda server: server.sends(b"HTTP/1.1 200 OK\r\nServer: crm\r\n"), "no whole HTTP answer"
    ),
    "closes in the middle of the status": Fault(
        lambda server: server.sends(b"HTTP/1.1 200"), "no whole HTTP answer"
    ),
    "is no HTTP server": Fault(
        lambda server: server.sends(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "no whole HTTP answer"
    ),
    "sends zeros": Fault(lambda server: server.sends(bytes(5000)), "no whole HTTP answer"),
    "lies about its chunks": Fault(
        lambda server: server.sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        "no whole HTTP answer",
    ),
    "sends headers without end": Fault(
        lambda server: server.floods(b"HTTP/1.1 200 OK\r\n", b"X-Flood: 1\r\n" * 100), "no whole HTTP answer"
    ),
    "500 with a body without end": Fault(
        lambda server: server.floods(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 65536), "the server answered 500", 500
    ),
    "500 with a gzip bomb": Fault(
        lambda server: server.replies(500, bomb(ZEROS), Content_Encoding="gzip"),
        "the server answered 500",
        500,
    ),
    "what it calls gzip is none": Fault(
        lambda server: server.replies(200, b"this is no gzip", Content_Encoding="gzip"),
        "no whole HTTP answer",
    ),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_in(tmp_path) as made:
        yield made


def _queue(store: Store, url: str) -> list[int]:
    """Two notices of one call, which are to stay in order, and one of another."""
    notices = ((1, "answer"), (1, "hangup"), (2, "hangup"))
    return queued(
        store,
        *[new("crm", call, event=event, url=f"{url}/{call}/{event}", body=BODY) for call, event in notices],
    )


def _crm(**options: object) -> Client:
    return client("crm", **{"kind": "notify", "concurrency": 3, "retry_s": RETRY_S, **options})


def _all_arrived(store: Store, ids: list[int], server: FaultyServer, time: PassingTime) -> None:
    """Goes on until nothing waits; then everything has arrived whole, in order, under its own key."""
    while any(time.store.next_due(one.name) is not None for one in time.clients):
        time.move_to_next()
    assert [found(store, number).status for number in ids] == ["delivered"] * len(ids)
    assert {request.body for request in server.received} == {BODY.encode()}
    for number, target in zip(ids, ("/1/answer", "/1/hangup", "/2/hangup"), strict=True):
        of_it = [request for request in server.received if request.target.endswith(target)]
        assert keys(of_it) == {found(store, number).idempotency_key}
    places = {request.target: place for place, request in enumerate(server.received)}
    first_hangup = next(p for p, r in enumerate(server.received) if r.target.endswith("/1/hangup"))
    assert places["/api/1/answer"] < first_hangup


def _tries_of_trouble(store: Store, ids: list[int], rounds: int, reason: str, status: int | None) -> None:
    """The first of each call was tried in each round, and the log says truly why it failed."""
    for number in (ids[0], ids[2]):
        tries = store.attempts(number)
        assert [tried.outcome for tried in tries] == ["retry"] * rounds + ["delivered"]
        for tried in tries[:rounds]:
            assert tried.error is not None and reason in tried.error, tried.error
            assert tried.status_code == status
            assert len(tried.answer or "") <= 2048
        assert (tries[-1].status_code, tries[-1].error) == (200, None)
    assert [tried.outcome for tried in store.attempts(ids[1])] == ["delivered"], "it waited for the first"


@pytest.mark.parametrize("name", FAULTS)
def test_what_was_queued_during_the_trouble_arrives_after_it(
    name: str, store: Store, transport: Transport, server: FaultyServer
) -> None:
    fault = FAULTS[name]
    server.answer = fault.makes(server)
    time = PassingTime(store)
    ids = _queue(store, server.url)
    with time.running(Bridge(store, transport), _crm(timeout_s=fault.timeout_s)):
        time.settle()
        for number in (ids[0], ids[2]):
            assert found(store, number).next_attempt_at == NOW + max(RETRY_S[0], fault.asked_s)
        time.move_to_next()
        server.answer = None
        _all_arrived(store, ids, server, time)
    _tries_of_trouble(store, ids, 2, fault.reason, fault.status)


@pytest.mark.parametrize("read", [0, 1, 10_000], ids=["before", "at the start of", "in the middle of"])
def test_a_connection_reset_before_the_request_is_whole(
    read: int, store: Store, transport: Transport, server: FaultyServer
) -> None:
    server.greeting = server.resets_after(read)
    time = PassingTime(store)
    ids = _queue(store, server.url)
    with time.running(Bridge(store, transport), _crm()):
        time.settle()
        time.move_to_next()
        server.greeting = None
        _all_arrived(store, ids, server, time)
    assert len(server.received) == 3, "nothing came whole before"
    for number in (ids[0], ids[2]):
        reasons = [tried.error or "" for tried in store.attempts(number)[:2]]
        assert all("reset by peer" in r or "closed without an answer" in r for r in reasons), reasons


def test_a_server_that_refuses_connections(store: Store, transport: Transport) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.05)
        time = PassingTime(store)
        ids = _queue(store, f"http://127.0.0.1:{bound.getsockname()[1]}/api")
        with time.running(Bridge(store, transport), _crm()):
            time.settle()
            time.move_to_next()
            bound.listen()
            with running(listener=bound) as server:
                _all_arrived(store, ids, server, time)
                assert len(server.received) == 3
    _tries_of_trouble(store, ids, 2, "connection refused", None)


def test_a_server_that_accepts_and_never_reads(
    store: Store, transport: Transport, server: FaultyServer
) -> None:
    server.reads_slowly = True
    time = PassingTime(store)
    ids = _queue(store, server.url)
    with time.running(Bridge(store, transport), _crm(timeout_s=0.4)):
        time.settle()
        time.move_to_next()
        server.reads_slowly = False
        _all_arrived(store, ids, server, time)
    _tries_of_trouble(store, ids, 2, "no answer within 0.4 s", None)


# -- certificates ---------------------------------------------------------------------------


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _expired(authority: trustme.CA) -> trustme.LeafCert:
    then = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    return authority.issue_cert("127.0.0.1", not_before=then, not_after=then + datetime.timedelta(days=90))


WRONG: dict[str, tuple[Callable[[trustme.CA], trustme.LeafCert], str]] = {
    "expired": (_expired, "certificate has expired"),
    "of another name": (lambda authority: authority.issue_cert("crm.example.com"), "IP address mismatch"),
    "of an unknown authority": (
        lambda authority: trustme.CA().issue_cert("127.0.0.1"),
        "unable to get local",
    ),
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def _over_tls(authority: trustme.CA, tmp_path: Path) -> Iterator[tuple[FaultyServer, Tls, ssl.SSLContext]]:
    """A server with a good certificate, what trusts it, and that certificate."""
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    good = _context(authority.issue_cert("127.0.0.1"))
    with running(good) as server:
        yield server, Tls(ca=ca), good


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_certificate_gets_nothing_until_it_is_put_right(
    name: str, authority: trustme.CA, store: Store, transport: Transport, tmp_path: Path
) -> None:
    makes, reason = WRONG[name]
    with _over_tls(authority, tmp_path) as (server, tls, good):
        server.context = _context(makes(authority))
        time = PassingTime(store)
        ids = _queue(store, server.url)
        with time.running(Bridge(store, transport), _crm(tls=tls)):
            time.settle()
            time.move_to_next()
            assert server.received == [], "not a byte of a call to a stranger"
            server.context = good
            _all_arrived(store, ids, server, time)
    _tries_of_trouble(store, ids, 2, "the server's TLS certificate is not trusted", None)
    assert reason in (store.attempts(ids[0])[0].error or "")


def test_a_server_that_has_lost_its_tls(
    authority: trustme.CA, store: Store, transport: Transport, tmp_path: Path
) -> None:
    with _over_tls(authority, tmp_path) as (server, tls, _):
        url = server.url
        server.greeting = lambda sock: not sock.send(b"HTTP/1.1 400 Plain HTTP\r\n\r\n")
        time = PassingTime(store)
        ids = _queue(store, url)
        with time.running(Bridge(store, transport), _crm(tls=tls)):
            time.settle()
            time.move_to_next()
            server.greeting = None
            _all_arrived(store, ids, server, time)
    _tries_of_trouble(store, ids, 2, "TLS failed", None)


# -- answers that end it --------------------------------------------------------------------


def test_410_parks_at_once_and_holds_up_nobody(
    store: Store, transport: Transport, server: FaultyServer
) -> None:
    server.queue = [server.replies(410)]
    time = PassingTime(store)
    first, second, _ = _queue(store, server.url)
    with time.running(Bridge(store, transport), _crm(concurrency=1)):
        time.settle()
    assert (found(store, first).status, found(store, first).error) == ("failed", "the server answered 410")
    assert [tried.outcome for tried in store.attempts(first)] == ["failed"]
    assert found(store, second).status == "delivered"


@pytest.mark.parametrize("kind", ["a body without end", "a gzip bomb"])
def test_200_counts_whatever_follows_and_is_read_within_bounds(
    kind: str, store: Store, transport: Transport, server: FaultyServer
) -> None:
    ok = b"HTTP/1.1 200 OK\r\n\r\n"
    endless = server.floods(ok, b"x" * 65536)
    server.answer = endless if "body" in kind else server.replies(200, bomb(ZEROS), Content_Encoding="gzip")
    time = PassingTime(store)
    ids = _queue(store, server.url)
    with time.running(Bridge(store, transport), _crm()):
        time.settle()
    assert [found(store, number).status for number in ids] == ["delivered"] * 3
    assert len(server.received) == 3, "none twice"
    assert all(len(store.attempts(number)[0].answer or "") <= 2048 for number in ids)


def test_the_answer_is_lost_on_its_way_back(store: Store, transport: Transport, server: FaultyServer) -> None:
    """The receiver has the call, the bridge cannot know: it comes again under the same key."""
    server.queue = [server.resets(b"HTTP/1.1 200 OK\r\nContent-"), server.sends(b"HTTP/1.1 2")]
    time = PassingTime(store)
    ids = _queue(store, server.url)
    with time.running(Bridge(store, transport), _crm(concurrency=1)):
        time.settle()
        _all_arrived(store, ids, server, time)
    assert len(server.received) == 5
    assert len(keys(server.received)) == 3
