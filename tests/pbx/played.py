"""A call that was played, and all that the receiver got of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from house import House
from phones import Phone
from playing import play

from vipex_bridge.receive.show import ReceivedRequest


@dataclass
class Played:
    """What came during one test, by client."""

    requests: list[ReceivedRequest] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, str | None]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    all_legs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        """The one call that was told."""
        assert len(self.documents) == 1, [d["id"] for d in self.documents]
        return self.documents[0]

    def events_of(self, call_id: int) -> list[tuple[str, str | None]]:
        """The notifications of one call, as (event, exten), in the order of their arrival."""
        return [(n["event"], n["exten"]) for n in self.notices if n["id"] == call_id]


def played(house: House, phones: list[Phone], calls: int = 1) -> Played:
    """Plays the phones and waits until `calls` calls were told to both billing clients."""
    before = len(house.receiver.requests_received())
    play(house.asterisk, phones)
    documents = house.documents(calls, before)
    all_legs = house.documents(calls, before, "/cdr-all")
    notices = house.received("/events", before)
    return Played(
        requests=house.receiver.requests_received()[before:],
        notices=notices,
        events=[(notice["event"], notice["exten"]) for notice in notices],
        documents=sorted(documents, key=lambda document: int(document["id"])),
        all_legs=all_legs,
    )


def seconds(document: dict[str, Any], field_name: str) -> int | None:
    """A time of the document, in seconds from the call's start; None when it is null."""
    if document[field_name] is None:
        return None
    moment = datetime.fromisoformat(document[field_name])
    return round((moment - datetime.fromisoformat(document["start_time"])).total_seconds())


def check_arithmetic(document: dict[str, Any]) -> None:
    """What must hold for every call: lengths fit times, serial parts tile the whole."""
    for part in [document, *document["sub_cdrs"]]:
        assert part["duration"] == seconds(part, "hangup_time")
        answered = seconds(part, "answer_time")
        assert part["billsec"] == (part["duration"] - answered if answered is not None else 0)
        assert 0 <= part["ringtime"] <= part["duration"]
    parts = document["sub_cdrs"]
    if parts:
        assert parts[0]["start_time"] == document["start_time"]
        assert parts[-1]["hangup_time"] == document["hangup_time"]
        assert [p["hangup_time"] for p in parts[:-1]] == [p["start_time"] for p in parts[1:]]
        assert sum(p["duration"] for p in parts) == document["duration"]
        assert sum(p["ringtime"] for p in parts) == document["ringtime"]
        assert document["id"] < min(p["id"] for p in parts)
