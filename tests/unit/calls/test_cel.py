"""Real calls told from CEL and CDR rows, against the same calls as AMI told them."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import pytest
from captured_cel import WITH_CEL, cel_rows_of
from captured_rows import CAPTURES, rows_of
from hypothesis import example, given
from hypothesis import strategies as st
from outcome import NUMBERING

from vipex_bridge.ami.translate import replay
from vipex_bridge.calls import cel, testimony
from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.events import CallEvent, ConnectionLost
from vipex_bridge.calls.numbering import Role
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.rows import CelRow
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

EXACT_S = 0.05
"""How far apart AMI's and CEL's word of the same moment may be."""

RINGS_LATER = {
    "h1_outbound", "h2_outbound_pin_answered", "i2_outbound_noanswer", "with_cel/blind_comes_back",
    "with_cel/dialplan_mobile", "with_cel/forward_302_mobile",
}  # fmt: skip
"""Telephones that began to ring some time after they were dialled: only AMI knows how long after."""

UNKNOWN = {
    "with_cel/call_back": {"main.dst", "other_party_number"},
    "with_cel/outbound_blind": {"legs.1.recording", "all_legs.1.recording"},
    "with_cel/click_to_call_local": {"main.recording"},
}
"""What neither CEL nor CDR holds: the number an `Originate` dialled, a recording its column does not name."""

INTERNAL = "j_internal"


@cache
def ami_events(case: str) -> tuple[CallEvent, ...]:
    return tuple(replay(gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())))


def seen(case: str, events: Iterable[CallEvent]) -> CallRecord | None:
    """The case's call as a tracker has it after these events."""
    tracker = Tracker(NUMBERING)
    for event in events:
        tracker.feed(event)
    records = [record for key in testimony.keys(rows_of(case)) if (record := tracker.call(key)) is not None]
    return records[0] if records else None


def logged(case: str, rows: list[CelRow] | None = None) -> CallRecord:
    record = cel.record_of(cel_rows_of(case) if rows is None else rows, rows_of(case), NUMBERING)
    assert record is not None
    return record


def told(case: str, record: CallRecord | None) -> CallDocument | None:
    assert record is not None
    testimony.add_rows(record, rows_of(case), NUMBERING)
    return build(record, NUMBERING, lambda *_: None)


def fields(document: CallDocument | None) -> dict[str, Any]:
    """Every field by its path; a recording by its file's own name."""
    found: dict[str, Any] = {}

    def walk(path: str, value: Any) -> None:
        if path.endswith(".recording"):
            found[path] = value["path"].rpartition("/")[2] if value is not None else None
        elif isinstance(value, dict):
            for name, inner in value.items():
                walk(f"{path}.{name}".lstrip("."), inner)
        elif isinstance(value, list | tuple):
            found[f"{path} count"] = len(value)
            for number, inner in enumerate(value):
                walk(f"{path}.{number}", inner)
        else:
            found[path] = value

    assert document is not None
    walk("", asdict(document))
    return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """The paths of the fields that differ, moments by more than `EXACT_S`."""
    return {
        path
        for path in one.keys() | other.keys()
        if not _same(one.get(path, "(none)"), other.get(path, "(none)"))
    }


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= EXACT_S
    return bool(one == other)


def ringtimes(paths: Iterable[str]) -> set[str]:
    return {path for path in paths if path.endswith(".ringtime")}


@pytest.mark.parametrize("case", [case for case in WITH_CEL if case != INTERNAL])
def test_cel_and_cdr_give_the_tree_that_ami_gives(case: str) -> None:
    by_ami, by_cel = fields(told(case, seen(case, ami_events(case)))), fields(told(case, logged(case)))
    different = differences(by_ami, by_cel)
    if case in RINGS_LATER:
        later = ringtimes(different)
        assert later, "this case shows what CEL does not know"
        assert all(by_cel[path] > by_ami[path] for path in later)
        different -= later
    assert different == UNKNOWN.get(case, set())


def test_an_internal_call_stays_untold() -> None:
    assert told(INTERNAL, logged(INTERNAL)) is None


