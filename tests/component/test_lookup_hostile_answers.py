"""Answers made to cost time: no caller waits beyond the timeout, and other lookups go on meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from faulty_server import FaultyServer
from looking_up import GOOD, MAPPED, ask, client

from vipex_bridge.config.settings import Mapped
from vipex_bridge.lookup.exchange import Lookups

TIMEOUT_S = 1.0
SLACK_S = 0.1
"""The contract, section 3."""
MIB = 1024 * 1024

HOSTILE = {
    "deep json": ("json", b"[" * (MIB - 1), "a"),
    "deep json objects": ("json", b'{"a":' * 200_000, "a.a.a"),
    "just not too deep": ("json", b'{"a":' * 900 + b"1" + b"}" * 900, "to_string(@)"),
    "one key a hundred thousand times": ("json", b'{"a": []' + b', "a": []' * 100_000 + b"}", "a"),
    "thousands of digits": ("json", b'{"a": ' + b"9" * 1_000_000 + b"}", "a"),
    "many numbers of thousands of digits": (
        "json",
        b'{"a": [' + b",".join([b"9" * 4299] * 200) + b"]}",
        "sum(a)",
    ),
    "thousands of digits after the point": ("json", b'{"b": 0.' + b"9" * 1_000_000 + b"}", "a"),
    "not a number": ("json", b'{"a": [NaN, Infinity, -Infinity]}', "a[0]"),
    "a million characters": ("json", json.dumps({"a": "á" * 400_000}, ensure_ascii=False).encode(), "a"),
    "entities of entities": (
        "xml",
        b'<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "' + b"&a;" * 9000 + b'">]><r>' + b"&b;" * 9000 + b"</r>",
        "/r",
    ),
    "a flat crowd of elements": ("xml", b"<r>" + b"<a/>" * 250_000 + b"</r>", "//a[count(preceding::a) < 0]"),
    "each element compared with all others": (
        "xml",
        b"<r>" + b"<a/>" * 9_900 + b"</r>",
        "//a[count(preceding::a) < 0]",
    ),
    "deep elements": ("xml", b"<a>" * 250 + b"</a>" * 250, "//a//a//a//a[last()]"),
    "a crowd of attributes": (
        "xml",
        b"<r " + b" ".join(b"a%d=''" % n for n in range(90_000)) + b"/>",
        "/r/@a1",
    ),
    "a crowd of form fields": ("form", b"a=1&" * 250_000, "a"),
    "a search that never ends": ("text", b"a" * 8_000, r"(?:(a|aa)+)+b"),
    "another": ("text", b"a " * 4_000, r"(\w+\s?)*;"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_answer_holds_up_neither_its_caller_nor_another(
    what: str, lookups: Lookups, faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    format, body, path = HOSTILE[what]
    hostile, good = faulty_server.replies(200, body), faulty_server.replies(200, GOOD)
    faulty_server.answer = lambda sock, request: (hostile if "hostile" in request.target else good)(
        sock, request
    )
    wanted = (Mapped("VIPEX_X", path, None, "200"),)
    asked = client(faulty_server.url, timeout_s=TIMEOUT_S, format=format, set=wanted)
    beside = client(faulty_server.url, timeout_s=TIMEOUT_S)

    before = stopwatch()
    took_s: list[float] = []

    async def wait_for_the_hostile_one() -> tuple[tuple[str, str], ...]:
        result = await ask(lookups, asked, "?src=hostile")
        took_s.append(stopwatch() - before)
        return result.variables

    waiting = asyncio.create_task(wait_for_the_hostile_one())
    answered = 0
    while not waiting.done() or not answered:
        result = await ask(lookups, beside, f"?src={answered}")
        assert (result.status, result.variables) == ("OK", MAPPED)
        answered += 1
    with suppress(IndexError):
        print(f"\n{what}: {took_s[0]:.3f} s, and {answered} lookups answered meanwhile")
    assert await waiting == (("VIPEX_X", "200"),)
    assert took_s[0] < TIMEOUT_S + SLACK_S
