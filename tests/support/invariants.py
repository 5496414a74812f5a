"""What is true of every call, however it went: for tests over captured and generated calls."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from math import floor
from typing import Any

from captured_rows import CAPTURES
from hypothesis import settings
from hypothesis import strategies as st
from outcome import NUMBERING

from vipex_bridge.ami.translate import replay
from vipex_bridge.calls import events as ev
from vipex_bridge.calls.document import CallDocument, Kind, Notice, Part
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import CONFERENCE_S, build

CASES = sorted(path.parent.name for path in CAPTURES.glob("*/ami.log.gz"))

thorough = settings(
    max_examples=int(os.environ.get("VIPEX_EXAMPLES", "60")), derandomize=True, deadline=None, database=None
)
"""As many examples as VIPEX_EXAMPLES says, the same ones each time."""

Told = tuple[str, str | None]
Draw = Callable[[st.SearchStrategy[Any]], Any]


def events_of(case: str) -> list[ev.CallEvent]:
    """The events of a captured call, in the order in which Asterisk sent them."""
    return list(replay(gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())))


def notices_of(tracker: Tracker, events: Iterable[ev.CallEvent]) -> list[Notice]:
    """What the events make the tracker tell."""
    return [o for event in events for o in tracker.feed(event) if isinstance(o, Notice)]


def told(notices: Iterable[Notice]) -> list[Told]:
    """Each notice as its event and extension."""
    return [(notice.event, notice.exten) for notice in notices]


def document_of(record: CallRecord) -> CallDocument | None:
    """The record's document, without a tariff."""
    return build(record, NUMBERING, lambda *_: None)


def documents_of(tracker: Tracker) -> dict[str, CallDocument | None]:
    """The document of every call that the tracker knows, by the call's key."""
    return {record.key: document_of(record) for record in tracker.calls()}


def up_after(events: Iterable[ev.CallEvent], at: float) -> ev.LiveChannels:
    """What Asterisk would list after these events."""
    channels: dict[str, ev.ChannelSnapshot] = {}
    bridges: dict[str, ev.BridgeEnter] = {}
    for event in events:
        match event:
            case ev.NewChannel() | ev.ChannelChanged():
                channels[event.channel.uniqueid] = event.channel
            case ev.HungUp():
                channels.pop(event.channel.uniqueid, None)
                bridges.pop(event.channel.uniqueid, None)
            case ev.BridgeEnter():
                bridges[event.channel.uniqueid] = event
            case ev.BridgeLeave():
                bridges.pop(event.channel.uniqueid, None)
    kinds = {entered.bridge: (entered.bridge_type, entered.technology) for entered in bridges.values()}
    live = tuple(
        ev.LiveBridge(bridge, *kind, tuple(u for u, entered in bridges.items() if entered.bridge == bridge))
        for bridge, kind in kinds.items()
    )
    return ev.LiveChannels(at, tuple(channels.values()), live)


def missed_meanwhile(
    events: Sequence[ev.CallEvent], cut: int, back: int, *, stopped: bool
) -> tuple[list[Notice], Tracker]:
    """What is told if the events from `cut` to `back` are missed.

    `stopped`: the bridge itself was away, and goes on with what it had journalled.
    """
    tracker = Tracker(NUMBERING)
    notices = notices_of(tracker, events[:cut])
    if stopped:
        journal = [json.dumps(record.to_dict()) for record in tracker.calls()]
        tracker = Tracker(NUMBERING)
        for line in journal:
            tracker.restore(CallRecord.from_dict(json.loads(line)))
    at = events[back].at
    again: list[ev.CallEvent] = [ev.ConnectionLost(at), up_after(events[:back], at)]
    return [*notices, *notices_of(tracker, [*again, *events[back:]])], tracker


def at_random(draw: Draw, calls: Sequence[list[ev.CallEvent]]) -> list[tuple[int, ev.CallEvent]]:
    """The events of several calls mixed, each call's in their own order, with the call's place."""
    turns = [number for number, events in enumerate(calls) for _ in events]
    rest = [iter(events) for events in calls]
    return [(number, next(rest[number])) for number in draw(st.permutations(turns))]


