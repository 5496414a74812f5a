"""The bridge killed five times while a real Asterisk has calls: each is told once, as it was."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from house import House
from phones import Phone, caller, extension
from played import check_arithmetic
from playing import play
from timeline import Lived

pytestmark = pytest.mark.pbx

KILLS = 5


def _answered(number: str) -> list[Phone]:
    return [
        extension("251").rings(1).answers().waits_for_bye(),
        caller(number).dials("3642999409").is_answered().talks(3).hangs_up(),
    ]


def _missed(number: str) -> list[Phone]:
    return [
        extension("251").rings().is_cancelled(),
        caller(number).dials("3642999409").hears_ringing().waits(2).gives_up(),
    ]


def _transferred(number: str) -> list[Phone]:
    return [
        extension("251").rings(1).answers().waits(2).transfers_to("252"),
        extension("252").rings(1).answers().talks(2).hangs_up(),
        caller(number).dials("3642999409").is_answered().waits_for_bye(),
    ]


CALLS: list[tuple[Callable[[str], list[Phone]], list[tuple[int, str]]]] = [
    (_answered, [(1, "251")]),
    (_missed, [(2, "251")]),
    (_transferred, [(1, "251"), (1, "252")]),
]
"""A call, and the direction and extension of each of its parts."""


def test_every_call_is_told_once_although_the_bridge_is_killed_five_times(house: House) -> None:
    before = len(house.receiver.requests_received())
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chances = random.Random(seed)
    played = {f"363012000{turn:02d}": CALLS[turn % len(CALLS)] for turn in range(9)}
    all_played = threading.Event()

    def play_all() -> dict[str, Lived]:
        try:
            return {
                number: play(house.asterisk, phones(number)).of(number)
                for number, (phones, _) in played.items()
            }
        finally:
            all_played.set()

    with ThreadPoolExecutor(1) as playing:
        lived = playing.submit(play_all)
        for _ in range(KILLS):
            # The fault itself: a moment nobody chose.
            all_played.wait(chances.uniform(0.5, 6.0))
            assert not all_played.is_set(), "the calls were over before the last kill"
            house.bridge.kill()
            house.bridge.launch()
        truth = lived.result()
    documents = {document["src"]: document for document in house.documents(len(played), before)}
    assert documents.keys() == played.keys()
    for number, document in documents.items():
        check_arithmetic(document)
        parts = document["sub_cdrs"] or [document]
        assert [(part["direction"], part["exten"]) for part in parts] == played[number][1], document
        assert abs(document["billsec"] - truth[number].talk_s) < 1.5, (document, truth[number])
    _check_requests(house, before, {int(document["id"]) for document in documents.values()})


def _check_requests(house: House, before: int, ids: set[int]) -> None:
    """A repeat is what it repeats; no notice names another call, or comes out of order."""
    bodies: dict[str | None, bytes] = {}
    for request in house.receiver.requests_received()[before:]:
        key = request.header("Idempotency-Key")
        assert bodies.setdefault(key, request.body) == request.body
    events: dict[int, list[str]] = {}
    for notice in house.received("/events", before):
        events.setdefault(notice["id"], []).append(notice["event"])
    assert events.keys() <= ids
    for told in events.values():
        assert "arrival" not in told[1:] and "hangup" not in told[:-1], told
