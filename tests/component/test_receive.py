"""The receiving server: shows what came, answers as told, misbehaves on demand."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from vipex_bridge.cli.main import main
from vipex_bridge.config.settings import Secret
from vipex_bridge.config.signing import signing_key
from vipex_bridge.errors import BridgeError
from vipex_bridge.receive.faults import Fault, parse_faults
from vipex_bridge.receive.server import Answer, Receiver, parse_answer, serve
from vipex_bridge.receive.show import ReceivedRequest, show
from vipex_bridge.receive.signature import verdict

AT = 1575287177.25


def _ask(
    receiver: Receiver, method: str, target: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): v for name, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def _shown(body: bytes, content_type: str = "application/json", **changes: object) -> str:
    values: dict[str, object] = {"query": (), "headers": (("Content-Type", content_type),), **changes}
    return show(ReceivedRequest(AT, "POST", "/calls", body=body, **values))  # type: ignore[arg-type]


def test_each_request_is_recorded_as_it_came() -> None:
    with Receiver(clock=lambda: AT) as receiver:
        status, _, body = _ask(receiver, "POST", "/calls?a=x+y&b=%C3%A9", b'{"id": 1}', Idempotency_Key="k1")
        assert (status, json.loads(body)) == (200, {"ok": True})
        (request,) = receiver.requests_received()
    assert (request.at, request.method, request.path) == (AT, "POST", "/calls")
    assert request.query == (("a", "x y"), ("b", "é"))
    assert request.header("idempotency-key") == "k1"
    assert (request.body, request.answered) == (b'{"id": 1}', "200")


def test_a_connection_serves_many_requests_and_many_connections_at_once() -> None:
    with Receiver() as receiver:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
        for number in range(3):
            connection.request("POST", "/", str(number))
            assert connection.getresponse().read()
        threads = [threading.Thread(target=_ask, args=(receiver, "GET", f"/{n}")) for n in range(20)]
        for thread in threads:
            thread.start()
        requests = receiver.wait_for(23)
        for thread in threads:
            thread.join()
        connection.close()
    assert [request.body for request in requests[:3]] == [b"0", b"1", b"2"]
    assert {request.path for request in requests[3:]} == {f"/{n}" for n in range(20)}


def test_a_path_answers_what_it_was_told(tmp_path: Path) -> None:
    file = tmp_path / "vip.xml"
    file.write_text("<route>vip</route>")
    route = '{"route": {"branch": "vip"}, "agent": {"extension": "200"}}'
    answers = dict(parse_answer(text) for text in (f"/route={route}", f"/xml={file}"))
    with Receiver(answers=answers) as receiver:
        _, headers, body = _ask(receiver, "GET", "/route?src=1")
        assert (headers["Content-Type"], body.decode()) == ("application/json", route)
        _, headers, body = _ask(receiver, "POST", "/xml", b"x")
        assert (headers["Content-Type"], body) == ("application/xml", b"<route>vip</route>")


@pytest.mark.parametrize("text", ["route={}", "/route", "/route={no json", "/route=/no/such/file"])
def test_an_answer_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"answer|neither JSON nor a file"):
        parse_answer(text)


def test_faults_are_gone_through_in_turn_for_ever() -> None:
    with Receiver(faults=parse_faults("500,ok,429:7s")) as receiver:
        answers = [_ask(receiver, "POST", "/", b"x")[:2] for _ in range(6)]
        assert [status for status, _ in answers] == [500, 200, 429, 500, 200, 429]
        assert [answers[2][1].get("Retry-After"), answers[0][1].get("Retry-After")] == ["7", None]
        assert [request.answered for request in receiver.requests_received()[:3]] == ["500", "200", "429"]


def test_a_status_without_a_body_leaves_the_connection_usable() -> None:
    with Receiver(faults=parse_faults("204,200")) as receiver:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
        for status in (204, 200):
            connection.request("POST", "/", b"x")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()


def test_slow_answers_after_its_time() -> None:
    with Receiver(faults=parse_faults("slow:200ms")) as receiver:
        begun = time.monotonic()
        assert _ask(receiver, "GET", "/")[0] == 200
        assert time.monotonic() - begun >= 0.19


def test_reset_breaks_the_connection_off() -> None:
    with Receiver(faults=parse_faults("reset")) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), 10) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        assert receiver.requests_received()[0].answered == "reset"


def test_hang_never_answers_and_closing_the_server_ends_it() -> None:
    receiver = Receiver(faults=parse_faults("hang"))
    receiver.start()
    with socket.create_connection(("127.0.0.1", receiver.port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        receiver.wait_for(1)
        receiver.close()
        assert connection.recv(1) == b""


def test_drip_gives_the_whole_answer_byte_by_byte() -> None:
    with Receiver(faults=parse_faults("drip:1ms"), answers={"/": Answer("text/plain", b"whole")}) as receiver:
        assert _ask(receiver, "GET", "/")[2] == b"whole"


def test_closing_ends_idle_and_half_sent_connections() -> None:
    receiver = Receiver()
    receiver.start()
    idle = socket.create_connection(("127.0.0.1", receiver.port), 10)
    half = socket.create_connection(("127.0.0.1", receiver.port), 10)
    half.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nx")
    assert _ask(receiver, "GET", "/")[0] == 200
    receiver.close()
    assert receiver.requests_received()[0].method == "GET"
    for connection in (idle, half):
        assert connection.recv(1) == b""
        connection.close()


@pytest.mark.parametrize(
    ("header", "status"), [(b"Transfer-Encoding: chunked", b"411"), (b"Content-Length: 999999999999", b"413")]
)
def test_a_body_without_a_fit_length_is_refused(header: bytes, status: bytes) -> None:
    with (
        Receiver() as receiver,
        socket.create_connection(("127.0.0.1", receiver.port), 10) as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        assert connection.recv(1000).split()[1] == status


def test_a_port_in_use_is_told_in_one_line() -> None:
    with Receiver() as receiver, pytest.raises(BridgeError, match="choose another --listen"):
        Receiver(port=receiver.port)


@pytest.mark.parametrize("text", ["slow:", "fast", "600", "slow,50", "reset:x"])
def test_an_unknown_fault_is_refused_naming_the_known(text: str) -> None:
    with pytest.raises(ValueError, match="ok, slow, reset, hang, drip"):
        parse_faults(text)


def test_faults_read_their_durations() -> None:
    assert parse_faults(" slow , hang:1.5m,503") == (
        Fault("slow", seconds=5), Fault("hang", seconds=90), Fault("status", 503, 2),
    )  # fmt: skip


def test_the_block_is_readable() -> None:
    recording = "UklGR" + "A" * 95
    block = _shown(
        json.dumps({"id": 7, "src": "é", "sub_cdrs": [{"monitor_file": recording}]}).encode(),
        query=(("key", "a b"), ("x", "")),
        headers=(
            ("Host", "x"), ("Authorization", "Basic dmlwZXg6Y2FuYXJ5"), ("X-Source", "pbx1"),
            ("content-type", "application/json"),
        ),
    )  # fmt: skip
    heading, *lines = block.split("\n")
    assert re.fullmatch(r"── \d\d:\d\d:17\.250  POST /calls  → 200 ─+", heading)
    assert lines == [
        "  query  key  a b",
        "  query  x",
        "  Authorization: Basic vipex:********",
        "  X-Source: pbx1",
        "  content-type: application/json",
        "{",
        '  "id": 7,',
        '  "src": "é",',
        '  "sub_cdrs": [',
        "    {",
        '      "monitor_file": "UklGR… (75 bytes)"',
        "    }",
        "  ]",
        "}",
        "",
    ]


def test_bodies_of_other_kinds_are_shown_as_what_they_are() -> None:
    assert "  form  a             x y\n" in _shown(
        b"a=x+y&monitor_file=UklGRAAA", "application/x-www-form-urlencoded"
    )
    assert "UklGR… (6 bytes)" in _shown(b"monitor_file=UklGRAAA", "application/x-www-form-urlencoded")
    assert "\n<a>\n  é</a>\n" in _shown("<a>\n  é</a>".encode(), "text/xml")
    assert "(no valid JSON" in _shown(b'{"a": }')
    assert "(2 bytes that are no UTF-8)" in _shown(b"\xff\xfe")
    assert "… (1,000 more characters)" in _shown(b"x" * 5000, "text/plain")


@given(st.binary(max_size=200), st.sampled_from(["application/json", "text/plain", "text/xml"]), st.text())
def test_nothing_received_can_move_the_terminal(body: bytes, content_type: str, text: str) -> None:
    blocks = [
        _shown(
            body, content_type, query=((text, text),), headers=(("Content-Type", content_type), ("X", text))
        ),
        _shown(json.dumps({"a": text, text: [text]}).encode()),
    ]
    for block in blocks:
        assert all(line.isprintable() for line in block.split("\n"))
        block.encode("utf-8")


class _Told(io.StringIO):
    """A stream that stands in for Ctrl-C once something it waits for was written."""

    def __init__(self, on_listening: Callable[[str], None]) -> None:
        super().__init__()
        self._on_listening = on_listening

    def write(self, text: str) -> int:
        if text.startswith("Listening on "):
            self._on_listening(text.split(";")[0].removeprefix("Listening on http://127.0.0.1:"))
        return super().write(text)


def test_serve_shows_a_request_and_ends_on_ctrl_c() -> None:
    def ask_and_interrupt(port: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
        connection.request("POST", "/calls?x=1", b'{"id": 91000}', {"Content-Type": "application/json"})
        assert connection.getresponse().status == 503
        connection.close()
        raise KeyboardInterrupt

    stream = _Told(ask_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        serve("127.0.0.1", 0, faults=parse_faults("503"), stream=stream)
    assert "POST /calls  → 503" in stream.getvalue()
    assert '  "id": 91000' in stream.getvalue()


# Signatures

SIGNING = "whsec_" + base64.b64encode(b"a key of twenty-four byt").decode()


def _signed(body: bytes = b'{"id": 1}', secret: str = SIGNING, at: float = AT) -> tuple[tuple[str, str], ...]:
    stamp = datetime.fromtimestamp(at, UTC)
    signature = Webhook(secret).sign("k1", stamp, body.decode())
    given = f"v1,b3RoZXI= {signature}"
    return (("webhook-id", "k1"), ("webhook-timestamp", str(int(at))), ("webhook-signature", given))


NOT_OURS = "wrong: not by this secret over webhook-id.webhook-timestamp.body"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (_signed(), "good"),
        (_signed(at=AT - 301), "good, but 301 s old: a receiver should refuse it"),
        (_signed(b'{"id": 2}'), "wrong: not by this secret over webhook-id.webhook-timestamp.body"),
        (
            _signed(secret="whsec_b3RoZXI="),
            "wrong: not by this secret over webhook-id.webhook-timestamp.body",
        ),
        (_signed()[:2], "none: webhook-id, webhook-timestamp or webhook-signature is missing"),
        ((*_signed()[::2], ("webhook-timestamp", "now")), "wrong: webhook-timestamp is no number of seconds"),
    ],
)
def test_a_signature_is_judged_as_the_library_would(headers: tuple[tuple[str, str], ...], said: str) -> None:
    request = ReceivedRequest(AT, "POST", "/calls", (), headers, b'{"id": 1}')
    found = verdict(request, signing_key(Secret(SIGNING)))
    assert found == said
    assert f"  signature: {said}\n" in show(request, found)


def test_receive_names_a_signing_secret_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong").write_text("whsec_c4nary!")
    for name in ("gone", "wrong"):
        assert main(["receive", "--signing-secret", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert "No such file" in said and "must be base64" in said and "c4nary" not in said