def check_each_as_alone(mixed: Sequence[tuple[int, ev.CallEvent]]) -> None:
    """Calls at once are told, and become documents, as if each were alone."""
    together = Tracker(NUMBERING)
    heard: dict[int, list[Notice]] = {}
    for number, event in mixed:
        heard.setdefault(number, []).extend(notices_of(together, [event]))
    documents = documents_of(together)
    for number, notices in heard.items():
        alone = Tracker(NUMBERING)
        assert notices_of(alone, [event for of, event in mixed if of == number]) == notices
        for key, document in documents_of(alone).items():
            assert documents.pop(key) == document
    assert documents == {}


def check_notices(notices: Sequence[Notice]) -> None:
    """Every call of which something is told has its arrival first, and one hangup, last."""
    for key in {notice.call.key for notice in notices}:
        own = [notice.event for notice in notices if notice.call.key == key]
        assert own.count("hangup") == 1, own
        assert own[-1] == "hangup", own
        assert own.count("arrival") == 1, own
        assert own[0] == "arrival", own
    for notice in notices:
        _check_names(asdict(notice))


def check_nothing_else(said: Sequence[Told], right: Sequence[Told]) -> None:
    """Nothing is told that did not happen, nothing more often than it happened, nothing after the hangup."""
    assert _only_of(said, right), (said, right)
    assert "hangup" not in [event for event, _ in said[:-1]], said


def check_ringing(tracker: Tracker, notices: Sequence[Notice]) -> None:
    """Each channel rings, and is answered, once at most; when all is over none rings any more."""
    for record in tracker.calls():
        assert record.is_over(), record.key
        assert all(dial.end is not None for dial in record.dials), record.dials
        assert all(talk.end is not None for talk in record.talks), record.talks
        assert len(record.rung) == len(set(record.rung)), record.rung
        assert len(record.answered) == len(set(record.answered)), record.answered
    records = list(tracker.calls())
    rung = [record.channels[uniqueid].extension for record in records for uniqueid in record.rung]
    assert _only_of([n.exten for n in notices if n.event == "ringing"], rung), (told(notices), rung)
    assert len([n for n in notices if n.event == "answer"]) <= sum(len(record.answered) for record in records)


def check_document(document: CallDocument) -> None:
    """The parts lie inside the call, their times in order; serial legs tile it."""
    main = document.main
    for part in (main, *document.legs, *document.all_legs):
        _check_part(part, main)
        # What rings is not answered yet; the whole call may ring again after its first answer.
        assert part is main or part.answer_time is None or part.ringtime + part.billsec <= part.duration, part
    _check_names(asdict(document))
    if not document.legs:
        return
    assert document.legs[0].start_time == main.start_time
    if not any(_talked_together(leg, following) for leg, following in pairwise(document.legs)):
        assert document.legs[-1].hangup_time == main.hangup_time
    for leg, following in pairwise(document.legs):
        assert leg.start_time <= following.start_time, (leg, following)
        gap_s = following.start_time - leg.hangup_time
        assert gap_s == 0 or _talked_together(leg, following), (leg, following)


def check_all(tracker: Tracker, notices: Sequence[Notice]) -> None:
    """All of this of all the calls that a tracker was told of from their first event to their last."""
    check_notices(notices)
    check_ringing(tracker, notices)
    for document in documents_of(tracker).values():
        if document is not None:
            check_document(document)
            if document.kind is Kind.INBOUND:
                assert "hangup" in [notice.event for notice in notices]


def _check_part(part: Part, main: Part) -> None:
    assert main.start_time <= part.start_time <= part.hangup_time <= main.hangup_time, (part, main)
    assert 0 <= part.billsec <= part.duration, part
    assert 0 <= part.ringtime <= part.duration, part
    assert part.duration == floor(part.hangup_time) - floor(part.start_time)
    if part.answer_time is None:
        assert part.billsec == 0
    else:
        assert part.start_time <= part.answer_time <= part.hangup_time, part


def _talked_together(leg: Part, following: Part) -> bool:
    """Two extensions that heard the caller at once, as in a conference: their legs may overlap."""
    if leg.answer_time is None or following.answer_time is None:
        return False
    return leg.hangup_time - following.answer_time > CONFERENCE_S


def _check_names(value: Any) -> None:
    for text in _texts(value):
        assert "Local/" not in text, text
        assert ";1" not in text, text
        assert ";2" not in text, text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _only_of(these: Sequence[Any], those: Sequence[Any]) -> bool:
    left = list(those)
    for one in these:
        if one not in left:
            return False
        left.remove(one)
    return True
