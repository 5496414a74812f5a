"""A channel that the list of what is up names just before its own `Newchannel` comes."""

from __future__ import annotations

import pytest
from captured_rows import CAPTURES
from invariants import events_of, notices_of, told, up_after
from outcome import NUMBERING

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.tracker import Tracker

CASES = sorted(path.parent.name for path in CAPTURES.glob("*/ami.log.gz"))


@pytest.mark.parametrize("case", CASES)
def test_a_channel_listed_before_its_own_event_loses_no_notice(case: str) -> None:
    """Asterisk 22 does so: the list reads channels as they are, events take a way of their own."""
    events = events_of(case)
    right = told(notices_of(Tracker(NUMBERING), events))
    for place, event in enumerate(events):
        if isinstance(event, ev.NewChannel):
            listed = up_after(events[: place + 1], event.at)
            late = [*events[:place], ev.ConnectionLost(event.at), listed, *events[place:]]
            if place == 0:
                late = [listed, *events]
            tracker = Tracker(NUMBERING)
            assert told(notices_of(tracker, late)) == right, place
