"""The bridge killed, stopped or started while calls go on: each is told once, as if it had been there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from house import House
from phones import Phone, caller, extension, line
from played import check_arithmetic, played, seconds
from playing import Playing, play

pytestmark = pytest.mark.pbx

CALLER = "3642999425"

STORIES: dict[str, Callable[[], list[Phone]]] = {
    "answered": lambda: [
        extension("251").rings(2).answers().waits_for_bye(),
        caller(CALLER).dials("3642999409").is_answered().talks(2).hangs_up(),
    ],
    "missed": lambda: [
        extension("251").rings().is_cancelled(),
        caller(CALLER).dials("3642999409").hears_ringing().waits(2).gives_up(),
    ],
    "ring group": lambda: [
        extension("200").rings().is_cancelled(),
        extension("251").rings(2).answers().waits_for_bye(),
        caller(CALLER).dials("3642999410").is_answered().talks(2).hangs_up(),
    ],
    "queue": lambda: [
        extension("221").rings(1).refuses(),
        extension("251").rings(2).answers().waits_for_bye(),
        caller(CALLER).dials("3642999412").is_answered().waits(5).hangs_up(),
    ],
    "blind transfer": lambda: [
        extension("251").rings(1).answers().waits(2).transfers_to("252"),
        extension("252").rings(2).answers().talks(2).hangs_up(),
        caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
    ],
    "attended transfer": lambda: [
        extension("251").rings(1).answers().waits(2).presses("*2", 0.2).waits(1)
        .presses("252", 0.2).waits(6).hangs_up(),
        extension("252").rings(2).answers().waits_for_bye(),
        caller(CALLER).dials("3642999409").is_answered().waits(15).hangs_up(),
    ],
    "pickup": lambda: [
        extension("200").rings().is_cancelled(),
        caller(CALLER).dials("3642999411").is_answered().waits_for_bye(),
        extension("251").after(3).dials("*8").is_answered().talks(2).hangs_up(),
    ],
}  # fmt: skip


def _content(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The whole and its parts without what is another in each call: times count from the call's start."""
    own = ("id", "main_reference_id", "monitor_file_name", "monitor_file", "sub_cdrs", "price")
    start = {"start_time": document["start_time"]}
    content = []
    for part in [document, *document["sub_cdrs"]]:
        fields = {name: value for name, value in part.items() if name not in own}
        for name in ("start_time", "answer_time", "hangup_time"):
            fields[name] = seconds({**start, "moment": part[name]}, "moment")
        content.append({**fields, "is_recorded": part["monitor_file"] is not None})
    return content


@pytest.mark.parametrize("story", STORIES)
def test_a_call_without_the_bridge_is_told_as_with_it(house: House, story: str) -> None:
    there = played(house, STORIES[story]()).document
    before = len(house.receiver.requests_received())
    house.bridge.stop()
    play(house.asterisk, STORIES[story]())
    house.bridge.start()
    [away] = house.documents(1, before)
    check_arithmetic(away)
    for told_away, told_there in zip(_content(away), _content(there), strict=True):
        for name, value in told_there.items():
            # Two calls never fall alike into whole seconds.
            is_time = name in ("answer_time", "hangup_time", "start_time", "duration", "billsec", "ringtime")
            expected = pytest.approx(value, abs=1) if is_time and value is not None else value
            assert (name, told_away[name]) == (name, expected)
    assert house.received("/events", before) == []


def test_what_happened_after_the_bridge_was_killed_is_told_from_what_asterisk_logged(house: House) -> None:
    before, mark = len(house.receiver.requests_received()), house.bridge.mark()
    playing = Playing(house.asterisk, STORIES["blind transfer"]())
    house.bridge.wait_for("call.notice", after=mark, notice="answer")
    house.bridge.kill()
    playing.finish()
    house.bridge.start()
    [document] = house.documents(1, before)
    check_arithmetic(document)
    parts = [(p["direction"], p["exten"], p["ringtime"], p["billsec"]) for p in document["sub_cdrs"]]
    assert parts == [(1, "251", 1, 2), (1, "252", 2, 2)]
    assert document["src"] == CALLER


