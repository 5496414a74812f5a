"""A call laid out in time: the right lanes at the right places, whatever the call."""

from __future__ import annotations

import gzip
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from captured_rows import CAPTURES
from hypothesis import given
from hypothesis import strategies as st
from outcome import NUMBERING
from story import Story, inbound_example, outgoing_example

from vipex_bridge.ami.translate import replay
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build
from vipex_bridge.console.scene import (
    Doing,
    Lane,
    Scene,
    Span,
    of_document,
    of_record,
    settled,
    without_blinks,
)
from vipex_bridge.render.sample import inbound_document, outgoing_document

BUDAPEST = ZoneInfo("Europe/Budapest")
Drawn = list[tuple[str, list[tuple[str, float, float, str]]]]


def drawn(scene: Scene) -> Drawn:
    """Lanes and spans, in seconds from the call's beginning."""
    return [
        (
            f"{lane.role} {lane.name}",
            [
                (s.doing.value, round(s.start - scene.start, 2), round(s.end - scene.start, 2), s.detail)
                for s in lane.spans
            ],
        )
        for lane in scene.lanes
    ]


def recorded(story: Story, upto: int | None = None) -> CallRecord:
    tracker = Tracker(NUMBERING)
    for event in story.events[:upto]:
        tracker.feed(event)
    (record,) = tracker.calls()
    return record


def captured(case: str) -> CallRecord:
    tracker = Tracker(NUMBERING)
    for event in replay(gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())):
        tracker.feed(event)
    return next(iter(tracker.calls()))


def lane(scene: Scene, name: str) -> Lane:
    return next(lane for lane in scene.lanes if lane.name == name)


def test_the_inbound_example_has_its_lanes_at_their_places() -> None:
    scene = of_document(inbound_document(BUDAPEST))
    assert scene.end - scene.start == 16
    assert drawn(scene) == [
        ("caller 3642999425", [("ivr", 0, 0, "1,2"), ("queue", 4, 12, "18"), ("talking", 12, 16, "")]),
        ("extension 200", [("ringing", 0, 4, "")]),
        ("extension 221", [("dialling", 4, 4, "")]),
        ("extension 251", [("ringing", 4, 12, ""), ("talking", 12, 16, "")]),
    ]


def test_the_inbound_example_as_it_was_seen_live() -> None:
    scene = of_record(recorded(inbound_example(1000.0)), 5000.0)
    assert scene.start == 1000.0
    assert drawn(scene) == [
        (
            "caller 3642999425",
            [
                ("ivr", 0, 0, "1,2"),
                ("connected", 0, 4, ""),
                ("queue", 4, 12.03, "18"),
                ("talking", 12.03, 16.03, ""),
            ],
        ),
        ("extension 200", [("ringing", 0, 4, "")]),
        ("extension 221", [("dialling", 4, 4.03, "")]),
        ("extension 251", [("ringing", 4.03, 12.03, ""), ("talking", 12.03, 16.03, "")]),
    ]


def test_the_outgoing_example() -> None:
    seen = of_record(recorded(outgoing_example(1000.0)), 5000.0)
    assert drawn(seen) == [
        ("extension 1102", [("connected", 0, 7, ""), ("talking", 7, 10, "")]),
        ("called 36301234576", [("dialling", 0, 5, ""), ("ringing", 5, 7, ""), ("talking", 7, 10, "")]),
    ]
    told = of_document(outgoing_document(BUDAPEST))
    assert drawn(told) == [
        ("extension 1102", [("dialling", 0, 7, ""), ("talking", 7, 10, "")]),
        ("called 36301234576", [("dialling", 0, 5, ""), ("ringing", 5, 7, ""), ("talking", 7, 10, "")]),
    ]


def test_a_call_that_goes_on_is_drawn_up_to_now() -> None:
    story = inbound_example(1000.0)
    ringing = next(
        number for number, event in enumerate(story.events) if event.at > 1004 and number and event.at < 1005
    )
    scene = of_record(recorded(story, ringing + 4), 1009.0)
    assert scene.end == 1009.0
    assert drawn(scene)[-1][1][-1][2] == 9.0


@pytest.mark.parametrize(
    ("case", "extension", "what", "detail"),
    [
        ("e1_blind_refer", "251", "transfer", "252"),
        ("f1_atxfer_feature", "251", "transfer", "252"),
        ("g1_pickup_code", "251", "pickup", "200"),
        ("k1_park_code", "252", "pickup", "701"),
    ],
)
def test_transfer_and_pickup_are_marked_where_they_were_made(
    case: str, extension: str, what: str, detail: str
) -> None:
    marks = lane(of_record(captured(case), 0.0), extension).marks
    assert [(mark.what, mark.detail) for mark in marks] == [(what, detail)]


@pytest.mark.parametrize(("case", "doing"), [("n1_hold", Doing.HOLD), ("k1_park_code", Doing.PARKED)])
def test_hold_and_parking_are_drawn(case: str, doing: Doing) -> None:
    scene = of_record(captured(case), 0.0)
    assert any(span.doing is doing and span.end > span.start for lane in scene.lanes for span in lane.spans)


