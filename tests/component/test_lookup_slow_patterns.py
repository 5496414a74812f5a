"""A regular expression that takes for ever on a hostile answer: the caller goes on, and so does everybody."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable

import pytest
from faulty_server import FaultyServer
from looking_up import ask, client

from vipex_bridge.config.settings import Mapped
from vipex_bridge.lookup.exchange import Lookups

SLOW = r"(?:(a|aa)+)+b"
TIMEOUT_S = 1.0
SLACK_S = 0.1
"""The contract, section 3."""


@pytest.mark.parametrize("format", ["text", "json"])
async def test_neither_the_caller_nor_anybody_else_waits_for_a_slow_expression(
    format: str, lookups: Lookups, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    if format == "text":
        body, wanted = b"a" * 8_000, Mapped("VIPEX_X", SLOW, None, "200")
    else:
        body, wanted = json.dumps({"a": "a" * 900}).encode(), Mapped("VIPEX_X", "a", re.compile(SLOW), "200")
    faulty_server.answer = faulty_server.replies(200, body, content_type="")
    asked = client(faulty_server.url, timeout_s=TIMEOUT_S, format=format, set=(wanted,))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    working = asyncio.create_task(others())
    before = stopwatch()
    result = await ask(lookups, asked)
    took_s = stopwatch() - before
    working.cancel()
    assert took_s < TIMEOUT_S + SLACK_S
    assert result.variables == (("VIPEX_X", "200"),)
    assert turns > 10, "the event loop stood still"
    print(f"\n{format}: {result.status} after {took_s:.3f} s, the event loop went round {turns} times")


async def test_the_threads_of_slow_expressions_are_free_again_soon(
    lookups: Lookups, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.replies(200, b"a" * 8_000, content_type="text/plain")
    asked = client(faulty_server.url, timeout_s=0.3, format="text", set=(Mapped("VIPEX_X", SLOW),))
    others = threading.enumerate()
    for _ in range(3):
        await ask(lookups, asked)
    for thread in threading.enumerate():
        # Others' may be held up in earnest, by a name that nobody resolves.
        if thread.name.startswith("lookup-") and thread not in others:
            await asyncio.to_thread(thread.join, 20)
            assert not thread.is_alive()
