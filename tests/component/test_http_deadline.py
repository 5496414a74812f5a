"""The deadline of an HTTP exchange: no server, however it hangs, holds us longer."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from faulty_server import Answer, FaultyServer
from sending import OK_HEAD, get, post, sent

from vipex_bridge.config.settings import Tls
from vipex_bridge.deliver.http import Transport
from vipex_bridge.errors import TimedOut

TIMEOUT_S = 0.5
SLACK_S = 0.3

HANGS: dict[str, Callable[[FaultyServer], Answer]] = {
    "before the answer": lambda s: s.hangs(),
    "in the status line": lambda s: s.hangs(b"HTTP/1.1 2"),
    "in the headers": lambda s: s.hangs(OK_HEAD),
    "in the body": lambda s: s.hangs(OK_HEAD + b"Content-Length: 100\r\n\r\nabc"),
    "in a chunk": lambda s: s.hangs(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "dripping the status line": lambda s: s.drips(b"HTTP/1.1 200 ", b"O"),
    "dripping one header": lambda s: s.drips(OK_HEAD + b"X-A: ", b"a"),
    "dripping headers": lambda s: s.drips(OK_HEAD, b"X-A: a\r\n", 0.02),
    "dripping a body of known length": lambda s: s.drips(OK_HEAD + b"Content-Length: 9000\r\n\r\n", b"a"),
    "dripping an endless body": lambda s: s.drips(OK_HEAD + b"\r\n", b"a"),
    "dripping chunks": lambda s: s.drips(
        OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 0.02
    ),
    "100 Continue for ever": lambda s: s.drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
}


@pytest.mark.parametrize("how", HANGS)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_no_way_of_hanging_holds_us_beyond_the_deadline(
    how: str,
    secure: bool,
    transport: Transport,
    request: pytest.FixtureRequest,
    tls_files: SimpleNamespace,
    stopwatch: Callable[[], float],
) -> None:
    server: FaultyServer = request.getfixturevalue("tls_server" if secure else "faulty_server")
    server.answer = HANGS[how](server)
    before = stopwatch()
    with pytest.raises(TimedOut, match=r"127\.0\.0\.1:\d+/api: .* within 0.5 s"):
        sent(transport, get(server.url), Tls(ca=tls_files.ca), TIMEOUT_S)
    assert TIMEOUT_S - 0.05 <= stopwatch() - before < TIMEOUT_S + SLACK_S


def test_a_kept_alive_connection_obeys_the_deadline_of_the_present_exchange(
    transport: Transport, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    faulty_server.queue = [faulty_server.replies(), faulty_server.drips(OK_HEAD, b"X: y\r\n", 0.02)]
    sent(transport, get(faulty_server.url), timeout_s=30)
    before = stopwatch()
    with pytest.raises(TimedOut):
        sent(transport, get(faulty_server.url), timeout_s=TIMEOUT_S)
    assert stopwatch() - before < TIMEOUT_S + SLACK_S
    assert faulty_server.connections == 1


def test_a_server_that_reads_nothing_does_not_hold_a_large_body(
    transport: Transport, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    faulty_server.reads_slowly = True
    before = stopwatch()
    with pytest.raises(TimedOut):
        sent(transport, post(faulty_server.url, bytes(30_000_000)), timeout_s=TIMEOUT_S)
    assert stopwatch() - before < TIMEOUT_S + SLACK_S


def test_a_tls_handshake_that_never_comes_ends_at_the_deadline(
    transport: Transport, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    faulty_server.reads_slowly = True
    before = stopwatch()
    with pytest.raises(TimedOut):
        sent(transport, get(faulty_server.url.replace("http:", "https:")), timeout_s=TIMEOUT_S)
    assert stopwatch() - before < TIMEOUT_S + SLACK_S


def test_a_connection_that_is_never_taken_ends_at_the_deadline(
    transport: Transport, stopwatch: Callable[[], float]
) -> None:
    """A full backlog: the kernel drops further connection requests, as a dead host would."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            waiting.append(sock)
        before = stopwatch()
        with pytest.raises(TimedOut, match="no connection within"):
            sent(transport, get(f"http://127.0.0.1:{listener.getsockname()[1]}/"), timeout_s=TIMEOUT_S)
        assert stopwatch() - before < TIMEOUT_S + SLACK_S
        for sock in waiting:
            sock.close()


def test_a_dead_first_address_of_a_name_leaves_time_for_the_second(
    transport: Transport, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as dead:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(dead.getsockname())
        places = [dead.getsockname(), ("127.0.0.1", faulty_server.port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        answer = sent(transport, get("http://two.example/"), timeout_s=1.0)
        assert (answer.status, 0.4 < answer.elapsed_s < 1.0) == (200, True)
        for sock in waiting:
            sock.close()
