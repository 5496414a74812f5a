"""Calls to the outside, for real: placed, passed on to a colleague, and those that change sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cases
import pytest
from cases import Cast
from house import House
from parts import lengths, tree
from phones import Phone, extension, line
from played import check_arithmetic, played, seconds

pytestmark = pytest.mark.pbx

CALLER, MOBILE = "3642999425", "36301112222"
AGENT = Cast(first="1102")
BY_1102: dict[str, Any] = {
    "direction": 0, "src": "1102", "src_user_id": 6, "dst": MOBILE, "dst_user_id": None, "exten": "1102",
    "last_exten": "1102", "pincode": None, "ivr_digits": None, "cc_call": -1, "cost_location": "12",
    "custom_field": None, "other_party_number": MOBILE, "user_number": "3619996102", "sub_cdrs": [],
}  # fmt: skip
"""What every simple outgoing call of 1102 says, whatever comes of it."""


def check(document: dict[str, Any], told: dict[str, Any]) -> None:
    """The arithmetic, the price and the recording of an outgoing call, and the fields that are named."""
    check_arithmetic(document)
    assert {name: document[name] for name in told} == told
    if document["answer_time"] is None:
        assert (document["price"], document["monitor_file"], document["billsec"]) == (None, None, 0)
    else:
        assert document["price"] == pytest.approx(1 + 5 * document["billsec"] / 60, abs=0.0001)


def test_outbound_answered_is_told_in_every_field(house: House) -> None:
    call = played(
        house,
        [
            line(MOBILE).waits(1).rings(2).answers().waits_for_bye(),
            extension("1102").dials(MOBILE).is_answered().talks(2).hangs_up(),
        ],
    )
    check(call.document, BY_1102)
    assert (call.events, lengths(call.document)) == ([], (5, 2, 2))
    assert seconds(call.document, "answer_time") == 3
    assert call.document["monitor_file"] is not None
    assert len(call.document["main_reference_id"]) >= 32


@pytest.mark.parametrize(
    ("status", "code"),
    [("486 Busy Here", 486), ("404 Not Found", 404)],
    ids=["busy", "wrong number"],
)
def test_outbound_that_is_refused(house: House, status: str, code: int) -> None:
    call = played(
        house,
        [line(MOBILE).waits(1).refuses(status), extension("1102").dials(MOBILE).is_refused(code)],
    )
    check(call.document, {**BY_1102, "answer_time": None})
    assert (call.events, lengths(call.document)) == ([], (1, 0, 0))


def test_outbound_that_rings_in_vain(house: House) -> None:
    call = played(house, cases.outbound_in_vain(AGENT))
    check(call.document, {**BY_1102, "answer_time": None})
    assert (call.events, lengths(call.document)) == ([], (4, 3, 0))


@pytest.mark.parametrize(
    ("case", "ring_s"),
    [(cases.outbound_with_ringback_after_sound, 2), (cases.outbound_with_sound_alone, 0)],
    ids=["183 then 180", "183 alone"],
)
def test_outbound_with_sound_before_the_answer(
    house: House, case: Callable[[Cast], list[Phone]], ring_s: int
) -> None:
    """Sound is no answer and no ringing: only 180 is."""
    call = played(house, case(AGENT))
    check(call.document, BY_1102)
    assert (call.events, lengths(call.document)) == ([], (4, ring_s, 1))
    assert seconds(call.document, "answer_time") == 3


def test_outbound_to_an_announcement_that_ends_in_a_refusal(house: House) -> None:
    call = played(house, cases.outbound_to_an_announcement(AGENT))
    check(call.document, {**BY_1102, "answer_time": None})
    assert (call.events, lengths(call.document)) == ([], (3, 0, 0))


def test_outbound_failed_over_to_the_second_trunk_is_one_leg(house: House) -> None:
    call = played(
        house,
        [
            line(MOBILE).waits(1).refuses("503 Service Unavailable"),
            Phone("trunk2", MOBILE).waits(1).rings(2).answers().waits_for_bye(),
            extension("1102").dials(f"*5{MOBILE}").is_answered().talks(2).hangs_up(),
        ],
    )
    check(call.document, BY_1102)
    assert (call.events, lengths(call.document)) == ([], (6, 2, 2))
    assert call.all_legs[0]["sub_cdrs"] == []
    assert house.asterisk.cdr_rows()[-1]["dstchannel"].startswith("PJSIP/trunk2-")


# -- passed on to a colleague -------------------------------------------------------------------


def check_passed_on(document: dict[str, Any], legs: list[tuple[int, str, int, int]]) -> None:
    """An outgoing call of 1102 that a colleague went on with: all its parts are 1102's call to the mobile."""
    parts = document["sub_cdrs"]
    check(document, {**BY_1102, "last_exten": legs[-1][1], "sub_cdrs": parts})
    assert tree(document) == legs
    for part in parts:
        told = [part[name] for name in ("src", "src_user_id", "dst", "pincode", "ivr_digits", "cc_call")]
        assert told == ["1102", 6, MOBILE, None, None, -1]


