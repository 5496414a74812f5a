"""The HTTP transport against real servers that behave, and that do not."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from faulty_server import FaultyServer, bomb, running

from vipex_bridge.config.settings import Tls
from vipex_bridge.deliver.http import HttpAnswer, Outgoing, Transport
from vipex_bridge.deliver.recording import Base64File, Composed
from vipex_bridge.errors import BadAnswer, ExchangeError, TimedOut, Unreachable

TIMEOUT_S = 0.5
SLACK_S = 0.3
PLAIN = Tls()

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.close()


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


def test_what_is_sent_is_what_was_given_and_nothing_more(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.replies(201, b'{"a": 1}', X_Trace="7")
    url = faulty_server.url + "?src=%2B36&name=a+b&x=%3A"
    answer = sent(transport, post(url, b'{"n": 1}', ("X-Source", "pbx1"), ("User-Agent", "vipex-bridge/1")))
    assert (answer.status, answer.body) == (201, b'{"a": 1}')
    assert answer.header("x-trace") == "7"
    (request,) = faulty_server.received
    assert request.method == "POST"
    assert request.target == "/api?src=%2B36&name=a+b&x=%3A"
    assert request.body == b'{"n": 1}'
    assert sorted(request.headers) == [
        ("Content-Length", "8"),
        ("Host", f"127.0.0.1:{faulty_server.port}"),
        ("User-Agent", "vipex-bridge/1"),
        ("X-Source", "pbx1"),
    ]


def test_a_get_without_headers_goes_out_with_host_alone(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    sent(transport, get(faulty_server.url))
    assert [name for name, _ in faulty_server.received[0].headers] == ["Host"]


def test_proxies_and_netrc_of_the_environment_are_not_used(
    transport: Transport, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login joe password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    sent(transport, get(faulty_server.url))
    assert faulty_server.received[0].header("Authorization") is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(
    transport: Transport, faulty_server: FaultyServer, status: int
) -> None:
    faulty_server.answer = faulty_server.replies(status, Location=faulty_server.url + "/elsewhere")
    assert sent(transport, get(faulty_server.url)).status == status
    assert len(faulty_server.received) == 1


def test_an_answers_cookies_are_not_sent_back(transport: Transport, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(Set_Cookie="session=1")
    sent(transport, get(faulty_server.url))
    sent(transport, get(faulty_server.url))
    assert faulty_server.received[1].header("Cookie") is None


# Recordings


def test_a_recording_goes_out_with_its_length_and_not_chunked(
    transport: Transport, faulty_server: FaultyServer, tmp_path: Path
) -> None:
    sound = bytes(range(256)) * 1001
    (tmp_path / "a.wav").write_bytes(sound)
    file = Base64File(tmp_path / "a.wav", bytes, grows=False)
    sent(
        transport,
        Outgoing("POST", faulty_server.url, (), Composed([b'{"f": "', file, b'"}'])),
    )
    (request,) = faulty_server.received
    assert request.body == b'{"f": "' + base64.b64encode(sound) + b'"}'
    assert request.header("Transfer-Encoding") is None
    assert request.header("Content-Length") == str(len(request.body))
    with pytest.raises(ValueError, match="closed file"):
        next(file.pieces())


def test_a_recording_that_shrinks_while_it_is_sent_fails_the_exchange(
    transport: Transport, faulty_server: FaultyServer, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(500_000))
    body = Composed([Base64File(path, bytes, grows=False)])
    path.write_bytes(bytes(1000))
    with pytest.raises(ExchangeError, match="became shorter"):
        sent(transport, Outgoing("POST", faulty_server.url, (), body))
    assert faulty_server.received == []


# The deadline


HANGS: dict[str, Callable[[FaultyServer], object]] = {
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
    server.answer = HANGS[how](server)  # type: ignore[assignment]
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


# Answers that are none


BROKEN: dict[str, bytes] = {
    "garbage": b"\x00\xff\x16\x03 not http at all\r\n\r\n",
    "an endless status line": b"HTTP/1.1 200 " + b"a" * 100_000,
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "too many headers": OK_HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(500)) + b"\r\n",
    "an endless header": OK_HEAD + b"X: " + b"a" * 100_000,
    "a body cut off": OK_HEAD + b"Content-Length: 100\r\n\r\nonly this",
    "chunks cut off": OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a chunk of no size": OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    "no gzip where gzip was said": OK_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_answer_is_a_bad_answer(how: str, transport: Transport, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.sends(BROKEN[how])
    with pytest.raises(BadAnswer, match=r"^127\.0\.0\.1:\d+/api: [^\n]+$"):
        sent(transport, get(faulty_server.url + "?key=s3cret"))


def test_a_reset_within_the_answer_is_a_bad_answer(transport: Transport, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.resets(OK_HEAD + b"Content-Length: 100\r\n\r\nabc")
    with pytest.raises(BadAnswer):
        sent(transport, get(faulty_server.url))


def test_a_connection_ended_without_a_byte_is_unreachable(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    for answer in (faulty_server.resets(), faulty_server.sends(b"")):
        faulty_server.answer = answer
        with pytest.raises(Unreachable):
            sent(transport, get(faulty_server.url))
    assert faulty_server.connections == 2


@pytest.mark.parametrize("declared", [True, False])
def test_an_answer_larger_than_allowed_is_refused_and_not_read_to_its_end(
    declared: bool, transport: Transport, faulty_server: FaultyServer
) -> None:
    length = b"Content-Length: 10000000000\r\n" if declared else b""
    faulty_server.answer = faulty_server.floods(OK_HEAD + length + b"\r\n", bytes(65536))
    with pytest.raises(BadAnswer, match="larger than 100000 bytes"):
        sent(transport, get(faulty_server.url))


def test_where_only_the_status_matters_a_large_answer_is_cut(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.floods(OK_HEAD + b"\r\n", bytes(65536))
    answer = transport.exchange(get(faulty_server.url), tls=Tls(), timeout_s=5, max_bytes=1000, cut=True)
    assert (answer.status, answer.body) == (200, bytes(1000))


def test_an_answer_of_exactly_the_limit_is_taken(transport: Transport, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(200, b"a" * 100_000)
    assert len(sent(transport, get(faulty_server.url)).body) == 100_000


def test_a_gzip_bomb_is_counted_as_what_it_unpacks_to(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.replies(200, bomb(50_000_000), Content_Encoding="gzip")
    with pytest.raises(BadAnswer, match="larger"):
        sent(transport, get(faulty_server.url))


def test_gzip_is_unpacked(transport: Transport, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(200, bomb(10), Content_Encoding="gzip")
    assert sent(transport, get(faulty_server.url)).body == bytes(10)


def test_more_bytes_than_announced_are_not_taken_for_the_next_answer(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    faulty_server.queue = [faulty_server.sends(OK_HEAD + b"Content-Length: 2\r\n\r\nab" + forged, keep=True)]
    faulty_server.answer = faulty_server.replies(200, b"true")
    assert sent(transport, get(faulty_server.url)).body == b"ab"
    assert sent(transport, get(faulty_server.url)).body == b"true"


# Connections


def test_connections_are_kept_alive(transport: Transport, faulty_server: FaultyServer) -> None:
    for _ in range(3):
        sent(transport, post(faulty_server.url))
    assert faulty_server.connections == 1


def test_a_connection_that_the_server_has_closed_meanwhile_is_replaced(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.sends(OK_HEAD + b"Content-Length: 0\r\n\r\n")]
    sent(transport, post(faulty_server.url))
    for thread in faulty_server.threads:
        thread.join(5)
    assert sent(transport, post(faulty_server.url)).status == 200
    assert faulty_server.connections == 2


@pytest.mark.parametrize(
    ("outgoing", "again"),
    [
        (get(""), True),
        (post("", b"{}", ("Idempotency-Key", "k")), True),
        (post(""), False),
    ],
    ids=["get", "keyed post", "post"],
)
def test_a_kept_connection_closed_at_the_very_moment_costs_only_what_could_do_harm_twice(
    outgoing: Outgoing, again: bool, transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.replies(), faulty_server.sends(b"")]
    outgoing = replace(outgoing, url=faulty_server.url)
    sent(transport, outgoing)
    if again:
        assert sent(transport, outgoing).status == 200
        assert [request.connection for request in faulty_server.received] == [1, 1, 2]
    else:
        with pytest.raises(Unreachable, match="closed without an answer"):
            sent(transport, outgoing)


def test_many_threads_at_once_each_get_their_own_answer(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    def echo(sock: socket.socket, request: object) -> bool:
        target = request.target.encode()  # type: ignore[attr-defined]
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target) + target)
        return True

    faulty_server.answer = echo
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(10):
            target = f"/api?n={number}-{turn}"
            url = faulty_server.url.removesuffix("/api") + target
            if sent(transport, get(url), timeout_s=20).body.decode() != target:
                wrong.append(target)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(faulty_server.received) == 120
    assert wrong == []


# What cannot be reached, and TLS


def test_a_refused_connection_is_unreachable_and_says_so(transport: Transport, refusing_port: int) -> None:
    with pytest.raises(Unreachable, match=rf"^127\.0\.0\.1:{refusing_port}/x: connection refused$"):
        sent(transport, get(f"http://127.0.0.1:{refusing_port}/x?key=s3cret"))


def test_a_name_that_does_not_exist_is_unreachable(transport: Transport) -> None:
    with pytest.raises(Unreachable, match="the name cannot be resolved"):
        sent(transport, get("http://nobody.invalid/x"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "/only/a/path",
        "http://",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://" + "a" * 300 + "/",
        "http://a..b/",
        "http://127.0.0.1:0/",
        "http://\x00/",
    ],
)
def test_an_address_that_is_none_is_unreachable(url: str, transport: Transport) -> None:
    with pytest.raises(Unreachable):
        sent(transport, get(url))


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\u20ac"])
def test_a_header_value_that_would_end_the_header_is_not_sent(
    value: str, transport: Transport, faulty_server: FaultyServer
) -> None:
    with pytest.raises(Unreachable, match="header X-A"):
        sent(transport, get(faulty_server.url, ("X-A", value)))
    assert faulty_server.connections == 0


@pytest.mark.parametrize("name", ["X A", "X:", "", "X\r\n", "Content-Length", "transfer-encoding"])
def test_a_header_name_that_is_none_or_frames_the_body_is_not_sent(
    name: str, transport: Transport, faulty_server: FaultyServer
) -> None:
    with pytest.raises(Unreachable, match="header"):
        sent(transport, get(faulty_server.url, (name, "1")))
    assert faulty_server.connections == 0


def test_line_breaks_in_a_url_do_not_reach_the_wire(
    transport: Transport, faulty_server: FaultyServer
) -> None:
    sent(transport, get(faulty_server.url + "?a=1 HTTP/1.1\r\nX-Evil: 1\r\n"))
    (request,) = faulty_server.received
    assert request.header("X-Evil") is None


def test_a_certificate_of_the_given_ca_is_trusted(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    for _ in range(2):
        assert sent(transport, post(tls_server.url, b"[1]"), Tls(ca=tls_files.ca)).status == 200
    assert [request.body for request in tls_server.received] == [b"[1]", b"[1]"]
    assert tls_server.connections == 1


@pytest.mark.parametrize("ca", ["stranger", None])
def test_a_certificate_of_a_stranger_is_not_trusted(
    ca: str | None, transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        sent(transport, get(tls_server.url), Tls(ca=getattr(tls_files, ca) if ca else None))


def test_a_certificate_for_another_name_is_not_trusted(
    transport: Transport, authority: trustme.CA, tls_files: SimpleNamespace
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    with running(context) as server, pytest.raises(Unreachable, match="certificate is not trusted"):
        sent(transport, get(server.url), Tls(ca=tls_files.ca))


def test_verify_false_takes_any_certificate_without_a_warning(
    transport: Transport, tls_server: FaultyServer
) -> None:
    assert sent(transport, get(tls_server.url), Tls(verify=False)).status == 200


def test_settings_of_one_client_do_not_open_anothers_connection(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    sent(transport, get(tls_server.url), Tls(verify=False))
    with pytest.raises(Unreachable):
        sent(transport, get(tls_server.url), Tls(ca=tls_files.stranger))


def test_a_client_certificate_is_shown_to_a_server_that_wants_one(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    assert tls_server.context is not None
    tls_server.context.verify_mode = ssl.CERT_REQUIRED
    mutual = Tls(ca=tls_files.ca, certificate=tls_files.certificate, key=tls_files.key)
    assert sent(transport, get(tls_server.url), mutual).status == 200
    with pytest.raises(Unreachable, match=r"TLS|reset|closed"):
        sent(transport, get(tls_server.url), Tls(ca=tls_files.ca))


@pytest.mark.parametrize("field", ["ca", "certificate"])
def test_a_tls_file_that_is_missing_or_none_is_named(
    field: str, transport: Transport, tmp_path: Path
) -> None:
    path = tmp_path / "x.pem"
    tls = Tls(ca=path) if field == "ca" else Tls(certificate=path)
    with pytest.raises(Unreachable, match=r"x\.pem cannot be read"):
        sent(transport, get("https://127.0.0.1:1/"), tls)
    path.write_text("nonsense")
    with pytest.raises(Unreachable, match=r"x\.pem"):
        sent(transport, get("https://127.0.0.1:1/"), tls)


def test_a_renewed_ca_file_is_used_without_a_restart(
    transport: Transport, tls_server: FaultyServer, tls_files: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(tls_files.stranger.read_bytes())
    with pytest.raises(Unreachable):
        sent(transport, get(tls_server.url), Tls(ca=path))
    path.write_bytes(tls_files.ca.read_bytes())
    assert sent(transport, get(tls_server.url), Tls(ca=path)).status == 200


def test_no_message_and_no_log_line_shows_the_query(
    transport: Transport,
    faulty_server: FaultyServer,
    refusing_port: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    faulty_server.queue = [
        faulty_server.sends(b"junk\r\n\r\n"),
        faulty_server.sends(OK_HEAD + b"no colon here\r\nContent-Length: 5\r\n\r\n"),
        faulty_server.resets(),
    ]
    messages = []
    for _ in range(3):
        try:
            sent(transport, get(faulty_server.url + "?key=s3cret"))
        except ExchangeError as error:
            messages.append(str(error))
    assert len(messages) == 2
    with pytest.raises(ExchangeError) as caught:
        sent(transport, get(f"http://joe:s3cret@127.0.0.1:{refusing_port}/?key=s3cret"))
    seen = "".join([*messages, str(caught.value), caplog.text, *capfd.readouterr()])
    assert "s3cret" not in seen
