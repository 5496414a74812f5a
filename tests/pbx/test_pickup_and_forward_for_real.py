"""Calls that another than the one first rung takes: pickup, forwarding by dialplan, follow-me."""

from __future__ import annotations

import cases
import pytest
from cases import Cast
from house import House
from parts import lengths, tree
from phones import caller, extension, line
from played import check_arithmetic, played

pytestmark = pytest.mark.pbx

CALLER = "3642999425"
MOBILE = "36301112222"


def test_pickup_of_a_ring_group(house: House) -> None:
    call = played(house, cases.pickup_of_a_ring_group(Cast("3642999410", "200", "251", "252")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "200"),
        ("ringing", "251"),
        ("answer", "252"),
        ("hangup", None),
    ]
    assert tree(document) == [(2, "200", 2, 0), (1, "252", 0, 1)]
    assert lengths(document) == (3, 2, 1)
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "200", "252")
    assert document["sub_cdrs"][1]["start_time"] == document["answer_time"]


def test_pickup_of_a_queue_call(house: House) -> None:
    call = played(house, cases.pickup_of_a_queue_call(Cast("3642999412", "221", "251", "252")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("answer", "252"), ("hangup", None)]
    assert tree(document) == [(2, "221", 0, 0), (2, "251", 2, 0), (1, "252", 0, 1)]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "221", "252")
    assert [part["cc_call"] for part in document["sub_cdrs"]] == [18, 18, 18]


@pytest.mark.parametrize("keys", ["*6411", "*8200"], ids=["by the number dialled", "by the phone"])
def test_pickup_by_the_dialplan(house: House, keys: str) -> None:
    call = played(
        house,
        [
            extension("200").rings().is_cancelled(),
            caller(CALLER).dials("3642999411").is_answered().waits_for_bye(),
            extension("251").after(2).dials(keys).is_answered().talks(1).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "200"), ("answer", "251"), ("hangup", None)]
    assert tree(document) == [(2, "200", 2, 0), (1, "251", 0, 1)]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "200", "251")


def test_dialplan_forwards_to_a_colleague(house: House) -> None:
    call = played(house, cases.colleague_takes_what_was_forwarded(Cast("3642999423")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "252"), ("answer", "252"), ("hangup", None)]
    assert (document["direction"], document["exten"], document["sub_cdrs"]) == (1, "252", [])
    assert (document["src"], document["dst"], lengths(document)) == (CALLER, "3642999423", (4, 2, 2))


def test_dialplan_forwards_to_a_mobile(house: House) -> None:
    call = played(
        house,
        [
            line(MOBILE).waits(1).rings(2).answers().waits_for_bye(),
            caller(CALLER, port=5062).dials("3642999424").is_answered().talks(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("answer", "200"), ("hangup", None)]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "200", "200")
    assert (document["src"], document["dst"], lengths(document)) == (CALLER, "3642999424", (5, 2, 2))
    assert document["sub_cdrs"] == []


def test_dialplan_sends_the_caller_straight_to_a_mobile(house: House) -> None:
    call = played(house, cases.mobile_takes_it_straight(Cast("3642999430", port=5062)))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("hangup", None)]
    assert (document["direction"], document["exten"], document["answer_time"]) == (2, None, None)
    assert (document["src"], document["dst"]) == (CALLER, "3642999430")
    assert (lengths(document), document["sub_cdrs"]) == ((3, 0, 0), [])


def test_follow_me_to_a_colleague(house: House) -> None:
    call = played(house, cases.follow_me_to_a_colleague(Cast("3642999426", "200")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "200"),
        ("ringing", "252"),
        ("answer", "252"),
        ("hangup", None),
    ]
    assert tree(document) == [(2, "200", 2, 0), (1, "252", 2, 2)]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "200", "252")


def test_follow_me_to_a_mobile(house: House) -> None:
    call = played(house, cases.follow_me_to_a_mobile(Cast("3642999427", "221", port=5062)))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "221"), ("answer", "221"), ("hangup", None)]
    assert tree(document) == [(2, "221", 2, 0), (0, "221", 2, 2)]
    assert [part["dst"] for part in document["sub_cdrs"]] == ["3642999427", MOBILE]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "221", "221")
