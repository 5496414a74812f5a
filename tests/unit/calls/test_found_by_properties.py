"""Calls that the generated histories found to be told wrong, each in its shortest form."""

from __future__ import annotations

from captured_rows import rows_of
from invariants import events_of, missed_meanwhile
from outcome import NUMBERING, told
from story import CALLER, DID, TRUNK, Story

from vipex_bridge.calls.document import Notice
from vipex_bridge.calls.events import (
    AttendedTransferred,
    BlindTransferred,
    LiveChannels,
    LocalBridge,
    PickedUp,
)
from vipex_bridge.calls.testimony import add_rows
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

FIRST, SECOND, COLLEAGUE = "PJSIP/200-00000002", "PJSIP/200-00000003", "PJSIP/221-00000006"
PICKER, LINE = "PJSIP/251-00000007", "PJSIP/trunk-00000008"
ONE, TWO = "Local/221@from-queue-00000004;1", "Local/221@from-queue-00000004;2"


def test_blonde_transfer_to_a_phone_behind_a_local_channel_rings_for_the_caller() -> None:
    """200 calls 221, reached through a Local channel, from a second line and hands the caller over."""
    story = Story(1000.0).arrives(TRUNK, CALLER, DID).channel(FIRST).dials(TRUNK, FIRST).rings(TRUNK, FIRST)
    story.wait(2).up(FIRST).ends(TRUNK, FIRST, "ANSWER").talks(FIRST, TRUNK).wait(3)
    apart = "200.1"
    story.channel(SECOND, number="200", exten="221", state=4, uniqueid=apart, linkedid=apart)
    story.channel(ONE, linkedid=apart).channel(TWO, linkedid=apart).channel(COLLEAGUE, linkedid=apart)
    story.dials(SECOND, ONE).dials(TWO, COLLEAGUE).rings(TWO, COLLEAGUE).rings(SECOND, ONE).wait(1)
    channels = story.channels
    story.events.append(
        AttendedTransferred(
            story.at, "Success", channels[FIRST], channels[SECOND], channels[TRUNK], None, "App"
        )
    )
    story.leaves(FIRST).hangs_up(FIRST).leaves(TRUNK).hangs_up(SECOND)
    story.wait(4).ends(TWO, COLLEAGUE, "NOANSWER").ends(TRUNK, ONE, "NOANSWER")
    story.hangs_up(COLLEAGUE, TWO, ONE, TRUNK)
    tracker = Tracker(NUMBERING)
    outputs = [output for event in story.events for output in tracker.feed(event)]
    notices = [(o.event, o.exten) for o in outputs if isinstance(o, Notice)]
    assert notices == [
        ("arrival", None),
        ("ringing", "200"),
        ("answer", "200"),
        ("ringing", "221"),
        ("hangup", None),
    ]
    record = tracker.call("100.1")
    assert record is not None
    document = build(record, NUMBERING, lambda *_: None)
    assert document is not None
    legs = [(leg.direction, leg.exten, leg.duration, leg.ringtime) for leg in document.legs]
    assert legs == [(1, "200", 6, 2), (2, "221", 4, 4)]


def test_blind_transfer_outside_by_who_picked_up_is_a_leg_of_who_picked_up() -> None:
    story = Story(1000.0).arrives(TRUNK, CALLER, DID).channel(FIRST).dials(TRUNK, FIRST).rings(TRUNK, FIRST)
    story.wait(2).channel(PICKER, number="251", exten="*8", state=4, uniqueid="200.1", linkedid="200.1")
    channels = story.up(PICKER).channels
    story.events.append(PickedUp(story.at, channels[PICKER], channels[FIRST]))
    story.hangs_up(FIRST).ends(TRUNK, PICKER, "ANSWER").talks(PICKER, TRUNK).wait(3)
    story.events.append(
        BlindTransferred(story.at, "Success", channels[PICKER], channels[TRUNK], "36301112222")
    )
    story.leaves(TRUNK, PICKER).hangs_up(PICKER).wait(0.1)
    story.channel(LINE, context="from-trunk").dials(TRUNK, LINE, "36301112222@trunk").wait(2).up(LINE)
    story.ends(TRUNK, LINE, "ANSWER").talks(TRUNK, LINE).wait(4).hangs_up(LINE, TRUNK)
    _, document = told(story)
    assert document is not None
    legs = [(leg.direction, leg.exten, leg.dst) for leg in document.legs]
    assert legs == [(2, "200", DID), (1, "251", "251"), (0, "251", "36301112222")]


