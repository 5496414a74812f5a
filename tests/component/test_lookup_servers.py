"""Lookups whose server fails: fallbacks, cached and older answers, the breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from faulty_server import FaultyServer
from looking_up import DEFAULTS, GOOD, MAPPED, Clock, ask, client

from vipex_bridge.config.settings import Breaker
from vipex_bridge.deliver.http import Transport
from vipex_bridge.lookup import exchange
from vipex_bridge.lookup.exchange import Lookups

SLACK_S = 0.3


async def test_a_fallback_is_asked_the_same_when_the_first_fails(
    lookups: Lookups, faulty_server: FaultyServer, second_server: FaultyServer, refusing_port: int
) -> None:
    second_server.answer = second_server.replies(200, GOOD)
    for failing in (
        faulty_server.replies(500),
        faulty_server.replies(200, b"no json"),
        faulty_server.resets(),
        faulty_server.sends(b"junk\r\n\r\n"),
    ):
        faulty_server.answer = failing
        result = await ask(lookups, client(faulty_server.url, fallback_urls=(second_server.url + "2",)))
        assert (result.status, result.variables) == ("OK", MAPPED)
    result = await ask(
        lookups,
        client(f"http://127.0.0.1:{refusing_port}/x?a=1", fallback_urls=(second_server.url,)),
        "?src=7",
    )
    assert result.status == "OK"
    assert "connection refused" in result.detail
    targets = [request.target for request in second_server.received]
    assert targets == ["/api2?src=36709676052"] * 4 + ["/api?src=7"]


@pytest.mark.parametrize(
    ("url", "fallback", "query", "target"),
    [
        ("/a", "/b", "?x=1", "/b?x=1"),
        ("/a", "/b?k=2", "?x=1", "/b?k=2&x=1"),
        ("/a?k=1", "/b?", "?x=1", "/b?x=1"),
        ("/a?", "/b", "?x=1", "/b?x=1"),
        ("/a", "/b", "", "/b"),
    ],
)
async def test_a_fallback_gets_the_query_that_was_rendered(
    url: str,
    fallback: str,
    query: str,
    target: str,
    lookups: Lookups,
    second_server: FaultyServer,
    refusing_port: int,
) -> None:
    base = second_server.url.removesuffix("/api")
    await ask(
        lookups, client(f"http://127.0.0.1:{refusing_port}{url}", fallback_urls=(base + fallback,)), query
    )
    assert second_server.received[0].target == target


async def test_a_fallback_is_not_asked_when_the_first_has_answered(
    lookups: Lookups, faulty_server: FaultyServer, second_server: FaultyServer
) -> None:
    for answer in (faulty_server.replies(200, GOOD), faulty_server.replies(404), faulty_server.replies(401)):
        faulty_server.answer = answer
        await ask(lookups, client(faulty_server.url, fallback_urls=(second_server.url,)))
    assert second_server.received == []


async def test_a_first_server_that_hangs_leaves_the_fallback_its_share(
    lookups: Lookups, faulty_server: FaultyServer, second_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    faulty_server.answer = faulty_server.hangs()
    second_server.answer = second_server.replies(200, GOOD)
    asked = client(faulty_server.url, timeout_s=4.0, fallback_urls=(second_server.url,))
    before = stopwatch()
    result = await ask(lookups, asked)
    assert result.status == "OK"
    assert 1.9 <= stopwatch() - before < 4.0
    second_server.answer = second_server.hangs()
    before = stopwatch()
    result = await ask(lookups, asked)
    assert result.status == "TIMEOUT"
    assert stopwatch() - before < 4.0 + SLACK_S
    assert result.detail.count("no answer within") == 2


# Cache, stale answers, breaker


async def test_an_answer_is_cached_per_request(
    lookups: Lookups, faulty_server: FaultyServer, clock: Clock
) -> None:
    faulty_server.answer = faulty_server.replies(200, GOOD)
    asked = client(faulty_server.url, cache_s=60.0)
    first = await ask(lookups, asked)
    clock.now += 59.0
    cached = await ask(lookups, asked)
    assert (cached.status, cached.http_code, cached.variables) == (first.status, 200, first.variables)
    assert len(faulty_server.received) == 1
    await ask(lookups, asked, "?src=other")
    assert len(faulty_server.received) == 2
    clock.now += 2.0
    await ask(lookups, asked)
    assert len(faulty_server.received) == 3


async def test_failures_are_not_cached(lookups: Lookups, faulty_server: FaultyServer) -> None:
    faulty_server.queue = [faulty_server.replies(500)]
    faulty_server.answer = faulty_server.replies(200, GOOD)
    asked = client(faulty_server.url, cache_s=60.0)
    assert (await ask(lookups, asked)).status == "HTTPERROR"
    assert (await ask(lookups, asked)).status == "OK"


async def test_an_older_answer_serves_while_the_server_fails(
    lookups: Lookups, faulty_server: FaultyServer, clock: Clock
) -> None:
    faulty_server.queue = [faulty_server.replies(200, GOOD)]
    faulty_server.answer = faulty_server.replies(503)
    asked = client(faulty_server.url, stale_if_error_s=600.0, breaker=Breaker(2, 30.0))
    await ask(lookups, asked)
    for _ in range(4):
        clock.now += 10.0
        result = await ask(lookups, asked)
        assert (result.status, result.variables) == ("OK", MAPPED)
    assert "40 s old" in result.detail
    assert "OPEN" in result.detail
    assert len(faulty_server.received) == 3
    clock.now += 600.0
    assert (await ask(lookups, asked)).status == "HTTPERROR"


async def test_a_client_that_failed_too_often_is_not_asked_for_the_pause(
    lookups: Lookups, faulty_server: FaultyServer, clock: Clock
) -> None:
    faulty_server.answer = faulty_server.replies(500)
    asked = client(faulty_server.url, breaker=Breaker(3, 30.0))
    statuses = [(await ask(lookups, asked)).status for _ in range(5)]
    assert statuses == ["HTTPERROR"] * 3 + ["OPEN"] * 2
    assert len(faulty_server.received) == 3
    result = await ask(lookups, asked)
    assert (result.http_code, result.variables) == (None, DEFAULTS)
    clock.now += 30.0
    faulty_server.answer = faulty_server.replies(200, GOOD)
    assert [(await ask(lookups, asked)).status for _ in range(2)] == ["OK"] * 2


async def test_no_match_is_no_failure(lookups: Lookups, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(404)
    asked = client(faulty_server.url, breaker=Breaker(2, 30.0))
    assert [(await ask(lookups, asked)).status for _ in range(4)] == ["NOMATCH"] * 4


async def test_only_one_probe_at_a_time_and_a_hang_up_does_not_block_the_next(
    lookups: Lookups, faulty_server: FaultyServer, clock: Clock
) -> None:
    faulty_server.queue = [faulty_server.replies(500), faulty_server.hangs()]
    faulty_server.answer = faulty_server.replies(200, GOOD)
    asked = client(faulty_server.url, breaker=Breaker(1, 30.0))
    await ask(lookups, asked)
    clock.now += 31.0
    probe = asyncio.create_task(ask(lookups, asked))
    await asyncio.to_thread(faulty_server.wait_for, 2)
    assert (await ask(lookups, asked)).status == "OPEN"
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert (await ask(lookups, asked)).status == "OK"


async def test_one_clients_trouble_is_not_anothers_and_a_new_configuration_starts_anew(
    lookups: Lookups, faulty_server: FaultyServer, second_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.replies(500)
    second_server.answer = second_server.replies(200, GOOD)
    asked = client(faulty_server.url, breaker=Breaker(1, 30.0))
    await ask(lookups, asked)
    assert (await ask(lookups, asked)).status == "OPEN"
    assert (await ask(lookups, replace(client(second_server.url), name="other"))).status == "OK"
    assert (await ask(lookups, client(second_server.url))).status == "OK"


async def test_servers_that_hang_take_no_other_clients_places(
    lookups: Lookups, faulty_server: FaultyServer, second_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.hangs()
    second_server.answer = second_server.replies(200, GOOD)
    hanging = [replace(client(faulty_server.url, timeout_s=8.0), name=name) for name in ("dead", "deader")]
    well = client(second_server.url, timeout_s=3.0, breaker=Breaker(1, 30.0))
    asked = [
        asyncio.create_task(ask(lookups, one, f"?n={number}")) for one in hanging for number in range(70)
    ]
    await asyncio.to_thread(faulty_server.wait_for, 60)
    results = await asyncio.gather(*(ask(lookups, well, f"?n={number}") for number in range(30)))
    assert {result.status for result in results} == {"OK"}
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


async def test_a_lookup_that_got_no_place_is_no_failure_of_its_server(
    faulty_server: FaultyServer,
    second_server: FaultyServer,
    transport: Transport,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    monkeypatch.setattr(exchange, "MAX_THREADS", 1)
    lookups = Lookups(transport, clock=clock)
    faulty_server.answer = faulty_server.hangs()
    second_server.queue = [second_server.replies(500)]
    second_server.answer = second_server.replies(200, GOOD)
    well = replace(client(second_server.url, timeout_s=1.0, breaker=Breaker(1, 30.0)), name="well")
    assert (await ask(lookups, well)).status == "HTTPERROR"
    clock.now += 30.0
    hanging = asyncio.create_task(ask(lookups, client(faulty_server.url, timeout_s=4.0)))
    await asyncio.to_thread(faulty_server.wait_for, 1)
    for _ in range(2):
        result = await ask(lookups, well)
        assert (result.status, result.variables) == ("TIMEOUT", DEFAULTS)
        assert "too many lookups under way" in result.detail
    assert (await hanging).status == "TIMEOUT"
    assert (await ask(lookups, well)).status == "OK"


async def test_after_closing_nothing_is_asked(lookups: Lookups, faulty_server: FaultyServer) -> None:
    lookups.close()
    result = await ask(lookups, client(faulty_server.url))
    assert (result.status, result.variables) == ("UNAVAILABLE", DEFAULTS)
    assert faulty_server.received == []