def test_outbound_then_blind_transferred_to_a_colleague(house: House) -> None:
    call = played(
        house,
        [
            extension("1102").dials(MOBILE).is_answered().talks(2).transfers_to("251"),
            line(MOBILE).rings(1).answers().talks(5).hangs_up(),
            extension("251").rings(2).answers().waits_for_bye(),
        ],
    )
    assert call.events == []
    check_passed_on(call.document, [(0, "1102", 1, 2), (0, "251", 2, 1)])
    assert lengths(call.document) == (6, 3, 5)


def test_outbound_then_attended_transferred_to_a_colleague(house: House) -> None:
    call = played(house, cases.outbound_then_attended_transfer(AGENT))
    assert call.events == []
    check_passed_on(call.document, [(0, "1102", 1, 4), (0, "252", 0, 3)])
    assert lengths(call.document) == (8, 1, 7)


# -- changing sides -----------------------------------------------------------------------------


def test_internal_call_whose_caller_is_sent_outside(house: House) -> None:
    call = played(house, cases.internal_caller_is_sent_outside(Cast()))
    own = {"src": "251", "src_user_id": 7, "exten": "251", "last_exten": "251", "user_number": "3619996251"}
    check(call.document, {**BY_1102, **own})
    assert (call.events, lengths(call.document)) == ([], (7, 2, 2))
    assert seconds(call.document, "answer_time") == 5, "the far end's answer, not the colleague's"


def test_internal_call_whose_called_colleague_is_sent_outside(house: House) -> None:
    call = played(house, cases.internal_called_one_is_sent_outside(Cast()))
    own = {"src": "251", "src_user_id": 7, "exten": "251", "last_exten": "251", "user_number": "3619996251"}
    check(call.document, {**BY_1102, **own})
    assert (call.events, lengths(call.document)) == ([], (7, 2, 2)), "252, who transferred, is not told"


def test_inbound_call_whose_caller_leaves_while_two_colleagues_talk(house: House) -> None:
    call = played(house, cases.inbound_becomes_internal(Cast("3642999409")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("answer", "251"), ("hangup", None)]
    told = {
        "direction": 1, "src": CALLER, "dst": "3642999409", "exten": "251", "last_exten": "251",
        "src_user_id": None, "dst_user_id": 7, "other_party_number": CALLER, "user_number": "3619996251",
        "price": None, "sub_cdrs": [],
    }  # fmt: skip
    assert {name: document[name] for name in told} == told
    assert lengths(document) == (6, 1, 5), "what the colleagues talked afterwards is theirs alone"


def test_outbound_call_whose_far_end_leaves_while_two_colleagues_talk(house: House) -> None:
    call = played(house, cases.outbound_becomes_internal(AGENT))
    check(call.document, BY_1102)
    assert (call.events, lengths(call.document)) == ([], (6, 1, 5))
