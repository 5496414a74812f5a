"""Two calls of the same two numbers in the same second, for real: each is told as its own."""

from __future__ import annotations

from typing import Any

import cases
import pytest
from cases import Cast
from house import House
from parts import lengths
from played import Played, check_arithmetic, played

pytestmark = pytest.mark.pbx

CALLER, MOBILE = "3642999425", "36301112222"


def check_apart(call: Played) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two calls alike in all that is written of them, and yet two; the shorter one first."""
    first, second = sorted(call.documents, key=lambda document: int(document["duration"]))
    for document in (first, second):
        check_arithmetic(document)
    alike = ("direction", "start_time", "src", "dst", "exten", "last_exten", "ringtime", "answer_time")
    assert [first[name] for name in alike] == [second[name] for name in alike]
    for different in ("id", "monitor_file_name", "main_reference_id", "monitor_file"):
        assert first[different] != second[different], different
    assert first["sub_cdrs"] == second["sub_cdrs"] == []
    assert {document["id"] for document in call.all_legs} == {first["id"], second["id"]}
    return first, second


def test_two_inbound_calls_of_the_same_numbers_in_the_same_second(house: House) -> None:
    call = played(house, cases.one_number_calls_twice(Cast("3642999409")), calls=2)
    first, second = check_apart(call)
    assert (first["src"], first["dst"], first["exten"], first["direction"]) == (
        CALLER,
        "3642999409",
        "251",
        1,
    )
    assert (lengths(first), lengths(second)) == ((3, 2, 1), (4, 2, 2))
    for document in (first, second):
        told = [("arrival", None), ("ringing", "251"), ("answer", "251"), ("hangup", None)]
        assert call.events_of(document["id"]) == told
        notices = [notice for notice in call.requests if notice.path == "/calls"]
        assert sum(f'"id": {document["id"]},'.encode() in notice.body for notice in notices) == 4


def test_two_outbound_calls_of_the_same_numbers_in_the_same_second(house: House) -> None:
    call = played(house, cases.one_mobile_is_called_twice(Cast(first="1102")), calls=2)
    first, second = check_apart(call)
    assert (first["src"], first["dst"], first["exten"], first["direction"]) == ("1102", MOBILE, "1102", 0)
    assert (lengths(first), lengths(second)) == ((3, 2, 1), (4, 2, 2))
    assert call.events == []


def test_two_colleagues_who_call_the_same_colleague_leave_a_caller_to_him_alone(house: House) -> None:
    """251 has three calls in the same second; only the one from outside is told."""
    call = played(house, cases.two_colleagues_and_a_caller(Cast("3642999409", third="200")))
    check_arithmetic(call.document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("answer", "251"), ("hangup", None)]
    assert {notice["id"] for notice in call.notices} == {call.document["id"]}
    assert (call.document["src"], call.document["sub_cdrs"], lengths(call.document)) == (
        CALLER,
        [],
        (4, 2, 2),
    )
