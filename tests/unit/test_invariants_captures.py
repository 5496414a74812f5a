"""What is true of every call, over all recorded ones."""

from __future__ import annotations

import pytest
from captured_rows import rows_of
from hypothesis import given
from hypothesis import strategies as st
from invariants import (
    CASES,
    at_random,
    check_all,
    check_document,
    check_each_as_alone,
    check_nothing_else,
    document_of,
    documents_of,
    events_of,
    missed_meanwhile,
    notices_of,
    thorough,
    told,
)
from outcome import NUMBERING
from story import retold

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.testimony import add_rows, from_rows, groups
from vipex_bridge.calls.tracker import Tracker

WITH_ROWS = [case for case in CASES if rows_of(case)]


@pytest.mark.parametrize("case", CASES)
def test_rings_end_once_hangups_come_last_parts_lie_inside_the_call(case: str) -> None:
    tracker = Tracker(NUMBERING)
    check_all(tracker, notices_of(tracker, events_of(case)))


@pytest.mark.parametrize("case", CASES)
def test_a_bridge_that_missed_the_beginning_tells_nothing_wrong(case: str) -> None:
    events = events_of(case)
    right = told(notices_of(Tracker(NUMBERING), events))
    for first in range(len(events)):
        tracker = Tracker(NUMBERING)
        notices = notices_of(tracker, events[first:])
        for key in {notice.call.key for notice in notices}:
            check_nothing_else(told(n for n in notices if n.call.key == key), right)
        for document in documents_of(tracker).values():
            if document is not None:
                check_document(document)


@pytest.mark.parametrize("case", CASES)
def test_events_that_come_twice_tell_nothing_twice(case: str) -> None:
    events = events_of(case)
    once, twice = Tracker(NUMBERING), Tracker(NUMBERING)
    right = notices_of(once, events)
    assert notices_of(twice, [event for event in events for _ in range(2)]) == right
    assert documents_of(twice) == documents_of(once)


@pytest.mark.parametrize("case", CASES)
def test_a_restart_between_two_events_changes_nothing(case: str) -> None:
    events = events_of(case)
    whole = Tracker(NUMBERING)
    right = told(notices_of(whole, events))
    for cut in range(1, len(events)):
        notices, tracker = missed_meanwhile(events, cut, cut, stopped=True)
        assert told(notices) == right, cut
        assert documents_of(tracker) == documents_of(whole), cut


@thorough
@given(st.data())
def test_calls_at_once_are_told_as_each_alone(data: st.DataObject) -> None:
    cases = data.draw(st.lists(st.sampled_from(CASES), min_size=2, max_size=3))
    calls = [retold(_of_channels(events_of(case)), number) for number, case in enumerate(cases)]
    check_each_as_alone(at_random(data.draw, calls))


def _of_channels(events: list[ev.CallEvent]) -> list[ev.CallEvent]:
    """Without what concerns the whole Asterisk, and so every call."""
    whole = ev.LiveChannels | ev.ServerStarted | ev.ServerStopped | ev.ConnectionLost
    return [event for event in events if not isinstance(event, whole)]


def _trees(rows: list[CdrRow]) -> list[CallDocument | None]:
    return [document_of(from_rows(group, NUMBERING)) for group in groups(rows)]


@thorough
@given(st.sampled_from(WITH_ROWS), st.data())
def test_what_was_missed_and_is_in_the_rows_lies_inside_the_call(case: str, data: st.DataObject) -> None:
    events = events_of(case)
    cut = data.draw(st.integers(0, len(events) - 1))
    back = data.draw(st.integers(cut, len(events) - 1))
    _, tracker = missed_meanwhile(events, cut, back, stopped=True)
    for record in tracker.calls():
        add_rows(record, [row for row in rows_of(case) if row.linkedid in record.linkedids], NUMBERING)
        document = document_of(record)
        if document is not None:
            check_document(document)


@thorough
@given(st.data())
def test_rows_in_any_order_give_the_same_trees(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(WITH_ROWS))
    rows = rows_of(case)
    mixed = data.draw(st.permutations(rows))
    assert _trees(mixed) == _trees(rows)
    seen, likewise = Tracker(NUMBERING), Tracker(NUMBERING)
    for tracker, order in ((seen, rows), (likewise, mixed)):
        notices_of(tracker, events_of(case))
        for record in tracker.calls():
            record.partial = True
            add_rows(record, [row for row in order if row.linkedid in record.linkedids], NUMBERING)
    assert documents_of(likewise) == documents_of(seen)
