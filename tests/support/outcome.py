"""What the domain makes of a story: for tests."""

from __future__ import annotations

import re
from decimal import Decimal

from story import Story

from vipex_bridge.calls.document import CallDocument, Notice
from vipex_bridge.calls.numbering import Numbering, User
from vipex_bridge.calls.tracker import Ended, Tracker
from vipex_bridge.calls.tree import build

NUMBERING = Numbering(("PJSIP/trunk*",), re.compile(r"^\d{2,4}$"), {"1102": User(6, "+3612345678", "12")})


def told(story: Story, numbering: Numbering = NUMBERING) -> tuple[list[Notice], CallDocument | None]:
    """What is told live, and the document afterwards."""
    tracker = Tracker(numbering)
    outputs = [output for event in story.events for output in tracker.feed(event)]
    assert [type(output) for output in outputs][-1] is Ended
    record = tracker.call(story.linkedid)
    assert record is not None
    notices = [output for output in outputs if isinstance(output, Notice)]
    return notices, build(record, numbering, lambda number, billsec, at: Decimal("1.25"))
