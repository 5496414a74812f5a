"""What a client's workers have in hand: what may still be tried, and what is written down once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vipex_bridge.deliver.attempt import Tried
from vipex_bridge.deliver.hand import HOLDS_S, MOST, QUICK_S, Hand, Made
from vipex_bridge.deliver.retry import Outcome, What
from vipex_bridge.store.outbox import Delivery, NewAttempt

NOW, UP = 1_700_000_000.0, 500.0
DELIVERY = Delivery(
    1, "key", "pbx1", "crm", "notify", 7, "ringing", NOW, None, "sending", 0, 0, NOW, None, None, None, None
)


def held(*deliveries: Delivery) -> Hand:
    hand = Hand()
    hand.add(list(deliveries), UP, UP, 0.0)
    return hand


def made(elapsed_s: float = 0.01, status: int | None = 200) -> Made:
    attempt = NewAttempt(NOW, elapsed_s, status, "delivered", None, None)
    return Made(DELIVERY, Tried(attempt, Outcome(What.DELIVERED, 0)), 0.0)


def test_what_is_claimed_is_tried_in_order() -> None:
    hand = held(DELIVERY, replace(DELIVERY, id=2))
    taken = [hand.take(NOW, UP, 0.0) for _ in range(3)]
    assert [delivery and delivery.id for delivery in taken] == [1, 2, None]
    assert not hand.has_work()


@pytest.mark.parametrize(
    ("now", "at_s", "followed_s"),
    [(NOW + 30.0, UP, 0.0), (NOW, UP + HOLDS_S + 0.1, 0.0), (NOW, UP, 3600.0)],
    ids=["expired", "held for too long", "the clock was set"],
)
def test_what_may_not_be_tried_as_it_was_claimed_is_put_back(
    now: float, at_s: float, followed_s: float
) -> None:
    hand = held(replace(DELIVERY, expires_at=NOW + 30.0))
    assert hand.take(now, at_s, followed_s) is None
    settling = hand.begin_settling()
    assert settling is not None
    assert settling.back == [1]


def test_after_a_pause_nothing_is_tried_that_was_asked_for_before_it() -> None:
    hand = held(DELIVERY)
    hand.drop(UP + 0.5)
    hand.add([replace(DELIVERY, id=2)], UP + 0.4, UP + 0.6, 0.0)
    hand.add([replace(DELIVERY, id=3)], UP + 0.5, UP + 0.6, 0.0)
    taken = hand.take(NOW, UP + 0.6, 0.0)
    assert taken is not None
    assert taken.id == 3
    settling = hand.begin_settling()
    assert settling is not None
    assert settling.back == [1, 2]


def test_one_at_a_time_writes_down_what_all_have_tried_and_what_was_not_written_stays() -> None:
    hand = Hand()
    hand.keep(made())
    settling = hand.begin_settling()
    assert settling is not None
    hand.keep(made(0.02))
    assert hand.begin_settling() is None
    hand.settled(settling)
    again = hand.begin_settling()
    assert again is not None
    assert [one.tried.attempt.elapsed_s for one in again.made] == [0.01, 0.02]


@pytest.mark.parametrize("slow", [made(QUICK_S + 0.01), made(0.01, None)], ids=["slow", "no answer"])
def test_several_are_claimed_at_once_only_while_the_server_answers_at_a_glance(slow: Made) -> None:
    hand = Hand()
    assert hand.room(4, 0) == 1
    hand.keep(made())
    assert hand.room(4, 1) == 10
    assert hand.room(4, 64) == MOST
    hand.keep(slow)
    assert hand.room(4, 0) == 1
    hand.add([DELIVERY], UP, UP, 0.0)
    assert hand.room(4, 0) == 0
