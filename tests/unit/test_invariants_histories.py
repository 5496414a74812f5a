"""What is true of every call, over generated ones whose truth is known."""

from __future__ import annotations

import json

from histories import History, histories
from hypothesis import given
from hypothesis import strategies as st
from invariants import (
    at_random,
    check_all,
    check_document,
    check_each_as_alone,
    check_nothing_else,
    documents_of,
    missed_meanwhile,
    notices_of,
    thorough,
    told,
)
from outcome import NUMBERING
from story import CALLER, retold
from telling import NUMBER

from vipex_bridge.calls.document import Direction, Kind
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Tracker


@thorough
@given(histories())
def test_what_is_told_is_what_happened(history: History) -> None:
    tracker = Tracker(NUMBERING)
    notices = notices_of(tracker, history.events)
    assert told(notices) == history.told
    check_all(tracker, notices)


@thorough
@given(histories())
def test_the_document_is_what_happened(history: History) -> None:
    tracker = Tracker(NUMBERING)
    notices_of(tracker, history.events)
    documents = [document for document in documents_of(tracker).values() if document is not None]
    assert len(documents) == history.others + (history.kind is not Kind.INTERNAL)
    if history.kind is Kind.INTERNAL:
        return
    document = min(documents, key=lambda document: document.main.start_time)
    assert document.kind is history.kind
    answer = min((leg.answered for leg in history.legs if leg.answered is not None), default=None)
    assert document.main.answer_time == answer
    assert document.main.exten == (history.legs[0].exten if history.legs else None)
    assert document.last_exten == (history.legs[-1].exten if history.legs else None)
    legs = [(leg.exten, leg.answer_time) for leg in document.legs]
    right = [(leg.exten, leg.answered) for leg in history.legs]
    assert legs == (right if len(right) > 1 else [])
    for leg, true in zip(document.legs or [document.main], history.legs, strict=bool(history.legs)):
        # A second is lost where the leg's whole seconds have no room for it.
        assert round(true.ring_s) - 1 <= leg.ringtime <= round(true.ring_s)
    if history.kind is Kind.INBOUND:
        assert document.main.src == CALLER
        assert document.main.direction == (Direction.INBOUND if answer is not None else Direction.MISSED)
    for leg in document.legs:
        outside = history.kind is Kind.OUTBOUND or leg.dst == NUMBER
        result = Direction.INBOUND if leg.answer_time is not None else Direction.MISSED
        assert leg.direction is (Direction.OUTBOUND if outside else result)


@thorough
@given(histories(), st.data())
def test_a_bridge_that_missed_the_beginning_tells_nothing_wrong(
    history: History, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(history.events) - 1))
    tracker = Tracker(NUMBERING)
    check_nothing_else(told(notices_of(tracker, history.events[first:])), history.told)
    for document in documents_of(tracker).values():
        if document is not None:
            check_document(document)


@thorough
@given(histories())
def test_events_that_come_twice_tell_nothing_twice(history: History) -> None:
    once, twice = Tracker(NUMBERING), Tracker(NUMBERING)
    right = notices_of(once, history.events)
    assert notices_of(twice, [event for event in history.events for _ in range(2)]) == right
    assert documents_of(twice) == documents_of(once)


@thorough
@given(histories(), st.data())
def test_a_restart_between_two_events_changes_nothing(history: History, data: st.DataObject) -> None:
    whole = Tracker(NUMBERING)
    right = told(notices_of(whole, history.events))
    cut = data.draw(st.integers(1, len(history.events) - 1))
    notices, tracker = missed_meanwhile(history.events, cut, cut, stopped=True)
    assert told(notices) == right
    assert documents_of(tracker) == documents_of(whole)


@thorough
@given(histories(), st.data(), st.booleans())
def test_a_connection_lost_for_a_while_tells_nothing_wrong(
    history: History, data: st.DataObject, stopped: bool
) -> None:
    """The bridge itself is stopped for that while, or only its connection."""
    events = history.events
    cut = data.draw(st.integers(0, len(events) - 1))
    back = data.draw(st.integers(cut, len(events) - 1))
    notices, tracker = missed_meanwhile(events, cut, back, stopped=stopped)
    check_nothing_else(told(notices), history.told)
    for document in documents_of(tracker).values():
        if document is not None:
            check_document(document)


@thorough
@given(histories())
def test_a_journalled_call_is_the_same_call(history: History) -> None:
    tracker = Tracker(NUMBERING)
    for event in history.events:
        tracker.feed(event)
        for record in tracker.calls():
            assert CallRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


@thorough
@given(st.lists(histories(), min_size=2, max_size=3), st.data())
def test_calls_at_once_are_told_as_each_alone(calls: list[History], data: st.DataObject) -> None:
    check_each_as_alone(at_random(data.draw, [retold(c.events, number) for number, c in enumerate(calls)]))
