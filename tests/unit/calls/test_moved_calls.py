"""Calls that move from one person to another: by forwarding and by transfer, event by event."""

from __future__ import annotations

from dataclasses import replace

from outcome import NUMBERING, told
from story import CALLER, DID, TRUNK, Story

FIRST, LINE = "PJSIP/200-00000002", "PJSIP/trunk-00000005"
ONE, TWO = "Local/36301112222@from-internal-00000001;1", "Local/36301112222@from-internal-00000001;2"


def forwarded_outside() -> Story:
    story = Story(1000.0).arrives(TRUNK, CALLER, DID).channel(FIRST).dials(TRUNK, FIRST).wait(0.3)
    story.channel(ONE).channel(TWO).ends(TRUNK, FIRST, "NOANSWER").hangs_up(FIRST).dials(TRUNK, ONE)
    story.channel(LINE, context="from-trunk").dials(TWO, LINE, "36301112222@trunk")
    story.wait(1).rings(TWO, LINE).wait(3).up(LINE).ends(TWO, LINE, "ANSWER").ends(TRUNK, ONE, "ANSWER")
    return story.wait(5).hangs_up(LINE, TWO, ONE, TRUNK)


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
