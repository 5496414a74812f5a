"""Queues and voicemail, for real: who was tried, who took the call, and what is told meanwhile."""

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
FIRST = "251"
"""The member of queue 19 that Asterisk dials first: ringall goes by a hash of the members' names."""


def test_queue_that_rings_all_and_one_answers(house: House) -> None:
    call = played(
        house,
        [
            extension("221").rings().is_cancelled(),
            extension("251").waits(0.3).rings(1.7).answers().waits_for_bye(),
            caller(CALLER).dials("3642999420").is_answered().waits(3).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "221"),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "251", "251")
    assert lengths(document) == (3, 2, 1)
    assert (document["src"], document["cc_call"], document["sub_cdrs"]) == (CALLER, 19, [])
    assert sorted(tree(call.all_legs[0])) == [(1, "251", 2, 1), (2, "221", 2, 0)]
    assert call.all_legs[0]["cc_call"] == 1


def test_queue_that_rings_all_in_vain(house: House) -> None:
    call = played(house, cases.queue_rings_all_in_vain(Cast("3642999420", "251", "221")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "221"), ("ringing", "251"), ("hangup", None)]
    assert (document["direction"], document["answer_time"], document["exten"]) == (2, None, FIRST)
    assert lengths(document) == (3, 3, 0)
    assert (document["cc_call"], document["sub_cdrs"]) == (19, [])
    assert sorted(tree(call.all_legs[0])) == [(2, "221", 3, 0), (2, "251", 3, 0)]


def test_caller_gives_up_while_a_queue_rings_all(house: House) -> None:
    call = played(
        house,
        [
            extension("221").rings().is_cancelled(),
            extension("251").waits(0.3).rings().is_cancelled(),
            caller(CALLER).dials("3642999420").is_answered().waits(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "221"), ("ringing", "251"), ("hangup", None)]
    assert (document["direction"], document["answer_time"], document["exten"]) == (2, None, FIRST)
    assert lengths(document) == (2, 2, 0)
    assert (document["cc_call"], document["sub_cdrs"]) == (19, [])


def test_queue_member_rejects_and_the_next_answers(house: House) -> None:
    call = played(
        house,
        [
            extension("221").rings(1).refuses(),
            extension("251").rings(2).answers().waits_for_bye(),
            caller(CALLER).dials("3642999412").is_answered().waits(4).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "221"),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert tree(document) == [(2, "221", 1, 0), (1, "251", 2, 1)]
    assert [part["cc_call"] for part in document["sub_cdrs"]] == [18, 18]
    assert (document["direction"], document["exten"], document["last_exten"]) == (1, "221", "251")
    assert (lengths(document), document["cc_call"]) == ((4, 3, 1), 18)


def test_queue_member_is_tried_twice_in_vain(house: House) -> None:
    call = played(house, cases.queue_tries_twice_in_vain(Cast("3642999421")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("ringing", "251"), ("hangup", None)]
    assert tree(document) == [(2, "251", 2, 0), (2, "251", 1, 0)]
    assert [part["cc_call"] for part in document["sub_cdrs"]] == [20, 20]
    assert (document["direction"], document["answer_time"], lengths(document)) == (2, None, (4, 3, 0))


def test_queue_member_answers_the_second_try(house: House) -> None:
    call = played(house, cases.queue_is_answered_at_the_second_try(Cast("3642999421")))
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "251"),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert tree(document) == [(2, "251", 2, 0), (1, "251", 1, 1)]
    assert [part["cc_call"] for part in document["sub_cdrs"]] == [20, 20]
    assert (document["direction"], document["exten"], lengths(document)) == (1, "251", (5, 3, 1))


def test_voicemail_takes_what_nobody_answers(house: House) -> None:
    call = played(
        house,
        [
            extension("200").rings().is_cancelled(),
            caller(CALLER).dials("3642999429").is_answered().waits(1).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "200"), ("hangup", None)]
    assert (document["direction"], document["exten"], document["answer_time"]) == (2, "200", None)
    assert (lengths(document), document["sub_cdrs"]) == ((3, 2, 0), [])
