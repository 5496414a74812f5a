"""Calls that move from one extension to another, for real."""

from __future__ import annotations

from typing import Any

import cases
import pytest
from cases import Cast
from house import House
from phones import caller, extension, line
from played import check_arithmetic, played

pytestmark = pytest.mark.pbx

CALLER = "3642999425"
TO_251 = Cast("3642999409")


def test_blind_transfer_by_refer(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits(2).transfers_to("252"),
            extension("252").rings(2).answers().talks(2).hangs_up(),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "251"),
        ("answer", "251"),
        ("ringing", "252"),
        ("answer", "252"),
        ("hangup", None),
    ]
    parts = [(p["direction"], p["exten"], p["ringtime"], p["billsec"]) for p in document["sub_cdrs"]]
    assert parts == [(1, "251", 1, 2), (1, "252", 2, 2)]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "251", "252")
    assert document["src"] == CALLER


def _parts(document: dict[str, Any]) -> list[tuple[int, str, int, int]]:
    return [(p["direction"], p["exten"], p["ringtime"], p["billsec"]) for p in document["sub_cdrs"]]


ANSWERED_251: list[tuple[str, str | None]] = [("arrival", None), ("ringing", "251"), ("answer", "251")]
CODE_S = 0.2
"""Between two keys."""


def test_blind_transfer_by_feature_code(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits(2).presses("#1", CODE_S).waits(0.5).presses("252", 0)
            .waits_for_bye(),
            extension("252").rings(2).answers().waits(2).hangs_up(),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
        ],
    )  # fmt: skip
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("ringing", "252"), ("answer", "252"), ("hangup", None)]
    assert [part[:3] for part in _parts(document)] == [(1, "251", 1), (1, "252", 2)]
    assert (document["direction"], document["src"], document["last_exten"]) == (1, CALLER, "252")


def test_blind_transfer_to_one_who_does_not_answer_ends_the_call(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits(2).transfers_to("252"),
            extension("252").rings(3).refuses("480 Temporarily Unavailable"),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("ringing", "252"), ("hangup", None)]
    assert _parts(document) == [(1, "251", 1, 2), (2, "252", 3, 0)]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "251", "252")


