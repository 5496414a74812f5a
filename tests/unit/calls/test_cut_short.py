"""AMI lost in the middle of an answered call, for good: with its CDR row it is an answered call all the same.

CDR times are cut to whole seconds, so that a row may seem to end before what AMI saw of the call.
"""

from __future__ import annotations

import pytest
from outcome import NUMBERING
from stored import row

from vipex_bridge.calls import events as ev
from vipex_bridge.calls import testimony
from vipex_bridge.calls.document import CallDocument, Direction
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

SECOND = 1_700_000_044.0
TRUNK, PHONE = "PJSIP/trunk-00000001", "PJSIP/216-00000002"


def snapshot(uniqueid: str, name: str, state: int) -> ev.ChannelSnapshot:
    return ev.ChannelSnapshot(uniqueid, "u.1", name, "36301", "", "from-trunk", "3699", "", state)


def answered_call(start: float, talk_s: float) -> list[ev.CallEvent]:
    """The events of a call that rings for a tenth of a second."""
    line, phone = snapshot("u.1", TRUNK, 4), snapshot("u.2", PHONE, 0)
    over = start + 0.2 + talk_s
    return [
        ev.NewChannel(start, line),
        ev.NewChannel(start + 0.01, phone),
        ev.DialBegin(start + 0.02, line, phone, "PJSIP/216"),
        ev.ChannelChanged(start + 0.03, snapshot("u.2", PHONE, 5)),
        ev.DialState(start + 0.04, line, phone, "RINGING"),
        ev.ChannelChanged(start + 0.15, snapshot("u.2", PHONE, 6)),
        ev.DialEnd(start + 0.16, line, phone, "ANSWER", ""),
        ev.ChannelChanged(start + 0.17, snapshot("u.1", TRUNK, 6)),
        ev.BridgeEnter(start + 0.18, phone, "b", "basic", "simple_bridge"),
        ev.BridgeEnter(start + 0.2, line, "b", "basic", "simple_bridge"),
        ev.BridgeLeave(over, line, "b"),
        ev.BridgeLeave(over + 0.01, phone, "b"),
        ev.HungUp(over + 0.02, phone, 16),
        ev.HungUp(over + 0.03, line, 16),
    ]


def told_after(seen: list[ev.CallEvent], start: float, end: float) -> CallDocument:
    """The document of a bridge that saw these events, was killed, and came back when all was over."""
    before = Tracker(NUMBERING)
    for event in seen:
        list(before.feed(event))
    after = Tracker(NUMBERING)
    for record in before.calls():
        after.restore(CallRecord.from_dict(record.to_dict()))
    list(after.feed(ev.LiveChannels(end + 3, ())))
    fields: dict[str, object] = {
        "channel": TRUNK, "dstchannel": PHONE, "disposition": "ANSWERED", "src": "36301", "lastapp": "Dial",
        "start": start // 1, "answer": (start + 0.16) // 1, "end": end // 1,
    }  # fmt: skip
    written = row("u.1", 1, **fields)
    records = list(after.calls())
    record = records[0] if records else testimony.from_rows([written], NUMBERING)
    if records:
        testimony.add_rows(record, [written], NUMBERING)
    document = build(record, NUMBERING, lambda *_: None)
    assert document is not None
    return document


@pytest.mark.parametrize("talk_s", [0.1, 0.6, 7.5])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.6, 0.83, 0.99])
def test_wherever_it_is_cut_it_was_answered_by_that_extension(fraction: float, talk_s: float) -> None:
    start = SECOND + fraction
    events = answered_call(start, talk_s)
    for cut in range(len(events) + 1):
        main = told_after(events[:cut], start, events[-1].at).main
        assert (main.direction, main.exten) == (Direction.INBOUND, "216"), f"cut after {cut} events"
        assert main.answer_time is not None and abs(main.answer_time - (start + 0.2)) < 1.2
        assert abs(main.hangup_time - events[-1].at) < 1.0