def test_a_bridge_started_in_mid_call_tells_it_from_its_beginning(house: House) -> None:
    before = len(house.receiver.requests_received())
    house.bridge.stop()
    playing = Playing(
        house.asterisk,
        [
            extension("221").rings(1).refuses(),
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999412").is_answered().waits(8).hangs_up(),
        ],
    )
    deadline = time.monotonic() + 10
    while "2 active channels" not in house.asterisk.cli("core show channels count"):
        assert time.monotonic() < deadline, "251 is not rung"
    house.bridge.start()
    playing.finish()
    [document] = house.documents(1, before)
    check_arithmetic(document)
    assert (document["dst"], document["cc_call"], document["duration"]) == ("3642999412", 18, 8)
    assert [(p["direction"], p["exten"]) for p in document["sub_cdrs"]] == [(2, "221"), (1, "251")]


def test_a_bridge_killed_during_a_call_tells_it_afterwards(house: House) -> None:
    before, mark = len(house.receiver.requests_received()), house.bridge.mark()
    playing = Playing(
        house.asterisk,
        [
            extension("251").rings(2).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().talks(5).hangs_up(),
        ],
    )
    house.bridge.wait_for("call.notice", after=mark, notice="answer")
    house.bridge.kill()
    house.bridge.start()
    playing.finish()
    [document] = house.documents(1, before)
    check_arithmetic(document)
    assert (document["direction"], document["exten"], document["billsec"]) == (1, "251", 5)
    assert document["ringtime"] == 2, "what was journalled before the kill is not forgotten"
    events = [(notice["event"], notice["id"]) for notice in house.received("/events", before)]
    assert events == [(event, document["id"]) for event in ("arrival", "ringing", "answer", "hangup")]


def test_a_call_that_the_bridge_never_saw_is_told_from_its_rows(house: House) -> None:
    before = len(house.receiver.requests_received())
    house.bridge.stop()
    play(
        house.asterisk,
        [
            line().waits(1).rings(2).answers().waits_for_bye(),
            extension("1102").dials("36301234576").is_answered().talks(2).hangs_up(),
        ],
    )
    house.bridge.start()
    [document] = house.documents(1, before)
    check_arithmetic(document)
    assert (document["direction"], document["src"], document["dst"]) == (0, "1102", "36301234576")
    assert document["billsec"] == 2
    assert house.received("/events", before) == []


def test_a_call_is_told_once_whatever_is_restarted_afterwards(house: House) -> None:
    before = len(house.receiver.requests_received())
    play(house.asterisk, [caller(CALLER).dials("3642999414").is_answered().waits(1).hangs_up()])
    house.documents(1, before)
    house.bridge.kill()
    house.bridge.start()
    play(house.asterisk, [caller(CALLER).dials("3642999414").is_answered().waits(1).hangs_up()])
    documents = house.documents(2, before)
    assert len({document["id"] for document in documents}) == 2 == len(documents)


def test_an_asterisk_killed_during_a_call_ends_it_once(house: House) -> None:
    before, mark = len(house.receiver.requests_received()), house.bridge.mark()
    playing = Playing(
        house.asterisk,
        [
            extension("251").rings(1).answers().waits(4),
            caller(CALLER).dials("3642999409").is_answered().waits(4),
        ],
    )
    house.bridge.wait_for("call.notice", after=mark, notice="answer")
    house.asterisk.kill()
    house.asterisk.start(anew=False)
    playing.finish()
    house.bridge.wait_for("call.notice", 30, after=mark, notice="hangup")
    events = [notice["event"] for notice in house.received("/events", before)]
    assert events.count("hangup") == 1
    # It has no CDR row: after a minute it is told from what was seen.
    document = house.documents(1, before, timeout_s=90)[0]
    assert (document["direction"], document["exten"]) == (1, "251")


def test_it_stops_within_five_seconds(house: House) -> None:
    began = time.monotonic()
    house.bridge.stop()
    assert time.monotonic() - began < 5
    house.bridge.start()
