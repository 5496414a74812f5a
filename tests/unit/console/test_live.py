"""The calls that are up, and whether anything has moved."""

from __future__ import annotations

from outcome import NUMBERING
from story import inbound_example, outgoing_example, retold

from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.console.live import live_calls, signature


def test_each_step_of_a_call_is_a_change_and_time_alone_is_none() -> None:
    tracker = Tracker(NUMBERING)
    seen = [signature(tracker.calls())]
    for event in inbound_example(1000.0).events:
        tracker.feed(event)
        assert signature(tracker.calls()) == signature(tracker.calls())
        seen.append(signature(tracker.calls()))
    shown = []
    again = Tracker(NUMBERING)
    for event in inbound_example(1000.0).events:
        again.feed(event)
        calls = live_calls(again.calls(), 5000.0)
        shown.append([(c.key, [(p.name, p.doing, p.since) for p in c.parties]) for c in calls])
    for number in range(1, len(shown)):
        # Whatever a reader would see differently was noticed.
        assert shown[number] == shown[number - 1] or seen[number + 1] != seen[number]
    assert seen[-1] == seen[0]


def test_several_calls_stand_in_order_of_their_beginning() -> None:
    tracker = Tracker(NUMBERING)
    for number, story in enumerate((inbound_example(1010.0), outgoing_example(1000.0))):
        for event in retold(story.events[:-4], number):
            tracker.feed(event)
    calls = live_calls(tracker.calls(), 1030.0)
    assert [(call.kind, call.src) for call in calls] == [("outbound", "1102"), ("inbound", "3642999425")]


def test_an_extension_that_rang_in_vain_is_gone_and_who_waits_is_there() -> None:
    tracker = Tracker(NUMBERING)
    story = inbound_example(1000.0)
    for event in story.events:
        if event.at <= 1004.02:
            tracker.feed(event)
    [call] = live_calls(tracker.calls(), 1006.0)
    assert [(party.role, party.doing.value, party.detail) for party in call.parties] == [
        ("caller", "queue", "18"),
        ("extension", "dialling", ""),
    ]
    assert call.parties[0].since == 1004.0
