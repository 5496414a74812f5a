"""Calls that are played side by side in a house with many telephones; each is known by its outside number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from house import House
from parts import tree
from phones import Phone
from played import Played, check_arithmetic
from playing import Playing
from timeline import Lived, Timeline


class Told(dict[str, Played]):
    """What came of an act's calls, by their outside number; `lived` is what the telephones saw of all."""

    lived: Timeline

    def __missing__(self, number: str) -> Played:
        raise KeyError(f"of {number} nothing was told, but of {sorted(self)}")


def told(
    house: House,
    phones: list[Phone],
    calls: int,
    meanwhile: Callable[[], None] = lambda: None,
    overlapping: tuple[str, ...] = (),
) -> Told:
    """Plays the telephones, with `meanwhile` once they are up, and waits until so many calls were told.

    The legs of the calls of the numbers in `overlapping` overlap; those of all others tile them.
    """
    before = len(house.receiver.requests_received())
    playing = Playing(house.asterisk, phones)
    meanwhile()
    lived = playing.finish()
    documents = house.documents(calls, before)
    all_legs = {d["id"]: d for d in house.documents(calls, before, "/cdr-all")}
    notices = house.received("/events", before)
    assert len(documents) == calls
    assert "cdr.source_failed" not in house.bridge.log()
    found = Told()
    found.lived = lived
    for document in documents:
        if document["other_party_number"] not in overlapping:
            check_arithmetic(document)
        own = [notice for notice in notices if notice["id"] == document["id"]]
        call = found.setdefault(document["other_party_number"], Played())
        call.notices += own
        call.events += [(notice["event"], notice["exten"]) for notice in own]
        call.documents.append(document)
        call.all_legs.append(all_legs[document["id"]])
    return found


def fields(call: Played) -> tuple[int, str | None, str | None, list[Any]]:
    """What most cases are told by."""
    document = call.document
    return document["direction"], document["exten"], document["last_exten"], document["sub_cdrs"]


def parties(call: Played) -> list[tuple[int, str]]:
    """The parts in order, as (direction, exten)."""
    return [part[:2] for part in tree(call.document)]


def is_as_lived(part: dict[str, Any], phone: Lived) -> bool:
    """Whether it rang and talked as long as that telephone did; whole seconds are cut off at both ends."""
    talked_s = phone.talk_s if part["answer_time"] is not None else 0.0
    off_s: tuple[float, float] = abs(part["ringtime"] - phone.ring_s), abs(part["billsec"] - talked_s)
    return max(off_s) <= 1


def recorded(call: Played) -> str:
    """The recording's name, without what differs from day to day."""
    return re.sub(r"\d{8}-\d{6}-\d+\.\d+", "DAY-TIME-ID", call.document["monitor_file_name"])


def live(*told: str) -> list[tuple[str, str | None]]:
    """What is notified of an inbound call: its arrival, these events ("ringing 201"), its end."""
    events = [told_one.split(" ") for told_one in told]
    return [("arrival", None), *((event, exten) for event, exten in events), ("hangup", None)]
