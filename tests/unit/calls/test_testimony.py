"""Calls rebuilt from CDR rows alone, as when the bridge was away; rows of real calls."""

from __future__ import annotations

import random

import pytest
from captured_rows import rows_of
from hypothesis import given
from hypothesis import strategies as st
from outcome import NUMBERING
from stored import row
from story import TRUNK, inbound_example

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.events import ChannelSnapshot, LiveChannels, VariableSet
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.testimony import add_rows, from_rows, groups
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

SIMPLE = {
    "b_inbound_simple": (1, "251"),
    "c_inbound_missed": (2, "251"),
    "d_ring_group": (1, "251"),
    "h1_outbound": (0, "1102"),
    "h2_outbound_pin_answered": (0, "1102"),
    "i1_outbound_busy": (0, "1102"),
    "i2_outbound_noanswer": (0, "1102"),
    "i3_outbound_unallocated": (0, "1102"),
}


def document_of(case: str, seed: int = 0) -> CallDocument | None:
    rows = rows_of(case)
    random.Random(seed).shuffle(rows)
    found = groups(rows)
    assert len(found) == 1
    return build(from_rows(found[0], NUMBERING), NUMBERING, lambda *_: None)


@pytest.mark.parametrize("case", SIMPLE)
def test_direction_and_extension_come_out_of_rows_alone(case: str) -> None:
    document = document_of(case)
    assert document is not None
    assert (document.main.direction, document.main.exten) == SIMPLE[case]
    assert document.legs == ()
    assert document.main.billsec <= document.main.duration


@pytest.mark.parametrize("case", ["h2_outbound_pin_answered", "h5_second_trunk"])
def test_an_answered_outgoing_call_was_answered_by_its_rows_alone(case: str) -> None:
    [row, *others] = [row for row in rows_of(case) if row.disposition == "ANSWERED"]
    assert not others
    document = document_of(case)
    assert document is not None
    assert (document.main.answer_time, document.main.billsec) == (row.answer, row.billsec)


def test_ivr_and_queue_call_has_its_three_legs_from_rows_alone() -> None:
    document = document_of("a_inbound_ivr_queue")
    assert document is not None
    assert [(leg.exten, leg.direction, leg.queue) for leg in document.legs] == [
        ("200", 2, None),
        ("221", 2, "18"),
        ("251", 1, "18"),
    ]
    assert [leg.ivr_digits for leg in document.legs] == ["1,2", None, None]
    assert sum(leg.duration for leg in document.legs) == document.main.duration
    assert document.legs[2].recording is not None


def test_internal_call_stays_untold() -> None:
    assert document_of("j_internal") is None


def test_pin_and_cost_location_come_from_their_columns() -> None:
    document = document_of("h2_outbound_pin_answered")
    assert document is not None
    assert (document.main.pincode, document.cost_location) == ("private", "12")
    assert document.main.dst == "36301234576"


@given(st.sampled_from([*SIMPLE, "a_inbound_ivr_queue"]), st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(case: str, seed: int) -> None:
    assert document_of(case, seed) == document_of(case)


def test_rows_of_several_calls_are_told_apart() -> None:
    cases = [*SIMPLE, "a_inbound_ivr_queue"]
    rows = [row for case in cases for row in rows_of(case)]
    assert len(groups(rows)) == len(cases)


def test_an_answer_that_was_missed_is_taken_from_the_row() -> None:
    """The bridge was killed while 251 rang: what it had seen stays, the row says how it went on."""
    story = inbound_example(1_700_000_000.0)
    rung = next(n for n, event in enumerate(story.events) if isinstance(event, VariableSet) and n > 5)
    tracker = Tracker(NUMBERING)
    for event in story.events[:rung]:
        tracker.feed(event)
    record = tracker.call("100.1")
    assert record is not None
    record.partial = True
    row = CdrRow(
        uniqueid="100.1", linkedid="100.1", channel=TRUNK, dstchannel="PJSIP/251-00000004",
        start=1_700_000_004.0, answer=1_700_000_012.0, end=1_700_000_016.0, duration=12, billsec=4,
        disposition="ANSWERED", lastapp="Queue", lastdata="18",
    )  # fmt: skip
    add_rows(record, [row], NUMBERING)
    document = build(record, NUMBERING, lambda *_: None)
    assert document is not None
    assert (document.main.direction, document.main.billsec, document.legs[-1].exten) == (1, 4, "251")
    assert document.main.ringtime == 12


def test_a_line_that_was_only_found_talking_has_its_number_from_the_row() -> None:
    line = ChannelSnapshot("u.1", "u.1", TRUNK, "36301", "", "from-trunk", "s", "", 6)
    tracker = Tracker(NUMBERING)
    list(tracker.feed(LiveChannels(1_700_000_050.0, (line,))))
    [record] = tracker.calls()
    add_rows(record, [row("u.1", src="36301", dst="3699")], NUMBERING)
    root = record.root()
    assert root is not None and root.dialled == "3699"
