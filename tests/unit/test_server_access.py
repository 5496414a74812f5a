"""Who may come in: tokens, sessions, links, and guessing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.server import access

TOKENS = ["first-token-of-two", "second-token-of-two"]


def test_each_token_is_known_and_nothing_else() -> None:
    assert [access.knows(token, TOKENS) for token in TOKENS] == TOKENS
    assert access.knows("", TOKENS) is None
    assert access.knows("", []) is None


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    assert access.knows(text, TOKENS) == (text if text in TOKENS else None)


def test_who_guesses_waits_and_is_forgiven() -> None:
    throttle = access.Throttle()
    for _ in range(access.WRONG_TRIES):
        assert throttle.wait_s("10.0.0.1", 100.0) == 0
        throttle.was_wrong("10.0.0.1", 100.0)
    wait_s = throttle.wait_s("10.0.0.1", 100.0)
    assert wait_s > 0
    assert throttle.wait_s("10.0.0.2", 100.0) == 0, "others are not"
    assert throttle.wait_s("10.0.0.1", 100.0 + wait_s + 0.01) == 0


@given(st.lists(st.floats(0, 30), max_size=300))
def test_nobody_guesses_oftener_than_allowed(pauses_s: list[float]) -> None:
    throttle, now_s, wrong = access.Throttle(), 0.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        if throttle.wait_s("10.0.0.1", now_s) == 0:
            throttle.was_wrong("10.0.0.1", now_s)
            wrong += 1
        assert wrong <= access.WRONG_TRIES + now_s / access.FORGIVEN_AFTER_S + 1


def test_a_crowd_of_addresses_takes_bounded_memory() -> None:
    throttle = access.Throttle()
    for number in range(access.MOST_PEERS + 500):
        throttle.was_wrong(f"address {number}", 1.0)
    assert len(throttle._wrong) == access.MOST_PEERS


def test_a_session_holds_for_its_time_and_as_long_as_its_token() -> None:
    sessions = access.Sessions()
    session = sessions.begin(TOKENS[0], 1000.0)
    assert sessions.of(session.key, TOKENS, 1000.0 + access.SESSION_S - 1) is session
    assert sessions.of(session.key, TOKENS, 1000.0 + access.SESSION_S) is None
    again = sessions.begin(TOKENS[0], 2000.0)
    assert sessions.of(again.key, TOKENS[1:], 2001.0) is None, "its token was taken out"
    third = sessions.begin(TOKENS[1], 3000.0)
    sessions.end(third.key)
    assert sessions.of(third.key, TOKENS, 3001.0) is None
    assert len({session.key, again.key, third.key, session.csrf, again.csrf, third.csrf}) == 6


def test_a_link_holds_for_its_recording_until_its_time() -> None:
    signature = access.sign_link("vipexab12", 5000, TOKENS[1])
    assert access.link_holds("vipexab12", "5000", signature, TOKENS, 4999.0)
    assert not access.link_holds("vipexab12", "5000", signature, TOKENS, 5000.0)
    assert not access.link_holds("vipexab13", "5000", signature, TOKENS, 4999.0)
    assert not access.link_holds("vipexab12", "5001", signature, TOKENS, 4999.0)
    assert not access.link_holds("vipexab12", "5000", signature, TOKENS[:1], 4999.0)


@given(st.text(), st.text(), st.text())
def test_no_made_up_link_holds(reference: str, expires: str, signature: str) -> None:
    assert not access.link_holds(reference, expires, signature, TOKENS, 1.0)