def test_outbound_call_sent_on_to_another_outside_number_keeps_whom_it_dialled() -> None:
    phone, far = "PJSIP/1102-00000001", "PJSIP/trunk-00000002"
    story = Story(1000.0).channel(phone, number="1102", exten="36301234576", state=4)
    story.channel(far, context="from-trunk").dials(phone, far, "36301234576@trunk").wait(2).up(far)
    story.ends(phone, far, "ANSWER").talks(phone, far).wait(3)
    channels = story.channels
    story.events.append(BlindTransferred(story.at, "Success", channels[phone], channels[far], "36301112222"))
    story.leaves(far, phone).hangs_up(phone).wait(0.1)
    story.channel(LINE, context="from-trunk").dials(far, LINE, "36301112222@trunk").wait(2).up(LINE)
    story.ends(far, LINE, "ANSWER").talks(far, LINE).wait(4).hangs_up(LINE, far)
    _, document = told(story)
    assert document is not None
    assert (document.main.dst, document.other_party_number) == ("36301234576", "36301234576")
    legs = [(leg.direction, leg.exten, leg.dst) for leg in document.legs]
    assert legs == [(0, "1102", "36301234576"), (0, "1102", "36301112222")]


def test_outbound_call_sent_on_through_a_local_channel_keeps_whom_it_dialled() -> None:
    phone, far = "PJSIP/1102-00000001", "PJSIP/trunk-00000002"
    one, two = "Local/36301112222@from-internal-00000003;1", "Local/36301112222@from-internal-00000003;2"
    story = Story(1000.0).channel(phone, number="1102", exten="36301234576", state=4)
    story.channel(far, context="from-trunk").dials(phone, far, "36301234576@trunk").wait(2).up(far)
    story.ends(phone, far, "ANSWER").talks(phone, far).wait(3)
    channels = story.channels
    story.events.append(BlindTransferred(story.at, "Success", channels[phone], channels[far], "36301112222"))
    story.leaves(far, phone).hangs_up(phone).wait(0.1)
    story.channel(one).channel(two).dials(far, one).channel(LINE, context="from-trunk")
    story.dials(two, LINE, "36301112222@trunk").wait(2).ends(two, LINE, "BUSY").ends(far, one, "BUSY")
    story.hangs_up(LINE, two, one, far)
    _, document = told(story)
    assert document is not None
    assert document.main.dst == "36301234576"
    legs = [(leg.direction, leg.exten, leg.dst, leg.billsec > 0) for leg in document.legs]
    assert legs == [(0, "1102", "36301234576", True), (0, "1102", "36301112222", False)]


def test_outbound_call_sent_on_by_a_phone_that_hangs_up_late_rings_the_colleague() -> None:
    phone, far = "PJSIP/1102-00000001", "PJSIP/trunk-00000002"
    story = Story(1000.0).channel(phone, number="1102", exten="36301234576", state=4)
    story.channel(far, context="from-trunk").dials(phone, far, "36301234576@trunk").wait(2).up(far)
    story.ends(phone, far, "ANSWER").talks(phone, far).wait(3)
    channels = story.channels
    story.events.append(BlindTransferred(story.at, "Success", channels[phone], channels[far], "221"))
    story.leaves(far).channel(COLLEAGUE).dials(far, COLLEAGUE).rings(far, COLLEAGUE).wait(4)
    story.up(COLLEAGUE).ends(far, COLLEAGUE, "ANSWER").leaves(phone).hangs_up(phone)
    story.bridge = "bridge-2"
    story.talks(COLLEAGUE, far).wait(5).hangs_up(COLLEAGUE, far)
    _, document = told(story)
    assert document is not None
    legs = [(leg.exten, leg.duration, leg.ringtime, leg.billsec) for leg in document.legs]
    assert legs == [("1102", 5, 0, 3), ("221", 9, 4, 5)]


def test_outbound_call_behind_a_local_channel_that_is_sent_on_itself_rings_the_colleague() -> None:
    """1102 has the half ;1 in its bridge, as the Local channel stays; so ;1 dials when it is sent on."""
    phone, far = "PJSIP/1102-00000001", "PJSIP/trunk-00000002"
    one, two = "Local/36301234576@from-internal-00000003;1", "Local/36301234576@from-internal-00000003;2"
    story = Story(1000.0).channel(phone, number="1102", exten="36301234576", state=4)
    story.channel(one).channel(two).dials(phone, one).channel(far, context="from-trunk")
    story.dials(two, far, "36301234576@trunk").wait(2).up(far).ends(two, far, "ANSWER")
    channels = story.up(two).up(one).ends(phone, one, "ANSWER").channels
    story.events.append(LocalBridge(story.at, channels[one], channels[two]))
    home, story.bridge = story.bridge, "bridge-2"
    story.talks(far, two)
    story.bridge = home
    story.talks(one, phone).wait(3)
    story.events.append(BlindTransferred(story.at, "Success", channels[phone], channels[one], "221"))
    story.leaves(one, phone).hangs_up(phone)
    story.channel(COLLEAGUE).dials(one, COLLEAGUE).rings(one, COLLEAGUE).wait(4)
    story.ends(one, COLLEAGUE, "NOANSWER").hangs_up(COLLEAGUE, one, two, far)
    _, document = told(story)
    assert document is not None
    legs = [(leg.exten, leg.duration, leg.ringtime) for leg in document.legs]
    assert legs == [("1102", 5, 0), ("221", 4, 4)]


