"""The breaker: a server that is down is asked by one call at a time, and not at every call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config.settings import Breaker
from vipex_bridge.lookup.breaker import CircuitBreaker


def opened(failures: int = 3, pause_s: float = 30.0) -> CircuitBreaker:
    """A breaker that has just opened, at 0 s."""
    breaker = CircuitBreaker(Breaker(failures, pause_s))
    for _ in range(failures):
        assert breaker.admits(0.0)
        breaker.failed(0.0)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row_for_the_pause() -> None:
    breaker = opened(failures=3, pause_s=30.0)
    assert not breaker.admits(0.0)
    assert not breaker.admits(29.9)
    assert breaker.admits(30.0)


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = CircuitBreaker(Breaker(2, 30.0))
    for _ in range(5):
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.admits(0.0)


def test_after_the_pause_one_probe_at_a_time_is_let_through() -> None:
    breaker = opened()
    assert breaker.admits(30.0)
    assert not breaker.admits(31.0)


def test_a_probe_that_fails_opens_it_for_another_pause() -> None:
    breaker = opened()
    assert breaker.admits(30.0)
    breaker.failed(32.0)
    assert not breaker.admits(61.9)
    assert breaker.admits(62.0)


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened()
    assert breaker.admits(30.0)
    breaker.succeeded()
    assert breaker.admits(30.0)
    assert breaker.admits(30.0)


def test_a_probe_whose_caller_hung_up_lets_the_next_one_probe() -> None:
    breaker = opened()
    assert breaker.admits(30.0)
    breaker.abandoned()
    assert breaker.admits(30.1)
    assert not breaker.admits(30.2)


def test_failures_of_requests_sent_before_it_opened_do_not_lengthen_the_pause() -> None:
    breaker = opened()
    breaker.failed(20.0)
    assert breaker.admits(30.0)


@given(steps=st.lists(st.sampled_from(["succeeded", "failed", "abandoned"]), max_size=40))
def test_it_always_lets_a_request_through_some_pause_later(steps: list[str]) -> None:
    breaker = CircuitBreaker(Breaker(3, 10.0))
    now = 0.0
    for step in steps:
        now += 4.0
        if breaker.admits(now):
            if step == "failed":
                breaker.failed(now)
            else:
                getattr(breaker, step)()
    assert breaker.admits(now + 10.0)
