"""Interim answers (RFC 9110, section 15.2): what comes before the final answer decides nothing."""

from __future__ import annotations

import pytest
from faulty_server import FaultyServer
from looking_up import GOOD, MAPPED, ask, client
from sending import post, sent

from vipex_bridge.deliver.http import Transport
from vipex_bridge.errors import BadAnswer, TimedOut
from vipex_bridge.lookup.exchange import Lookups

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ODD = b"HTTP/1.1 199 Odd\r\nTransfer-Encoding: chunked\r\n\r\n"

# The second is no plain address: it goes through requests' adapter.
ways = pytest.mark.parametrize("path", ["/x", "/x|y"], ids=["quick", "requests"])


def final(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d So\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def url(server: FaultyServer, path: str) -> str:
    return server.url.removesuffix("/api") + path


@ways
def test_each_request_gets_its_own_final_answer(
    path: str, transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [
        faulty_server.sends(HINTS + final(200, b"first"), keep=True),
        faulty_server.sends(CONTINUE + PROCESSING + ODD + final(500, b"second"), keep=True),
        faulty_server.sends(PROCESSING * 60 + final(204, b""), keep=True),
    ]
    answers = [sent(transport, post(url(faulty_server, path))) for _ in range(3)]
    assert [(answer.status, answer.body) for answer in answers] == [
        (200, b"first"),
        (500, b"second"),
        (204, b""),
    ]
    assert answers[0].header("Link") == ""
    assert faulty_server.connections == 1


@ways
def test_switched_protocols_are_an_answer_and_the_connections_end(
    path: str, transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.sends(SWITCHING + final(200, b"no answer to anything"), keep=True)]
    assert sent(transport, post(url(faulty_server, path))).status == 101
    faulty_server.queue = [faulty_server.sends(final(500, b""), keep=True)]
    assert sent(transport, post(url(faulty_server, path))).status == 500
    assert faulty_server.connections == 2


@ways
@pytest.mark.parametrize("cut", [HINTS, HINTS + b"HTTP/1.1 200 OK\r\n", HINTS[:-2]])
def test_an_interim_answer_alone_is_no_answer(
    cut: bytes, path: str, transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.sends(cut)
    with pytest.raises(BadAnswer, match="no whole HTTP answer"):
        sent(transport, post(url(faulty_server, path)))


@ways
@pytest.mark.parametrize("interim", [HINTS, CONTINUE])
def test_interim_answers_without_end_are_no_answer(
    interim: bytes, path: str, transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.floods(b"", interim)
    with pytest.raises(BadAnswer, match="no whole HTTP answer"):
        sent(transport, post(url(faulty_server, path)), timeout_s=30)


@ways
def test_interim_answers_of_any_size_are_no_answer(
    path: str, transport: Transport, faulty_server: FaultyServer
) -> None:
    head = b"HTTP/1.1 103 Early Hints\r\n" + (b"X-A: " + b"a" * 60_000 + b"\r\n") * 90
    faulty_server.answer = faulty_server.floods(b"", head + b"\r\n")
    with pytest.raises(BadAnswer, match="no whole HTTP answer"):
        sent(transport, post(url(faulty_server, path)), timeout_s=30)


@ways
def test_interim_answers_buy_no_time(path: str, transport: Transport, faulty_server: FaultyServer) -> None:
    # Three come in this time, and if they bought some it would never end.
    faulty_server.answer = faulty_server.drips(HINTS, PROCESSING, 0.005)
    with pytest.raises(TimedOut, match=r"the answer was not complete within 0\.5 s"):
        sent(transport, post(url(faulty_server, path)), timeout_s=0.5)


async def test_a_lookup_waits_for_the_final_answer(lookups: Lookups, faulty_server: FaultyServer) -> None:
    typed = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(GOOD)
    faulty_server.answer = faulty_server.sends(HINTS + typed + GOOD)
    result = await ask(lookups, client(faulty_server.url))
    assert (result.status, result.http_code, result.variables) == ("OK", 200, MAPPED)
