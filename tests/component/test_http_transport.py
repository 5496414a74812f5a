"""The HTTP transport against real servers: what goes out, and answers that are none."""

from __future__ import annotations

import base64
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_server import FaultyServer, bomb
from sending import OK_HEAD, get, post, sent

from vipex_bridge.config.settings import Tls
from vipex_bridge.deliver.http import Outgoing, Transport
from vipex_bridge.deliver.recording import Base64File, Composed
from vipex_bridge.errors import BadAnswer, ExchangeError, Unreachable


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
    file = Base64File((tmp_path / "a.wav").open("rb", buffering=0), bytes, grows=False)
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
    body = Composed([Base64File(path.open("rb", buffering=0), bytes, grows=False)])
    path.write_bytes(bytes(1000))
    with pytest.raises(ExchangeError, match="became shorter"):
        sent(transport, Outgoing("POST", faulty_server.url, (), body))
    assert faulty_server.received == []


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


# What cannot be reached, or not be sent


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


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nServer: x\r\n",
        b"HTTP/1.1 204 No\r\nX-A: 1",
    ],
)
def test_a_head_that_is_cut_off_is_no_answer(
    head: bytes, transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.sends(head)
    with pytest.raises(BadAnswer, match="no whole HTTP answer"):
        sent(transport, get(faulty_server.url))