def test_who_was_called_in_later_is_not_drawn_as_talking_before() -> None:
    scene = of_record(captured("e1_blind_refer"), 0.0)
    first, second = lane(scene, "251"), lane(scene, "252")
    talks = [[span for span in of.spans if span.doing is Doing.TALKING] for of in (first, second)]
    assert talks[0][-1].end <= talks[1][0].start
    outside = of_record(captured("h6_outbound_blind"), 0.0)
    called = next(of for of in outside.lanes if of.role == "called")
    up = min(
        c.up for c in captured("h6_outbound_blind").channels.values() if c.role.value == "outside" and c.up
    )
    assert min(span.start for span in called.spans if span.doing is Doing.TALKING) >= up


def is_sound(scene: Scene) -> None:
    for of in scene.lanes:
        for span in of.spans:
            assert scene.start <= span.start <= span.end <= scene.end
        for mark in of.marks:
            assert scene.start <= mark.at <= scene.end
        for before, after in zip(of.spans, of.spans[1:], strict=False):
            assert before.end <= after.start
    assert len({(of.role, of.name) for of in scene.lanes}) == len(scene.lanes)


@pytest.mark.parametrize("case", sorted(path.name for path in CAPTURES.iterdir() if path.is_dir()))
def test_every_recorded_call_can_be_drawn(case: str) -> None:
    if not (CAPTURES / case / "ami.log.gz").exists():
        return
    record = captured(case)
    scene = of_record(record, 0.0)
    is_sound(scene)
    extensions = {c.extension for c in record.channels.values() if c.role.value == "extension"}
    assert {of.name for of in scene.lanes if of.role == "extension"} == extensions
    for of in scene.lanes:
        for span in of.spans:
            if span.doing is Doing.TALKING:
                # Nobody talks but while a channel of his is up.
                assert any(
                    channel.up is not None
                    and channel.up <= span.start + 0.001
                    and span.end <= (channel.ended or scene.end)
                    for channel in record.channels.values()
                    if of.role != "extension" or channel.extension == of.name
                ), of
    document = build(record, NUMBERING, lambda *_: None)
    if document is not None:
        is_sound(of_document(document))


MOMENTS = st.integers(-20, 120).map(lambda tenth: tenth / 10)
SPANS = st.lists(
    st.builds(
        lambda doing, start, length: Span(doing, start, start + length),
        st.sampled_from(list(Doing)),
        MOMENTS,
        st.integers(0, 50).map(lambda tenth: tenth / 10),
    ),
    max_size=12,
)


@given(SPANS)
def test_spans_of_a_lane_never_overlap_and_cover_what_was_known(spans: list[Span]) -> None:
    made = settled(spans, 0.0, 10.0)
    for before, after in pairwise(made):
        assert before.end <= after.start
    assert all(0.0 <= span.start <= span.end <= 10.0 for span in made)
    for moment in {edge for span in spans for edge in (span.start + 0.01, span.end - 0.01)}:
        if 0.0 < moment < 10.0:
            known = {span.doing for span in spans if span.start < moment < span.end}
            shown = [span.doing for span in made if span.start < moment < span.end]
            assert len(shown) == bool(known)
            # What is more telling is drawn: who talks is not drawn as waiting in a queue.
            assert not known or shown == [min(known, key=list(Doing).index)]


def spans(*said: tuple[str, float, float]) -> tuple[Span, ...]:
    return tuple(Span(Doing(doing), start, end) for doing, start, end in said)


@pytest.mark.parametrize(
    ("known", "drawn"),
    [
        ([("dialling", 0, 0.02), ("ringing", 0.02, 4)], [("ringing", 0.02, 4)]),
        ([("dialling", 0, 0.3), ("ringing", 0.3, 4)], [("dialling", 0, 0.3), ("ringing", 0.3, 4)]),
        ([("dialling", 0, 0.02)], [("dialling", 0, 0.02)]),
        (
            [("ringing", 0, 1), ("connected", 1, 1.1), ("talking", 1.1, 3), ("connected", 3, 3.1)],
            [("ringing", 0, 1.1), ("talking", 1.1, 3)],
        ),
        ([("hold", 0, 1), ("talking", 1, 1.01), ("connected", 1.01, 1.02)], [("hold", 0, 1)]),
        ([("talking", 0, 0.1), ("hold", 0.1, 4)], [("talking", 0, 0.1), ("hold", 0.1, 4)]),
        ([("calling", 0, 0.01), ("ivr", 0.01, 4)], [("ivr", 0.01, 4)]),
    ],
)
def test_what_nobody_notices_is_not_drawn(
    known: list[tuple[str, float, float]], drawn: list[tuple[str, float, float]]
) -> None:
    assert without_blinks(spans(*known)) == spans(*drawn)


def test_who_calls_and_is_not_answered_is_drawn_calling() -> None:
    scene = of_record(captured("c_inbound_missed"), 0.0)
    [caller] = [of for of in scene.lanes if of.role == "caller"]
    assert [(span.doing, span.start) for span in caller.spans] == [(Doing.CALLING, scene.start)]
