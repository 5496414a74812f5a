"""Calls that move from one person to another: by forwarding and by transfer, event by event."""

from __future__ import annotations

from dataclasses import replace

from outcome import NUMBERING, told
from story import CALLER, DID, TRUNK, Story

from vipex_bridge.calls.document import Notice
from vipex_bridge.calls.events import AttendedTransferred
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

FIRST, LINE = "PJSIP/200-00000002", "PJSIP/trunk-00000005"
ONE, TWO = "Local/36301112222@from-internal-00000001;1", "Local/36301112222@from-internal-00000001;2"


def forwarded_outside() -> Story:
    story = Story(1000.0).arrives(TRUNK, CALLER, DID).channel(FIRST).dials(TRUNK, FIRST).wait(0.3)
    story.channel(ONE).channel(TWO).ends(TRUNK, FIRST, "NOANSWER").hangs_up(FIRST).dials(TRUNK, ONE)
    story.channel(LINE, context="from-trunk").dials(TWO, LINE, "36301112222@trunk")
    story.wait(1).rings(TWO, LINE).wait(3).up(LINE).ends(TWO, LINE, "ANSWER").ends(TRUNK, ONE, "ANSWER")
    return story.talks(TWO, LINE, ONE, TRUNK).wait(5).hangs_up(LINE, TWO, ONE, TRUNK)


def test_forwarded_outside_is_a_leg_of_the_extension_that_forwarded() -> None:
    notices, document = told(forwarded_outside())
    told_live = [(notice.event, notice.exten) for notice in notices]
    assert told_live == [("arrival", None), ("answer", "200"), ("hangup", None)]
    assert document is not None
    assert [(leg.direction, leg.exten, leg.dst) for leg in document.legs] == [
        (2, "200", DID),
        (0, "200", "36301112222"),
    ]
    assert (document.main.direction, document.main.ringtime, document.main.billsec) == (1, 3, 5)
    assert (document.main.exten, document.last_exten, document.main.src) == ("200", "200", CALLER)


def test_forwarded_outside_is_missed_where_that_is_no_answer() -> None:
    notices, document = told(forwarded_outside(), replace(NUMBERING, forward_is_answer=False))
    assert [notice.event for notice in notices] == ["arrival", "hangup"]
    assert document is not None
    assert (document.main.direction, document.main.answer_time, document.main.billsec) == (2, None, 0)


def test_outbound_then_transferred_to_a_colleague_has_two_legs() -> None:
    phone, line, colleague = "PJSIP/1102-00000001", "PJSIP/trunk-00000002", "PJSIP/252-00000003"
    story = Story(1000.0).channel(phone, number="1102", exten="36301234576", state=4)
    story.channel(line, context="from-trunk").dials(phone, line, "36301234576@trunk").rings(phone, line)
    story.wait(2).up(line).ends(phone, line, "ANSWER").talks(phone, line).wait(3)
    story.leaves(phone).hangs_up(phone).leaves(line)
    story.channel(colleague).dials(line, colleague).rings(line, colleague).wait(2).up(colleague)
    story.ends(line, colleague, "ANSWER").talks(colleague, line).wait(4).hangs_up(colleague, line)
    notices, document = told(story)
    assert notices == []
    assert document is not None
    assert [(leg.direction, leg.exten, leg.dst) for leg in document.legs] == [
        (0, "1102", "36301234576"),
        (0, "252", "36301234576"),
    ]
    assert [(leg.duration, leg.ringtime, leg.billsec) for leg in document.legs] == [(5, 2, 3), (6, 2, 4)]
    assert (document.main.exten, document.last_exten, document.main.billsec) == ("1102", "252", 9)


def test_a_caller_put_through_to_one_who_was_talking_to_a_colleague_is_an_inbound_call() -> None:
    """251 and 252 talk; 251 takes a caller on another line, and joins the two."""
    own, colleague, second = "PJSIP/251-00000001", "PJSIP/252-00000002", "PJSIP/251-00000004"
    among = Story(1000.0).channel(own, number="251", exten="252", state=4).channel(colleague)
    among.dials(own, colleague).up(colleague).ends(own, colleague, "ANSWER").talks(own, colleague)
    call = Story(1005.0, linkedid="200.1", bridge="bridge-2").arrives(TRUNK, CALLER, DID).channel(second)
    call.dials(TRUNK, second).rings(TRUNK, second).wait(2).up(second).ends(TRUNK, second, "ANSWER")
    call.talks(TRUNK, second).wait(3)
    call.events.append(
        AttendedTransferred(
            call.at, "Success", call.channels[second], among.channels[own], call.channels[TRUNK],
            among.channels[colleague], "Bridge",
        )
    )  # fmt: skip
    call.leaves(second, TRUNK)
    moved = Story(call.at, bridge=among.bridge, channels={**among.channels, **call.channels})
    moved.leaves(own).talks(TRUNK).hangs_up(own, second).wait(4).leaves(TRUNK, colleague)
    moved.hangs_up(TRUNK, colleague)
    tracker = Tracker(NUMBERING)
    outputs = [o for event in [*among.events, *call.events, *moved.events] for o in tracker.feed(event)]
    notices = [(o.event, o.exten) for o in outputs if isinstance(o, Notice)]
    assert notices == [
        ("arrival", None), ("ringing", "251"), ("answer", "251"), ("answer", "252"), ("hangup", None)
    ]  # fmt: skip
    record = tracker.call("200.1")
    assert record is not None
    document = build(record, NUMBERING, lambda *_: None)
    assert document is not None
    assert (document.main.src, document.main.start_time, document.main.exten) == (CALLER, 1005.0, "251")
    assert [(leg.direction, leg.exten, leg.duration, leg.ringtime) for leg in document.legs] == [
        (1, "251", 5, 2),
        (1, "252", 4, 0),
    ]