def test_outbound_call_behind_a_local_channel_that_is_handed_over_keeps_its_answer() -> None:
    """1102 has the half ;1 in its bridge, calls 221 on a second line, and joins the two."""
    phone, far, second = "PJSIP/1102-00000001", "PJSIP/trunk-00000002", "PJSIP/1102-00000005"
    one, two = "Local/36301234576@from-internal-00000003;1", "Local/36301234576@from-internal-00000003;2"
    story = Story(1000.0).channel(phone, number="1102", exten="36301234576", state=4)
    story.channel(one).channel(two).dials(phone, one).channel(far, context="from-trunk")
    story.dials(two, far, "36301234576@trunk").wait(2).up(far).ends(two, far, "ANSWER")
    channels = story.up(two).up(one).ends(phone, one, "ANSWER").channels
    story.events.append(LocalBridge(story.at, channels[one], channels[two]))
    home, story.bridge = story.bridge, "bridge-2"
    story.talks(far, two)
    story.bridge = home
    story.talks(one, phone).wait(3)
    apart = "200.1"
    story.channel(second, number="1102", exten="221", state=4, uniqueid=apart, linkedid=apart)
    story.channel(COLLEAGUE, linkedid=apart).dials(second, COLLEAGUE).rings(second, COLLEAGUE).wait(1)
    story.up(COLLEAGUE).ends(second, COLLEAGUE, "ANSWER").leaves(one)
    story.bridge = "bridge-3"
    story.talks(COLLEAGUE, second).wait(1).leaves(second).talks(one)
    parties = channels[phone], channels[second], channels[one], channels[COLLEAGUE]
    story.events.append(AttendedTransferred(story.at, "Success", *parties, "Bridge"))
    story.hangs_up(phone, second).wait(4).hangs_up(COLLEAGUE, one, two, far)
    _, document = told(story)
    assert document is not None
    assert (document.main.answer_time, document.main.billsec) == (1002, 9)
    legs = [(leg.exten, leg.answer_time) for leg in document.legs]
    assert legs == [("1102", 1002), ("221", 1007)]


def test_attended_transfer_outside_from_a_second_line_is_one_leg_more() -> None:
    """200 calls a mobile from a second line, talks to it for 3 s, then joins it with the caller."""
    story = Story(1000.0).arrives(TRUNK, CALLER, DID).channel(FIRST).dials(TRUNK, FIRST).rings(TRUNK, FIRST)
    story.wait(2).up(FIRST).ends(TRUNK, FIRST, "ANSWER").talks(FIRST, TRUNK).wait(3)
    apart = "200.1"
    story.channel(SECOND, number="200", exten="36301112222", state=4, uniqueid=apart, linkedid=apart)
    story.channel(LINE, context="from-trunk", linkedid=apart).dials(SECOND, LINE, "36301112222@trunk")
    story.wait(1).up(LINE).ends(SECOND, LINE, "ANSWER")
    home, story.bridge = story.bridge, "bridge-2"
    story.talks(LINE, SECOND).wait(3).leaves(SECOND).talks(TRUNK)
    channels = story.channels
    parties = channels[FIRST], channels[SECOND], channels[TRUNK], channels[LINE]
    story.events.append(AttendedTransferred(story.at, "Success", *parties, "Bridge"))
    story.bridge = home
    story.leaves(FIRST).hangs_up(FIRST, SECOND).wait(4).hangs_up(LINE, TRUNK)
    _, document = told(story)
    assert document is not None
    legs = [(leg.direction, leg.exten, leg.dst, leg.duration, leg.billsec) for leg in document.legs]
    assert legs == [(1, "200", DID, 9, 7), (0, "200", "36301112222", 4, 4)]


