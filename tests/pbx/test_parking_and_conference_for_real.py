"""Calls that wait or are shared: parking, conferences, hold."""

from __future__ import annotations

import cases
import pytest
from cases import Cast
from house import House
from parts import lengths, tree
from phones import caller, extension
from played import check_arithmetic, played

pytestmark = pytest.mark.pbx

CALLER = "3642999425"
TO_251 = Cast("3642999409")


def test_parked_and_retrieved_by_another(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits(2).parks(),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
            extension("252").after(5).dials("701").is_answered().talks(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "251"),
        ("answer", "251"),
        ("answer", "252"),
        ("hangup", None),
    ]
    assert tree(document) == [(1, "251", 1, 2), (1, "252", 0, 2)]
    assert document["sub_cdrs"][1]["duration"] == 4, "2 s parked, 2 s of talk"
    assert lengths(document) == (7, 1, 6)
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "251", "252")
    assert document["src"] == CALLER


def test_parked_by_feature_code_and_retrieved_by_the_same(house: House) -> None:
    call = played(house, cases.parked_and_retrieved_by_the_same(TO_251))
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "251"),
        ("answer", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert tree(document) == [(1, "251", 1, 2), (1, "251", 0, 1)]
    assert document["sub_cdrs"][1]["duration"] == 4, "3 s parked, 1 s of talk"
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "251", "251")


def test_parked_too_long_comes_back_to_who_parked(house: House) -> None:
    call = played(house, cases.parked_too_long(TO_251))
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "251"),
        ("answer", "251"),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert tree(document) == [(1, "251", 1, 2), (1, "251", 2, 1)]
    assert document["sub_cdrs"][1]["duration"] == 7, "4 s parked, 2 s of ringing, 1 s of talk"


def test_caller_gives_up_while_parked(house: House) -> None:
    call = played(house, cases.caller_leaves_while_parked(TO_251))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("answer", "251"), ("hangup", None)]
    assert (document["direction"], document["exten"], document["sub_cdrs"]) == (1, "251", [])
    assert lengths(document) == (5, 1, 4)


def test_conference_of_three(house: House) -> None:
    call = played(house, cases.conference_of_three(Cast("3642999428")))
    document = call.document
    assert call.events == [("arrival", None), ("answer", "251"), ("answer", "252"), ("hangup", None)]
    assert tree(document) == [(1, "251", 0, 3), (1, "252", 0, 3)]
    first, second = document["sub_cdrs"]
    assert first["start_time"] == document["start_time"]
    assert first["answer_time"] == document["answer_time"]
    assert second["start_time"] == second["answer_time"] < first["hangup_time"]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "251", "252")
    assert (document["src"], lengths(document)) == (CALLER, (6, 0, 5))


def test_three_talk_by_feature_code(house: House) -> None:
    call = played(house, cases.three_talk_by_feature_code(TO_251))
    document = call.document
    assert call.events == [
        ("arrival", None),
        ("ringing", "251"),
        ("answer", "251"),
        ("answer", "252"),
        ("hangup", None),
    ]
    assert tree(document) == [(1, "251", 1, 7), (1, "252", 0, 5)]
    first, second = document["sub_cdrs"]
    assert first["start_time"] == document["start_time"]
    assert second["start_time"] == second["answer_time"] < first["hangup_time"]
    assert second["hangup_time"] == document["hangup_time"]
    assert (document["direction"], lengths(document)) == (1, (11, 1, 10))


def test_hold_is_talk(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().talks(1).holds(2).talks(1).hangs_up(),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("answer", "251"), ("hangup", None)]
    assert (document["direction"], document["exten"], document["sub_cdrs"]) == (1, "251", [])
    assert lengths(document) == (5, 1, 4)
