"""The connection to Asterisk lost for a while, at every place of every recorded call.

What is up afterwards (`LiveChannels`) is made of the recorded stream itself; nothing is told twice,
nothing wrong, and whoever talks with the caller afterwards has been told.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from captured_rows import CAPTURES
from invariants import events_of, up_after
from outcome import NUMBERING

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.document import Notice
from vipex_bridge.calls.tracker import Tracker

CASES = sorted(path.parent.name for path in CAPTURES.glob("*/ami.log.gz"))


def told(tracker: Tracker, events: Iterable[ev.CallEvent]) -> list[tuple[str, str | None, str]]:
    """The notices: event, exten, and which call's."""
    outputs = [output for event in events for output in tracker.feed(event)]
    return [(o.event, o.exten, o.call.key) for o in outputs if isinstance(o, Notice)]


@pytest.mark.parametrize("away_events", [1, 7, 25])
@pytest.mark.parametrize("case", CASES)
def test_a_connection_lost_for_a_while_tells_nothing_twice_and_nothing_wrong(
    case: str, away_events: int
) -> None:
    events = events_of(case)
    right = told(Tracker(NUMBERING), events)
    for cut in range(len(events)):
        back = min(cut + away_events, len(events) - 1)
        at = events[back].at
        meanwhile: list[ev.CallEvent] = [ev.ConnectionLost(at), up_after(events[:back], at)]
        said = told(Tracker(NUMBERING), [*events[:cut], *meanwhile, *events[back:]])
        assert len(said) == len(set(said)) or len(right) != len(set(right)), (cut, said)
        assert set(said) <= set(right), (cut, said)
        for call in {notice[2] for notice in said}:
            own = [notice for notice in said if notice[2] == call]
            assert [notice[0] for notice in own].count("hangup") <= 1
            assert "hangup" not in [notice[0] for notice in own[:-1]]


@pytest.mark.parametrize("case", ["b_inbound_simple", "d_ring_group", "e1_blind_refer", "f4_blonde_code"])
def test_an_answer_that_was_missed_is_told_late_and_once(case: str) -> None:
    events = events_of(case)
    right = told(Tracker(NUMBERING), events)
    answer = next(n for n, event in enumerate(events) if isinstance(event, ev.BridgeEnter)) - 3
    talking = next(
        n
        for n in range(len(events))
        if any(len(bridge.channels) == 2 for bridge in up_after(events[: n + 1], 0.0).bridges)
    )
    at = events[talking].at
    gone: list[ev.CallEvent] = [ev.ConnectionLost(at), up_after(events[: talking + 1], at)]
    assert told(Tracker(NUMBERING), [*events[:answer], *gone, *events[talking + 1 :]]) == right


@pytest.mark.parametrize("case", CASES)
def test_an_asterisk_that_stops_ends_every_call_once(case: str) -> None:
    events = events_of(case)
    for cut in range(1, len(events), 3):
        at = events[cut].at
        end: list[ev.CallEvent] = [
            ev.ServerStopped(at),
            ev.ConnectionLost(at),
            ev.ServerStarted(at + 1),
            ev.LiveChannels(at + 2, ()),
        ]
        tracker = Tracker(NUMBERING)
        said = told(tracker, [*events[:cut], *end])
        assert all(record.is_over() for record in tracker.calls())
        arrivals = [notice[2] for notice in said if notice[0] == "arrival"]
        assert sorted(arrivals) == sorted(n[2] for n in said if n[0] == "hangup")
