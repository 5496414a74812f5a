"""How often a silent server is tried: freely, then once a second, and freely again after one answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.deliver.pace import FREE_TRIES, TRIES_PER_S, Pace


def tried_until(pace: Pace, start_s: float, end_s: float) -> int:
    """How many tries begin when somebody is always ready to make the next one."""
    tries, now_s = 0, start_s
    while now_s < end_s:
        wait_s = pace.wait_s(now_s)
        if wait_s == 0:
            pace.begins(now_s)
            tries += 1
        # A thousandth more than asked for, as a sleep does it.
        now_s += wait_s + 0.001 if wait_s else 0.0
    return tries


def test_a_short_silence_goes_by_the_retry_list_alone() -> None:
    pace = Pace()
    for _ in range(FREE_TRIES):
        assert pace.wait_s(1000.0) == 0
        pace.begins(1000.0)
    assert pace.wait_s(1000.0) > 0


def test_a_silent_server_is_tried_once_a_second() -> None:
    tries = tried_until(Pace(), 5000.0, 5600.0)
    assert FREE_TRIES + 590 * TRIES_PER_S <= tries <= FREE_TRIES + 600 * TRIES_PER_S


def test_after_one_answer_nothing_waits() -> None:
    pace = Pace()
    for _ in range(FREE_TRIES):
        pace.begins(100.0)
    assert pace.wait_s(100.5) > 0
    assert pace.was_answered()
    assert pace.wait_s(100.5) == 0
    assert not pace.was_answered()


@given(st.lists(st.tuples(st.floats(0, 50), st.booleans()), max_size=200))
def test_nobody_who_answers_each_time_ever_waits(tries: list[tuple[float, bool]]) -> None:
    pace, now_s = Pace(), 0.0
    for after_s, _ in tries:
        now_s += after_s
        assert pace.wait_s(now_s) == 0
        pace.begins(now_s)
        pace.was_answered()


@given(st.lists(st.floats(0, 20), min_size=1, max_size=200), st.integers(1, 50))
def test_no_stretch_of_time_has_more_tries_than_the_pace_allows(waits_s: list[float], workers: int) -> None:
    """Also when several workers looked before the first of them began."""
    pace, now_s, begun = Pace(), 0.0, 0
    for wait_s in waits_s:
        now_s += wait_s
        if pace.wait_s(now_s) == 0:
            for _ in range(workers):
                pace.begins(now_s)
                begun += 1
        assert begun <= FREE_TRIES + now_s * TRIES_PER_S + workers
