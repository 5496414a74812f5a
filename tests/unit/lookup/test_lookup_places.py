"""Places for lookups: bounded, and never all of them one client's."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.lookup.places import Places


async def taken(places: Places, client: str, tries: int) -> int:
    """How many of so many tries get a place at once."""
    got = 0
    for _ in range(tries):
        waiting = asyncio.ensure_future(places.take(client))
        await asyncio.sleep(0)
        got += waiting.done()
        if not waiting.done():
            waiting.cancel()
            await asyncio.wait([waiting])
    return got


async def test_one_client_gets_three_quarters_and_the_others_share_what_is_left() -> None:
    places = Places(64)
    assert await taken(places, "a", 100) == 48
    assert await taken(places, "b", 100) == 12
    assert await taken(places, "c", 100) == 3
    assert await taken(places, "d", 100) == 1
    assert await taken(places, "e", 100) == 0


async def test_a_place_goes_to_the_first_who_may_have_it() -> None:
    places = Places(2)
    assert [await places.take("a"), await places.take("a")] == [False, False]
    waiting = [asyncio.ensure_future(places.take(name)) for name in ("a", "b", "b")]
    await asyncio.sleep(0)
    places.give_back("a")
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, False, False]
    places.give_back("a")
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, True, False]
    assert waiting[1].result()
    waiting[2].cancel()


async def test_whoever_leaves_while_waiting_keeps_no_place() -> None:
    places = Places(1)
    await places.take("a")
    leaves, leaves_late, stays = (asyncio.ensure_future(places.take(name)) for name in "bcd")
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.wait([leaves])
    places.give_back("a")
    # The place is this one's already when it leaves.
    leaves_late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves_late
    assert await asyncio.wait_for(stays, 5)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=80), st.integers(1, 9))
def test_whatever_is_taken_and_given_back_there_are_never_more(
    steps: list[tuple[str, bool]], most: int
) -> None:
    async def play() -> None:
        places = Places(most)
        held: Counter[str] = Counter()
        waiting: list[tuple[str, asyncio.Future[bool]]] = []
        for client, takes in steps:
            if takes:
                waiting.append((client, asyncio.ensure_future(places.take(client))))
            elif held[client]:
                held[client] -= 1
                places.give_back(client)
            for _ in range(3):
                await asyncio.sleep(0)
            held.update(name for name, task in waiting if task.done())
            waiting = [(name, task) for name, task in waiting if not task.done()]
            assert held.total() <= most
            # Nobody waits for a place that he may have.
            assert all(held[name] >= 3 * (most - held.total()) for name, _ in waiting)
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)

    asyncio.run(play())