def test_blind_transfer_to_one_who_is_busy_comes_back(house: House) -> None:
    call = played(house, cases.blind_transfer_comes_back(Cast("3642999422")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        *ANSWERED_251,
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert [part[:3] for part in _parts(document)] == [(1, "251", 1), (2, "252", 0), (1, "251", 2)]


def test_attended_transfer_by_feature_code(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits(2).presses("*2", 0.2).waits(1)
            .presses("252", 0.2).waits(6).hangs_up(),
            extension("252").rings(2).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().waits(16).hangs_up(),
        ],
    )  # fmt: skip
    document = call.document
    check_arithmetic(document)
    assert ("ringing", "252") not in call.events, "the consultation was not the caller's"
    assert call.events[-2:] == [("answer", "252"), ("hangup", None)]
    parts = document["sub_cdrs"]
    assert [(p["direction"], p["exten"]) for p in parts] == [(1, "251"), (1, "252")]
    assert (parts[1]["ringtime"], parts[1]["answer_time"]) == (0, parts[1]["start_time"])
    assert (document["ringtime"], document["last_exten"]) == (1, "252")


def test_pickup_by_feature_code(house: House) -> None:
    call = played(house, cases.pickup_by_feature_code(Cast("3642999411", "200", "251")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "200"), ("answer", "251"), ("hangup", None)]
    parts = [(p["direction"], p["exten"], p["ringtime"], p["billsec"]) for p in document["sub_cdrs"]]
    assert parts == [(2, "200", 3, 0), (1, "251", 0, 3)]


def test_forward_by_302_to_an_extension(house: House) -> None:
    call = played(
        house,
        [
            extension("200").forwards_to("252"),
            extension("252").rings(2).answers().waits_for_bye(),
            caller(CALLER).dials("3642999411").is_answered().talks(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "252"), ("answer", "252"), ("hangup", None)]
    parts = [(p["direction"], p["exten"], p["ringtime"]) for p in document["sub_cdrs"]]
    assert parts == [(2, "200", 0), (1, "252", 2)]


def test_forward_by_302_to_the_outside(house: House) -> None:
    call = played(
        house,
        [
            extension("200").forwards_to("36301112222"),
            line("36301112222").waits(1).rings(2).answers().waits_for_bye(),
            caller(CALLER, port=5062).dials("3642999411").is_answered().talks(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    parts = [(p["direction"], p["exten"], p["dst"]) for p in document["sub_cdrs"]]
    assert parts == [(2, "200", "3642999411"), (0, "200", "36301112222")]
    assert (document["direction"], document["ringtime"], document["billsec"]) == (1, 2, 2)


def test_attended_transfer_by_refer(house: House) -> None:
    other = extension("251", port=5063).after(3).dials("252").is_answered().waits(1).consulted()
    call = played(
        house,
        [
            extension("251").rings(1).answers().hands_over(other),
            other.waits_for_bye(),
            extension("252").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().waits(8).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("answer", "252"), ("hangup", None)]
    assert _parts(document) == [(1, "251", 1, 4), (1, "252", 0, 4)]
    assert (document["src"], document["exten"], document["last_exten"]) == (CALLER, "251", "252")


def test_blonde_transfer_by_refer_counts_from_the_hand_over(house: House) -> None:
    other = extension("251", port=5063).after(3).dials("252").hears_ringing().waits(1).consulted()
    call = played(
        house,
        [
            extension("251").rings(1).answers().hands_over(other),
            other.is_refused(603),
            extension("252").rings(4).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().waits(9).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("ringing", "252"), ("answer", "252"), ("hangup", None)]
    assert _parts(document) == [(1, "251", 1, 3), (1, "252", 3, 3)]


def test_blonde_transfer_by_feature_code(house: House) -> None:
    call = played(house, cases.blonde_by_feature_code(TO_251))
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("ringing", "252"), ("answer", "252"), ("hangup", None)]
    assert [part[:3] for part in _parts(document)] == [(1, "251", 1), (1, "252", 2)]


def test_blonde_transfer_that_nobody_answers(house: House) -> None:
    call = played(house, cases.blonde_in_vain(TO_251))
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("ringing", "252"), ("hangup", None)]
    assert _parts(document) == [(1, "251", 1, 3), (2, "252", 3, 0)]


def test_attended_transfer_that_is_cancelled_was_no_leg(house: House) -> None:
    call = played(house, cases.attended_transfer_cancelled(TO_251))
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("hangup", None)]
    assert (document["sub_cdrs"], document["exten"], document["last_exten"]) == ([], "251", "251")
    assert (document["direction"], document["ringtime"]) == (1, 1)


def test_attended_transfer_to_one_who_is_busy_was_no_leg(house: House) -> None:
    call = played(house, cases.attended_transfer_to_one_who_is_busy(TO_251))
    assert call.events == [*ANSWERED_251, ("hangup", None)]
    assert (call.document["sub_cdrs"], call.document["last_exten"]) == ([], "251")


def test_two_attended_transfers_in_a_row(house: House) -> None:
    call = played(house, cases.two_attended_transfers(TO_251))
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("answer", "252"), ("answer", "221"), ("hangup", None)]
    assert _parts(document) == [(1, "251", 1, 4), (1, "252", 0, 4), (1, "221", 0, 3)]


def test_attended_transfer_to_an_outside_number(house: House) -> None:
    call = played(house, cases.attended_transfer_to_the_outside(Cast("3642999409", port=5062)))
    document = call.document
    check_arithmetic(document)
    assert call.events == [*ANSWERED_251, ("hangup", None)]
    parts = [(p["direction"], p["exten"], p["dst"], p["ringtime"]) for p in document["sub_cdrs"]]
    assert parts == [(1, "251", "3642999409", 1), (0, "251", "36301112222", 0)]
    assert (document["direction"], document["src"]) == (1, CALLER)
    talk_s = document["sub_cdrs"][1]["billsec"]
    assert document["price"] == pytest.approx(1 + 5 * talk_s / 60, abs=0.01), "the outside part costs"
