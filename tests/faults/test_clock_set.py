"""Somebody sets the clock while deliveries wait: none waits for it, none is lost by it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from delivering import Bridge, client, keys
from faulty_server import FaultyServer, Received
from hypothesis import given
from hypothesis import strategies as st
from stored import claimed, found, new, open_in, queued, record

from vipex_bridge.deliver.clock import STEP_S, Steps, uptime
from vipex_bridge.deliver.http import Transport

HOUR, DAY = 3600.0, 86_400.0


@dataclass
class SetClock:
    """The machine's clock, which can be set."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.mark.parametrize("by_s", [-HOUR, DAY], ids=["back an hour", "forward a day"])
def test_a_try_that_failed_is_made_again_after_its_delay_whatever_the_clock_says(
    tmp_path: Path, transport: Transport, server: FaultyServer, by_s: float
) -> None:
    clock = SetClock()
    failed = threading.Event()

    def fails_and_sets_the_clock(sock: object, request: Received) -> bool:
        done = server.replies(500)(sock, request)  # type: ignore[arg-type]
        clock.ahead_s += by_s
        failed.set()
        return done

    server.queue = [server.replies(500), fails_and_sets_the_clock]
    with open_in(tmp_path) as store:
        bridge = Bridge(store, transport, clock=clock, uptime=uptime)
        # A ringing notice of the same moment: it expires in half a minute, not in an hour or a day ago.
        ids = queued(
            store,
            new(call_id=1, url=server.url, at=clock()),
            new("crm", 2, event="ringing", url=server.url, at=clock(), expires_at=clock() + 30),
            now=clock(),
        )
        with bridge.running(client(retry_s=(1.0, 2.0)), client("crm", retry_s=(1.0, 2.0))):
            bridge.wait_for(4)
        assert failed.is_set()
        assert [bridge.status(delivery_id) for delivery_id in ids] == ["delivered", "delivered"]
    assert len(server.received) == 4 and len(keys(server.received)) == 2


def test_what_was_dated_before_the_clock_was_set_back_in_the_night_is_sent_at_once(
    tmp_path: Path, transport: Transport, server: FaultyServer
) -> None:
    later = time.time() + HOUR
    with open_in(tmp_path) as store:
        first, tried, notice = queued(
            store,
            new(call_id=1, url=server.url, at=later),
            new("crm", 2, url=server.url, at=time.time() - HOUR),
            new("desk", 3, event="ringing", url=server.url, at=later, expires_at=later + 30),
            now=later,
        )
        claimed(store, "crm", now=later)
        record(store, tried, "retry", again_at=later + 600, now=later)
    with open_in(tmp_path) as store:
        bridge = Bridge(store, transport, clock=time.time, uptime=uptime)
        with bridge.running(client(), client("crm"), client("desk")):
            bridge.wait_for(3)
        assert {found(store, one).status for one in (first, tried, notice)} == {"delivered"}


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6).filter(lambda s: s == 0 or abs(s) > STEP_S + 1)),
        max_size=20,
    )
)
def test_every_setting_of_the_clock_is_found_once(moments: list[tuple[float, float]]) -> None:
    steps = Steps()
    now, up = 1_795_000_000.0, 500.0
    assert steps.look(now, up) == 0.0
    for passed, step in moments:
        now, up = now + passed + step, up + passed
        assert steps.look(now, up) == pytest.approx(step, abs=1e-3)


@given(st.lists(st.floats(-STEP_S / 2, STEP_S / 2), max_size=50))
def test_a_clock_that_is_slewed_is_not_a_clock_that_was_set(drifts: list[float]) -> None:
    steps = Steps()
    now, up = 1_795_000_000.0, 500.0
    for drift in drifts:
        now, up = now + 5 + drift, up + 5
        assert steps.look(now, up) == 0.0
