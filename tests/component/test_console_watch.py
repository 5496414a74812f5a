"""The page Live is told of changes by one look for all who read it, and by none when nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from outcome import NUMBERING
from story import inbound_example

from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.console.watch import HERE, LOOKED_AT_EVERY_S, MOVED, Watch


class Looked:
    """Calls that count how often they are looked at, and may fail."""

    def __init__(self) -> None:
        self.tracker = Tracker(NUMBERING)
        self.times = 0
        self.is_broken = False

    def __call__(self) -> Iterable[CallRecord]:
        self.times += 1
        if self.is_broken:
            raise LookupError("no calls")
        return self.tracker.calls()


def looks(watch: Watch) -> bool:
    return watch.is_looking


async def following(stream: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(stream), 10)


async def test_all_readers_are_told_by_one_look() -> None:
    looked = Looked()
    watch = Watch(looked)
    streams = [watch.moments() for _ in range(50)]
    assert [await following(stream) for stream in streams] == [MOVED] * 50
    waiting = [asyncio.ensure_future(following(stream)) for stream in streams]
    for event in inbound_example(1000.0).events[:3]:
        looked.tracker.feed(event)
    looked.times = 0
    assert await asyncio.gather(*waiting) == [MOVED] * 50
    assert looked.times < 10
    for stream in streams:
        await stream.aclose()
    assert not looks(watch)
    again = watch.moments()
    assert await following(again) == MOVED
    assert looks(watch)
    await again.aclose()


async def test_who_is_told_nothing_hears_that_the_line_is_up() -> None:
    watch = Watch(Looked(), said_every_s=LOOKED_AT_EVERY_S / 10)
    stream = watch.moments()
    assert [await following(stream) for _ in range(3)] == [MOVED, HERE, HERE]
    await stream.aclose()


async def test_a_look_that_fails_ends_the_streams_and_the_next_reader_has_a_new_one() -> None:
    looked = Looked()
    watch = Watch(looked)
    stream = watch.moments()
    assert await following(stream) == MOVED
    looked.is_broken = True
    with pytest.raises(LookupError):
        await following(stream)
    looked.is_broken = False
    again = watch.moments()
    assert await following(again) == MOVED
    assert looks(watch)
    await again.aclose()
