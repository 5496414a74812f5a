"""What follows from a try: delivered, tried again when, given up."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.deliver.retry import JITTER, LONGEST_WAIT_S, Outcome, What, after_attempt, asked_wait

NOW = 1_700_000_000.0
DELAYS = (10.0, 60.0, 300.0)

statuses = st.none() | st.integers(100, 599)
delays = st.lists(st.floats(0, 90_000), max_size=10).map(tuple)
chances = st.floats(0, 1, exclude_max=True)


def after(
    status: int | None,
    retry_after: str = "",
    *,
    retry_index: int = 0,
    expires_at: float | None = None,
    chance: float = 0.0,
) -> Outcome:
    return after_attempt(
        status,
        retry_after,
        retry_s=DELAYS,
        retry_index=retry_index,
        expires_at=expires_at,
        now=NOW,
        chance=chance,
    )


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert after(status).what is What.DELIVERED


@pytest.mark.parametrize("status", [None, 199, 301, 302, 400, 404, 409, 422, 500, 503])
def test_anything_else_is_tried_again_after_the_first_delay(status: int | None) -> None:
    assert after(status) == Outcome(What.RETRY, 1, NOW + 10)


def test_the_delays_are_taken_in_turn_then_the_delivery_is_parked() -> None:
    outcomes = [after(500, retry_index=index) for index in range(4)]
    assert [outcome.next_attempt_at for outcome in outcomes] == [NOW + 10, NOW + 60, NOW + 300, None]
    assert outcomes[-1].what is What.FAILED


def test_without_any_delay_one_try_is_all() -> None:
    outcome = after_attempt(500, "", retry_s=(), retry_index=0, expires_at=None, now=NOW, chance=0.5)
    assert outcome.what is What.FAILED


def test_410_gone_parks_at_once() -> None:
    assert after(410).what is What.FAILED


@pytest.mark.parametrize(("status", "wait_s"), [(429, 120), (503, 120), (500, 10), (404, 10)])
def test_a_longer_retry_after_is_obeyed_on_429_and_503_only(status: int, wait_s: float) -> None:
    assert after(status, "120").next_attempt_at == NOW + wait_s


def test_a_shorter_retry_after_does_not_shorten_the_delay() -> None:
    assert after(503, "1").next_attempt_at == NOW + 10


def test_retry_after_as_a_date_is_obeyed() -> None:
    date = format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)
    assert after(429, date).next_attempt_at == NOW + 90


def test_retry_after_gives_no_try_beyond_the_list() -> None:
    assert after(503, "120", retry_index=3).what is What.FAILED


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1.5", "٣", "Mon, 99 Nov 2026 99:99:99 GMT", "Tue, 14 Nov 2023 22:13:19 GMT"]
)
def test_a_retry_after_that_says_nothing_or_is_past_asks_for_no_wait(text: str) -> None:
    assert asked_wait(text, NOW) == 0


@pytest.mark.parametrize("text", ["9" * 5000, "99999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurd_retry_after_is_cut(text: str) -> None:
    assert asked_wait(text, NOW) == LONGEST_WAIT_S


def test_a_retry_that_would_come_too_late_expires_at_once() -> None:
    assert after(500, expires_at=NOW + 10).what is What.EXPIRED
    assert after(500, expires_at=NOW + 10.5).what is What.RETRY
    assert after(200, expires_at=NOW - 1).what is What.DELIVERED


@given(statuses, st.text(max_size=30), delays, st.integers(0, 12), chances)
def test_a_delivery_is_tried_again_exactly_as_often_as_there_are_delays(
    status: int | None, retry_after: str, retry_s: tuple[float, ...], index: int, chance: float
) -> None:
    outcome = after_attempt(
        status, retry_after, retry_s=retry_s, retry_index=index, expires_at=None, now=NOW, chance=chance
    )
    again = not (status is not None and 200 <= status <= 299) and status != 410 and index < len(retry_s)
    assert (outcome.what is What.RETRY) == again
    assert (outcome.next_attempt_at is not None) == again
    assert outcome.retry_index == index + again


@given(statuses, st.text(max_size=30), chances, st.integers(0, 2))
def test_a_retry_is_never_early_and_at_most_a_tenth_late_unless_asked_for(
    status: int | None, retry_after: str, chance: float, index: int
) -> None:
    outcome = after(status, retry_after, retry_index=index, chance=chance)
    if outcome.next_attempt_at is not None:
        wait_s = outcome.next_attempt_at - NOW
        latest_s = max(DELAYS[index] * (1 + JITTER), asked_wait(retry_after, NOW))
        assert DELAYS[index] - 1e-3 <= wait_s <= latest_s + 1e-3


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ \S*"))
def test_no_retry_after_breaks_anything(text: str) -> None:
    assert 0 <= asked_wait(text, NOW) <= LONGEST_WAIT_S
