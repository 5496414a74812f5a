"""The cases of the specification's table that need no transfer, event by event."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from outcome import NUMBERING, told
from story import CALLER, DID, TRUNK, Story, inbound_example, outgoing_example, retold

from vipex_bridge.calls.document import Direction, Notice
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Ended, Tracker
from vipex_bridge.calls.tree import build

A, B = "PJSIP/200-00000002", "PJSIP/251-00000003"


def inbound() -> Story:
    return Story(1000.0).arrives(TRUNK, CALLER, DID)


def heard(notices: list[Notice]) -> list[tuple[str, str | None]]:
    return [(notice.event, notice.exten) for notice in notices]


def test_missed_call_of_one_extension_has_no_parts() -> None:
    story = inbound().channel(A).dials(TRUNK, A).rings(TRUNK, A).wait(5).ends(TRUNK, A, "CANCEL")
    notices, document = told(story.hangs_up(A, TRUNK))
    assert heard(notices) == [("arrival", None), ("ringing", "200"), ("hangup", None)]
    assert document is not None
    assert (document.main.direction, document.main.exten, document.legs) == (Direction.MISSED, "200", ())
    assert (document.main.ringtime, document.main.duration, document.main.billsec) == (5, 5, 0)


def test_caller_who_leaves_in_the_ivr_never_rang_anybody() -> None:
    story = inbound().up(TRUNK).says(TRUNK, "VIPEX_IVR_DIGITS", "1").wait(6).hangs_up(TRUNK)
    notices, document = told(story)
    assert heard(notices) == [("arrival", None), ("hangup", None)]
    assert document is not None
    assert (document.main.direction, document.main.exten, document.last_exten) == (2, None, None)
    assert (document.main.ringtime, document.main.ivr_digits, document.legs) == (0, "1", ())


def test_voicemail_that_answers_is_no_answer() -> None:
    story = inbound().channel(A).dials(TRUNK, A).rings(TRUNK, A).wait(3).ends(TRUNK, A, "NOANSWER")
    notices, document = told(story.hangs_up(A).up(TRUNK).wait(10).hangs_up(TRUNK))
    assert ("answer", "200") not in heard(notices)
    assert document is not None
    assert (document.main.direction, document.main.answer_time, document.legs) == (2, None, ())
    assert (document.main.ringtime, document.main.duration) == (3, 13)


def ring_group() -> Story:
    story = inbound().channel(A).channel(B).dials(TRUNK, A).dials(TRUNK, B).rings(TRUNK, A)
    story.wait(0.5).rings(TRUNK, B).wait(3.5).up(B).ends(TRUNK, A, "CANCEL").ends(TRUNK, B, "ANSWER")
    return story.hangs_up(A).talks(B, TRUNK).wait(4).leaves(B, TRUNK).hangs_up(TRUNK, B)


def test_ring_group_is_one_leg_of_the_answerer() -> None:
    notices, document = told(ring_group())
    assert heard(notices) == [
        ("arrival", None),
        ("ringing", "200"),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert document is not None
    assert (document.main.exten, document.last_exten, document.legs) == ("251", "251", ())
    assert (document.main.ringtime, document.main.billsec) == (4, 4)


def test_ring_group_lists_every_extension_where_the_client_wants_all() -> None:
    _, document = told(ring_group())
    assert document is not None
    assert [(leg.exten, leg.direction) for leg in document.all_legs] == [("200", 2), ("251", 1)]


def test_internal_call_is_told_to_nobody() -> None:
    story = Story(1000.0).channel(B, number="251", exten="200", state=4).channel(A)
    story.dials(B, A).rings(B, A).wait(3).up(A).ends(B, A, "ANSWER").talks(A, B).wait(4).hangs_up(A, B)
    notices, document = told(story)
    assert (notices, document) == ([], None)


def test_outbound_busy_is_outbound_without_an_answer() -> None:
    phone, line = "PJSIP/1102-00000001", "PJSIP/trunk-00000002"
    story = Story(1000.0).channel(phone, number="1102", exten="36301234576", state=4).channel(line)
    story.dials(phone, line, "36301234576@trunk").wait(1.5).ends(phone, line, "BUSY").hangs_up(line, phone)
    notices, document = told(story)
    assert notices == []
    assert document is not None
    assert (document.main.direction, document.main.answer_time, document.main.ringtime) == (0, None, 0)
    assert (document.main.dst, document.price, document.main.exten) == ("36301234576", None, "1102")


def test_withheld_number_is_null() -> None:
    _, document = told(Story(1.0).arrives(TRUNK, "anonymous", DID).wait(1).hangs_up(TRUNK))
    assert document is not None
    assert (document.main.src, document.other_party_number) == (None, None)


def test_queue_member_behind_a_local_channel_rings_and_answers_as_the_extension() -> None:
    one, two = "Local/251@from-queue-00000001;1", "Local/251@from-queue-00000001;2"
    story = inbound().up(TRUNK).joins(TRUNK, "18").channel(one).channel(two).channel(B)
    story.dials(TRUNK, one).dials(two, B).rings(two, B).wait(5).up(B).ends(two, B, "ANSWER").ends(
        TRUNK, one, "ANSWER"
    )
    story.talks(B, two)
    story.bridge = "bridge-2"
    story.talks(one, TRUNK).wait(3).hangs_up(B, two, one, TRUNK)
    notices, document = told(story)
    assert heard(notices)[1:3] == [("ringing", "251"), ("answer", "251")]
    assert document is not None
    assert (document.main.exten, document.main.queue, document.in_queue) == ("251", "18", True)
    assert not any("Local" in str(notice.exten) for notice in notices)


@given(st.integers(0, 40), st.sampled_from([inbound_example(1000.0), outgoing_example(1000.0), ring_group()]))
def test_a_bridge_that_missed_the_beginning_says_nothing_wrong(missed: int, story: Story) -> None:
    whole = Tracker(NUMBERING)
    right = [o for event in story.events for o in whole.feed(event) if isinstance(o, Notice)]
    tracker = Tracker(NUMBERING)
    outputs = [o for event in story.events[missed:] for o in tracker.feed(event)]
    said = [(o.event, o.exten) for o in outputs if isinstance(o, Notice)]
    assert set(said) <= {(notice.event, notice.exten) for notice in right}


@given(st.data())
def test_calls_at_once_are_told_as_each_alone(data: st.DataObject) -> None:
    stories = [inbound_example(1000.0), ring_group(), outgoing_example(1002.0)]
    queues = [retold(story.events, number) for number, story in enumerate(stories)]
    alone = [
        [o for tracker in [Tracker(NUMBERING)] for e in queue for o in tracker.feed(e)] for queue in queues
    ]
    together = Tracker(NUMBERING)
    mixed: list[list[Notice | Ended]] = [[] for _ in queues]
    left = [list(queue) for queue in queues]
    while any(left):
        number = data.draw(st.sampled_from([n for n, queue in enumerate(left) if queue]))
        mixed[number] += together.feed(left[number].pop(0))
    assert mixed == alone


def test_a_call_is_forgotten_without_a_trace() -> None:
    tracker = Tracker(NUMBERING)
    for _ in range(3):
        for event in inbound_example(1000.0).events:
            for output in tracker.feed(event):
                if isinstance(output, Ended):
                    tracker.forget(output.key)
    assert list(tracker.calls()) == []
    assert tracker.call("100.1") is None


def test_restored_record_is_the_same_call() -> None:
    tracker = Tracker(NUMBERING)
    for event in inbound_example(1000.0).events:
        tracker.feed(event)
    record = tracker.call("100.1")
    assert record is not None
    again = CallRecord.from_dict(record.to_dict())
    assert build(again, NUMBERING, lambda *_: None) == build(record, NUMBERING, lambda *_: None)
