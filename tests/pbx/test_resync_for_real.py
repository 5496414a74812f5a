"""The connection to Asterisk cut, and Asterisk stopped, while real calls go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from house import House
from laboratory import SECOND_PORTS
from phones import caller, extension
from played import check_arithmetic
from playing import Playing, play
from relay import Relay

pytestmark = pytest.mark.pbx

CALLER = "3642999425"


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    with Relay(SECOND_PORTS.ami) as wire:
        yield wire


@pytest.fixture(scope="module")
def house_behind_relay(relay: Relay) -> Iterator[House]:
    with House(SECOND_PORTS, ami_port=relay.port) as running:
        yield running


def events(house: House, since: int) -> list[tuple[str, str | None]]:
    return [(notice["event"], notice["exten"]) for notice in house.received("/events", since)]


def until_they_talk(house: House) -> None:
    """Waits until two channels are in one bridge."""
    deadline = time.monotonic() + 20
    while "simple_bridge" not in house.asterisk.cli("bridge show all"):
        assert time.monotonic() < deadline, "nobody talks"
        time.sleep(0.1)


def test_an_answer_that_was_missed_is_told_late_and_once(house_behind_relay: House, relay: Relay) -> None:
    house = house_behind_relay
    before, mark = len(house.receiver.requests_received()), house.bridge.mark()
    playing = Playing(
        house.asterisk,
        [
            extension("251").rings(3).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().talks(9).hangs_up(),
        ],
    )
    house.bridge.wait_for("call.notice", after=mark, notice="ringing")
    relay.cut()
    house.bridge.wait_for("ami.disconnected", after=mark)
    until_they_talk(house)
    relay.mend()
    house.bridge.wait_for("call.notice", after=mark, notice="answer", exten="251")
    playing.finish()
    [document] = house.documents(1, before)
    check_arithmetic(document)
    assert events(house, before) == [
        ("arrival", None),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert (document["direction"], document["exten"], document["sub_cdrs"]) == (1, "251", [])
    assert (document["ringtime"], document["billsec"]) == (3, 9)


@pytest.mark.parametrize("back_before_it_is_told", [True, False])
def test_a_call_that_ended_meanwhile_is_told_once(
    house_behind_relay: House, relay: Relay, back_before_it_is_told: bool
) -> None:
    house = house_behind_relay
    before, mark = len(house.receiver.requests_received()), house.bridge.mark()
    playing = Playing(
        house.asterisk,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().talks(1).hangs_up(),
        ],
    )
    house.bridge.wait_for("call.notice", after=mark, notice="answer")
    relay.cut()
    playing.finish()
    if not back_before_it_is_told:
        house.documents(1, before)
    relay.mend()
    house.bridge.wait_for("ami.connected", after=mark)
    [document] = house.documents(1, before)
    house.documents(4, before, "/events")
    # Whatever is told twice would have come by the end of another call.
    play(
        house.asterisk,
        [
            extension("252").rings(1).answers().waits_for_bye(),
            extension("251").dials("252").is_answered().talks(1).hangs_up(),
        ],
    )
    assert len(house.documents(1, before)) == 1
    check_arithmetic(document)
    assert events(house, before) == [
        ("arrival", None),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert (document["direction"], document["ringtime"], document["billsec"]) == (1, 1, 1)


def test_a_bridge_started_in_the_middle_of_a_talk_tells_its_end_and_its_tree(
    house_behind_relay: House,
) -> None:
    house = house_behind_relay
    house.bridge.stop()
    before = len(house.receiver.requests_received())
    playing = Playing(
        house.asterisk,
        [
            extension("251").rings(2).answers().waits_for_bye(),
            # A bridge takes some seconds to start on a busy machine.
            caller(CALLER).dials("3642999409").is_answered().talks(14).hangs_up(),
        ],
    )
    until_they_talk(house)
    house.bridge.start()
    playing.finish()
    [document] = house.documents(1, before)
    assert events(house, before) == [("hangup", None)], "what was not seen is not told"
    assert (document["direction"], document["exten"], document["src"]) == (1, "251", CALLER)
    assert (document["ringtime"], document["billsec"], document["duration"]) == (2, 14, 16)


def test_an_asterisk_that_is_stopped_ends_what_was_open_once(house_behind_relay: House) -> None:
    house = house_behind_relay
    before, mark = len(house.receiver.requests_received()), house.bridge.mark()
    playing = Playing(
        house.asterisk,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
        ],
    )
    house.bridge.wait_for("call.notice", after=mark, notice="answer")
    house.asterisk.stop()
    playing.finish()
    house.asterisk.start(anew=False)
    house.bridge.wait_for("ami.connected", after=mark)
    [document] = house.documents(1, before)
    play(
        house.asterisk,
        [
            extension("252").rings(1).answers().waits_for_bye(),
            extension("251").dials("252").is_answered().talks(1).hangs_up(),
        ],
    )
    assert [event for event, _ in events(house, before)].count("hangup") == 1
    assert len(house.documents(1, before)) == 1
    assert (document["direction"], document["exten"]) == (1, "251")
