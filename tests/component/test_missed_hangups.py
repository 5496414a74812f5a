"""A hangup that AMI missed, or heard of late: told once, with the call or before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ending_bench import START, Bench
from story import inbound_example
from structlog.testing import capture_logs

from vipex_bridge.calls.events import CallEvent, ConnectionLost
from vipex_bridge.errors import StoreError
from vipex_bridge.store.writer import Writer

CRM = "  crm: {kind: notify, on: [arrival, hangup], url: 'http://host/ring', method: POST}\n"


def without_its_end(bench: Bench) -> list[CallEvent]:
    """A call that AMI is away for the end of, and whose row has come; gives the end's events."""
    story = inbound_example(START)
    story.events, ends = story.events[:-4], story.events[-4:]
    bench.happens(story)
    bench.connected = False
    bench.live.on_events([ConnectionLost(bench.now)])
    bench.row()
    bench.step()
    return ends


@pytest.mark.parametrize("ami_is_back", [False, True])
def test_a_hangup_that_ami_missed_is_told_once_where_a_commits_fate_is_not_known(
    tmp_path: Path, *, ami_is_back: bool
) -> None:
    bench = Bench(tmp_path, clients=CRM)
    ends = without_its_end(bench)
    write, is_silent = bench.store.write, True

    @contextmanager
    def kept_but_not_answered(now: float) -> Iterator[Writer]:
        nonlocal is_silent
        with write(now) as writer:
            yield writer
        if is_silent and bench.told():
            is_silent = False
            raise StoreError("no answer within 10 s")

    bench.store.write = kept_but_not_answered  # type: ignore[method-assign]
    while is_silent:
        bench.step(1)
    if ami_is_back:
        bench.connected = True
        bench.live.on_events(ends)
        assert asyncio.run(bench.live.commit())
    bench.step(60)
    bench.step(60)
    with closing(bench.store):
        assert [delivery.event for delivery in bench.told("crm")] == ["hangup", "arrival"]
        assert len(bench.told()) == 1


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_hangup_is_told_at_once_after_a_commit_that_failed(tmp_path: Path, *, is_restarted: bool) -> None:
    bench = Bench(tmp_path, clients=CRM)
    ends = without_its_end(bench)
    write, is_full = bench.store.write, True

    @contextmanager
    def refusing(now: float) -> Iterator[Writer]:
        with write(now) as writer:
            yield writer
            if is_full:
                raise StoreError("disk full")

    bench.store.write = refusing  # type: ignore[method-assign]
    with capture_logs() as logs:
        bench.step(12)
    assert "call.not_told_yet" in [entry["event"] for entry in logs]
    is_full = False
    bench.connected = True
    bench.live.on_events(ends)
    assert asyncio.run(bench.live.commit())
    assert [delivery.event for delivery in bench.told("crm")] == ["hangup", "arrival"]
    if is_restarted:
        bench.store.close()
        bench.start()
    bench.step(60)
    bench.step(20)
    with closing(bench.store):
        assert [delivery.event for delivery in bench.told("crm")] == ["hangup", "arrival"]
        assert len(bench.told()) == 1


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_hangup_that_ami_hears_of_during_the_commit_is_told_once(
    tmp_path: Path, *, is_refused: bool
) -> None:
    bench = Bench(tmp_path, clients=CRM)
    ends = without_its_end(bench)
    write, is_heard = bench.store.write, False

    @contextmanager
    def hearing(now: float) -> Iterator[Writer]:
        nonlocal is_heard
        with write(now) as writer:
            yield writer
            if not is_heard:
                is_heard = bench.connected = True
                bench.live.on_events(ends)
                if is_refused:
                    raise StoreError("disk full")

    bench.step(9)
    bench.store.write = hearing  # type: ignore[method-assign]
    bench.step(3)
    assert is_heard and asyncio.run(bench.live.commit())
    bench.store.close()
    bench.start()
    bench.step(60)
    bench.step(20)
    with closing(bench.store):
        assert sorted(delivery.event for delivery in bench.told("crm")) == ["arrival", "hangup"]
        assert len(bench.told()) == 1