def test_third_of_a_conference_is_answered_when_it_joins() -> None:
    """251 and 252 are in it with the caller; 221 joins 0.4 s before all leave."""
    story = Story(1000.0).arrives(TRUNK, CALLER, DID).up(TRUNK).talks(TRUNK)
    joined = []
    for exten, pause_s in (("251", 1.0), ("252", 1.0), ("221", 4.0)):
        name, own = f"PJSIP/{exten}-00000002", f"{exten}.1"
        story.wait(pause_s).channel(name, number=exten, exten="800", state=4, uniqueid=own, linkedid=own)
        story.up(name).talks(name)
        joined.append(name)
    story.wait(0.4).leaves(*joined, TRUNK).hangs_up(*joined, TRUNK)
    _, document = told(story)
    assert document is not None
    legs = [(leg.exten, leg.start_time, leg.answer_time) for leg in document.legs]
    assert legs == [("251", 1000, 1001), ("252", 1002, 1002), ("221", 1006, 1006)]


def test_loser_of_a_ring_group_rings_no_longer_than_its_part() -> None:
    """221 rings 2.6 s, up to the last tenth of a second; the winner's talk begins in the next one."""
    story = Story(1000.3).arrives(TRUNK, CALLER, DID).channel(FIRST).channel(COLLEAGUE)
    story.dials(TRUNK, FIRST).dials(TRUNK, COLLEAGUE).rings(TRUNK, FIRST).rings(TRUNK, COLLEAGUE)
    story.wait(2.6).up(FIRST).ends(TRUNK, COLLEAGUE, "CANCEL").hangs_up(COLLEAGUE)
    story.ends(TRUNK, FIRST, "ANSWER").wait(0.2).talks(FIRST, TRUNK).wait(4).hangs_up(FIRST, TRUNK)
    _, document = told(story)
    assert document is not None
    assert [(part.exten, part.duration, part.ringtime) for part in document.all_legs] == [
        ("200", 7, 3),
        ("221", 2, 2),
    ]


def test_call_found_up_and_then_picked_up_hangs_up_once() -> None:
    """The bridge connects while 200 rings and 251 has just taken its phone off the hook, in one second."""
    story = Story(1795409343.0, linkedid="1795409343.1").arrives(TRUNK, CALLER, DID)
    story.channel(FIRST, uniqueid="1795409343.2").dials(TRUNK, FIRST).rings(TRUNK, FIRST)
    own = "1795409343.3"
    story.channel(PICKER, number="251", exten="*8", state=4, uniqueid=own, linkedid=own).up(PICKER)
    channels = story.channels
    tracker = Tracker(NUMBERING)
    tracker.feed(LiveChannels(story.at, tuple(channels.values())))
    story.events.clear()
    story.events.append(PickedUp(story.at, channels[PICKER], channels[FIRST]))
    story.hangs_up(FIRST).ends(TRUNK, PICKER, "ANSWER").talks(PICKER, TRUNK).wait(3)
    story.leaves(PICKER, TRUNK).hangs_up(PICKER, TRUNK)
    outputs = [output for event in story.events for output in tracker.feed(event)]
    notices = [(o.event, o.exten) for o in outputs if isinstance(o, Notice)]
    assert notices == [("answer", "251"), ("hangup", None)]


def test_rows_add_no_second_leg_to_a_transfer_that_was_seen() -> None:
    """Of `f2_atxfer_outside` only the very first event was missed."""
    case = "f2_atxfer_outside"
    _, tracker = missed_meanwhile(events_of(case), 0, 1, stopped=True)
    (record,) = tracker.calls()
    add_rows(record, rows_of(case), NUMBERING)
    document = build(record, NUMBERING, lambda *_: None)
    assert document is not None
    legs = [(leg.direction, leg.exten, leg.dst) for leg in document.legs]
    assert legs == [(1, "251", "3642999409"), (0, "251", "36301112222")]


def test_call_whose_end_was_missed_ends_with_the_last_of_its_rows() -> None:
    """Of `l2_forward_302_internal` only the very first event was seen; the caller has two rows."""
    case = "l2_forward_302_internal"
    events = events_of(case)
    _, tracker = missed_meanwhile(events, 1, len(events) - 1, stopped=True)
    (record,) = tracker.calls()
    add_rows(record, rows_of(case), NUMBERING)
    document = build(record, NUMBERING, lambda *_: None)
    assert document is not None
    assert document.main.hangup_time == max(row.end or 0.0 for row in rows_of(case))
    assert document.main.billsec > 0


def test_rows_of_extensions_that_talk_on_among_themselves_add_no_leg() -> None:
    """`j5_far_end_leaves_consultation`, the bridge restarted in it: nothing was missed."""
    case = "j5_far_end_leaves_consultation"
    _, tracker = missed_meanwhile(events_of(case), 35, 35, stopped=True)
    (record,) = tracker.calls()
    before = build(record, NUMBERING, lambda *_: None)
    add_rows(record, rows_of(case), NUMBERING)
    after = build(record, NUMBERING, lambda *_: None)
    assert before is not None
    assert after is not None
    assert (before.main.exten, before.legs) == (after.main.exten, after.legs) == ("1102", ())
