"""Lookups against real servers: every status of the contract, inside one deadline."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import structlog
from faulty_server import FaultyServer
from looking_up import DEFAULTS, GOOD, MAPPED, ask, client
from structlog.testing import capture_logs

from vipex_bridge.config.settings import ApiKey, Secret
from vipex_bridge.deliver.http import Transport
from vipex_bridge.lookup import exchange
from vipex_bridge.lookup.exchange import Lookups, unasked
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.render.request import Request, Slot

TIMEOUT_S = 0.5
SLACK_S = 0.3


async def test_an_answer_becomes_channel_variables(lookups: Lookups, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(200, GOOD)
    result = await ask(lookups, client(faulty_server.url))
    assert (result.status, result.http_code, result.variables) == ("OK", 200, MAPPED)
    assert result.answer is not None
    assert result.answer.body == GOOD
    assert faulty_server.received[0].target == "/api?src=36709676052"


@pytest.mark.parametrize(
    ("code", "body", "status"),
    [
        (404, b"", "NOMATCH"),
        (404, GOOD, "NOMATCH"),
        (200, b"{}", "NOMATCH"),
        (200, b'{"agent": {"extension": "; drop"}}', "NOMATCH"),
        (201, GOOD, "OK"),
        (302, GOOD, "HTTPERROR"),
        (400, b"", "HTTPERROR"),
        (401, b"", "HTTPERROR"),
        (500, GOOD, "HTTPERROR"),
        (503, b"", "HTTPERROR"),
        (200, b"<html>", "BADRESPONSE"),
        (200, b"[" * 100_000, "BADRESPONSE"),
        (200, b'"' + b"a" * 1024 * 1024 + b'"', "BADRESPONSE"),
    ],
)
async def test_what_a_server_answers_has_its_status(
    code: int, body: bytes, status: str, lookups: Lookups, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.replies(code, body)
    result = await ask(lookups, client(faulty_server.url))
    assert result.status == status
    assert result.variables == (MAPPED if status == "OK" else DEFAULTS)
    assert result.http_code == (code if len(body) <= 1024 * 1024 else None)
    assert "src" not in result.detail
    assert "\n" not in result.detail
    assert bool(result.detail) == (status != "OK")


async def test_204_is_no_match(lookups: Lookups, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.sends(b"HTTP/1.1 204 No Content\r\n\r\n")
    result = await ask(lookups, client(faulty_server.url))
    assert (result.status, result.http_code, result.variables) == ("NOMATCH", 204, DEFAULTS)


async def test_nobody_there_is_unreachable(lookups: Lookups, refusing_port: int) -> None:
    result = await ask(lookups, client(f"http://127.0.0.1:{refusing_port}/api"))
    assert (result.status, result.http_code, result.variables) == ("UNREACHABLE", None, DEFAULTS)
    assert result.detail == f"127.0.0.1:{refusing_port}/api: connection refused"


async def test_garbage_is_a_bad_response(lookups: Lookups, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.sends(b"hello\r\n\r\n")
    assert (await ask(lookups, client(faulty_server.url))).status == "BADRESPONSE"


def test_a_client_that_does_not_exist_has_no_variables() -> None:
    assert unasked(None, "NOCLIENT") == LookupResult("NOCLIENT", None, ())


async def test_secrets_are_put_in_and_not_shown(lookups: Lookups, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(500)
    asked = replace(client(faulty_server.url), api_key=ApiKey("query", "key", Secret("s3 cret")))
    url = f"{asked.url}?key=vipextoken"
    result = await lookups.ask(asked, Request("GET", url, (), None, (Slot("vipextoken", "api_key", "url"),)))
    assert faulty_server.received[0].target == "/api?key=s3+cret"
    assert "cret" not in result.detail


async def test_a_mismatch_is_logged_without_the_value(lookups: Lookups, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(200, b'{"route": {"branch": "$(evil)"}}')
    structlog.reset_defaults()
    with capture_logs() as logs:
        await ask(lookups, client(faulty_server.url))
    (entry,) = logs
    assert entry["event"] == "lookup.mismatch"
    assert (entry["client"], entry["variable"], entry["length"]) == ("crm", "VIPEX_BRANCH", 7)
    assert "evil" not in repr(entry)


# The deadline


@pytest.mark.parametrize("how", ["hangs", "drips headers", "drips body"])
async def test_a_caller_is_not_held_beyond_the_timeout(
    how: str, lookups: Lookups, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    faulty_server.answer = {
        "hangs": faulty_server.hangs(),
        "drips headers": faulty_server.drips(head, b"X: a\r\n", 0.02),
        "drips body": faulty_server.drips(head + b"Content-Length: 900\r\n\r\n", b" "),
    }[how]
    before = stopwatch()
    result = await ask(lookups, client(faulty_server.url, timeout_s=TIMEOUT_S))
    assert stopwatch() - before < TIMEOUT_S + SLACK_S
    assert (result.status, result.http_code, result.variables) == ("TIMEOUT", None, DEFAULTS)
    # What was left for the exchange itself: of half a second a busy machine spends a hundredth before.
    said = re.search(r"within (\d[\d.]*) s$", result.detail)
    assert said is not None and 0 < float(said[1]) <= TIMEOUT_S, result.detail


async def test_not_even_by_a_resolver_that_hangs(
    lookups: Lookups, stopwatch: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    released, entered = threading.Event(), threading.Event()
    resolve = socket.getaddrinfo

    def hanging(host: str, *args: object, **kwargs: object) -> object:
        if host == "slow.invalid":
            entered.set()
            released.wait(20)
        return resolve(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    before = stopwatch()
    result = await ask(lookups, client("http://slow.invalid/", timeout_s=TIMEOUT_S))
    took = stopwatch() - before
    left = [thread for thread in threading.enumerate() if thread.name == "lookup-crm"]
    released.set()
    assert entered.is_set()
    assert result.status == "TIMEOUT"
    assert took < TIMEOUT_S + SLACK_S
    for thread in left:
        await asyncio.to_thread(thread.join, 5)


async def test_waiting_for_a_free_thread_counts(
    lookups: Lookups,
    faulty_server: FaultyServer,
    stopwatch: Callable[[], float],
    monkeypatch: pytest.MonkeyPatch,
    transport: Transport,
) -> None:
    monkeypatch.setattr(exchange, "MAX_THREADS", 2)
    lookups = Lookups(transport)
    faulty_server.answer = faulty_server.hangs()
    slow, quick = client(faulty_server.url, timeout_s=1.2), client(faulty_server.url, timeout_s=TIMEOUT_S)
    holding = [asyncio.create_task(ask(lookups, slow)) for _ in range(2)]
    await asyncio.to_thread(faulty_server.wait_for, 2)
    before = stopwatch()
    assert (await ask(lookups, quick)).status == "TIMEOUT"
    assert stopwatch() - before < TIMEOUT_S + SLACK_S
    assert [(await task).status for task in holding] == ["TIMEOUT"] * 2
    faulty_server.answer = faulty_server.replies(200, GOOD)
    assert (await ask(lookups, slow)).status == "OK"
    assert len(faulty_server.received) == 3


async def test_a_caller_who_hangs_up_ends_it_at_once(
    lookups: Lookups, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    faulty_server.answer = faulty_server.hangs()
    task = asyncio.create_task(ask(lookups, client(faulty_server.url, timeout_s=2.0)))
    await asyncio.to_thread(faulty_server.wait_for, 1)
    before = stopwatch()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopwatch() - before < SLACK_S


async def test_many_callers_at_once_do_not_wait_for_each_other(
    lookups: Lookups, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    def slowly(sock: socket.socket, request: object) -> bool:
        time.sleep(0.3)
        return faulty_server.replies(200, GOOD)(sock, request)  # type: ignore[arg-type]

    faulty_server.answer = slowly
    asked = client(faulty_server.url)
    before = stopwatch()
    results = await asyncio.gather(*(ask(lookups, asked, f"?n={number}") for number in range(40)))
    assert {result.status for result in results} == {"OK"}
    assert stopwatch() - before < 4