@given(st.sampled_from(WITH_CEL), st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(case: str, seed: int) -> None:
    rows = cel_rows_of(case)
    random.Random(seed).shuffle(rows)
    assert logged(case, [*rows, *rows[:5]]) == logged(case)


@given(st.sampled_from(sorted(set(WITH_CEL) - {INTERNAL})), st.floats(0, 1))
@example("with_cel/inbound_example", 0.1)  # after the first of two keys
def test_a_bridge_killed_in_mid_call_tells_the_whole_call(case: str, share: float) -> None:
    events = ami_events(case)
    until = int(share * len(events))
    record = seen(case, [*events[:until], ConnectionLost(0.0)])
    whole = fields(told(case, seen(case, events)))
    both = logged(case) if record is None else testimony.merged(record, logged(case), rows_of(case))
    different = differences(whole, fields(told(case, both)))
    if case in RINGS_LATER:
        different -= ringtimes(different)
    assert different <= UNKNOWN.get(case, set())


@given(st.sampled_from(sorted(set(WITH_CEL) - {INTERNAL})), st.floats(0, 1))
@example("with_cel/inbound_example", 0.2)  # between the keys and the first telephone
def test_a_bridge_started_in_mid_call_tells_the_whole_call(case: str, share: float) -> None:
    events = ami_events(case)
    record = seen(case, events[int(share * len(events)) :])
    whole = fields(told(case, seen(case, events)))
    both = logged(case) if record is None else testimony.merged(record, logged(case), rows_of(case))
    different = differences(whole, fields(told(case, both)))
    assert different - ringtimes(different) <= UNKNOWN.get(case, set())


@given(st.sampled_from(sorted(RINGS_LATER)), st.floats(0, 1))
def test_ringing_that_ami_saw_stays_exact(case: str, share: float) -> None:
    events = ami_events(case)
    record = seen(case, [*events[: int(share * len(events))], ConnectionLost(0.0)])
    if record is None:
        return
    both = testimony.merged(record, logged(case), rows_of(case))
    for dial in record.dials:
        if dial.ringing is not None:
            assert [d.ringing for d in both.dials if d.dest == dial.dest] == [dial.ringing]


@given(st.sampled_from(WITH_CEL), st.floats(0, 1))
def test_a_call_is_not_over_while_somebody_is_in_it(case: str, share: float) -> None:
    rows = cel_rows_of(case)
    assert cel.is_over(rows)
    outside = [c.uniqueid for c in logged(case).channels.values() if c.role is not Role.LOCAL]
    ends = [number for number, row in enumerate(rows) if row.event == "HANGUP" and row.uniqueid in outside]
    assert not cel.is_over(rows[: int(share * max(ends))])


def test_rows_without_an_end_of_their_linkedid_are_over_when_every_channel_is() -> None:
    """As with Asterisk's own sample of cel.conf, which leaves LINKEDID_END out."""
    rows = [row for row in cel_rows_of("g1_pickup_code") if row.event != "LINKEDID_END"]
    assert cel.is_over(rows)
    assert not cel.is_over([row for row in rows if row.event not in ("HANGUP", "CHAN_END")])
    assert not cel.is_over([])


def test_a_hangup_logged_after_the_next_attempt_began_does_not_make_the_two_parallel() -> None:
    """Asterisk's threads write side by side: seen between the tries of a queue."""
    case = "a_inbound_ivr_queue"
    rows = cel_rows_of(case)
    next_try = next(row.at for row in rows if (row.event, row.channel[:9]) == ("CHAN_START", "PJSIP/251"))
    late = [
        replace(row, at=next_try + 0.02)
        if row.channel.startswith("PJSIP/221") and row.event in ("HANGUP", "CHAN_END")
        else row
        for row in rows
    ]
    document = told(case, logged(case, late))
    assert document is not None
    assert [leg.exten for leg in document.legs] == ["200", "221", "251"]


def test_rows_that_name_others_lead_to_them() -> None:
    pickup = next(row for row in cel_rows_of("g1_pickup_code") if row.event == "PICKUP")
    assert cel.keys([pickup]) == ["1795409377.33", "1795409377.34", "1795409382.35"]


@pytest.mark.parametrize("missing", ["CHAN_START", "BRIDGE_ENTER"])
def test_rows_that_lack_what_a_tree_needs_are_left_to_the_cdr(missing: str) -> None:
    rows = [row for row in cel_rows_of("b_inbound_simple") if row.event != missing]
    assert cel.record_of(rows, rows_of("b_inbound_simple"), NUMBERING) is None


def test_a_call_whose_end_was_not_logged_is_partial() -> None:
    rows = [row for row in cel_rows_of("b_inbound_simple") if row.event not in ("HANGUP", "CHAN_END")]
    assert logged("b_inbound_simple", rows).partial
    assert not logged("b_inbound_simple").partial


@given(st.sampled_from(WITH_CEL), st.integers(0, 60), st.text() | st.just('{"bridge_id": []}') | st.just("{"))
def test_what_an_event_brings_may_be_anything(case: str, number: int, text: str) -> None:
    rows = cel_rows_of(case)
    spoiled = replace(rows[number % len(rows)], extra=text)
    rows[number % len(rows)] = spoiled
    logged(case, rows)
    assert spoiled.uniqueid in cel.keys(rows)
