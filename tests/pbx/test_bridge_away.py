"""The bridge killed, stopped or started while real calls go on: each is told, once."""

from __future__ import annotations

import time

import pytest
from house import House
from phones import caller, extension, line
from played import check_arithmetic
from playing import Playing, play

pytestmark = pytest.mark.pbx

CALLER = "3642999425"


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
