"""Calls that move from one extension to another, for real."""

from __future__ import annotations

import pytest
from house import House
from phones import caller, extension, line
from played import check_arithmetic, played

pytestmark = pytest.mark.pbx

CALLER = "3642999425"


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
    call = played(
        house,
        [
            extension("200").rings().is_cancelled(),
            caller(CALLER).dials("3642999411").is_answered().waits_for_bye(),
            extension("251").after(3).dials("*8").is_answered().talks(3).hangs_up(),
        ],
    )
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
