"""A call's time line, and how each leg came about, over recorded calls."""

from __future__ import annotations

import gzip

import pytest
from captured_rows import CAPTURES
from outcome import NUMBERING

from vipex_bridge.ami.translate import replay
from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.timeline import came_by, timeline
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build


def played(case: str) -> tuple[CallRecord, CallDocument]:
    tracker = Tracker(NUMBERING)
    for event in replay(gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())):
        tracker.feed(event)
    (record,) = tracker.calls()
    document = build(record, NUMBERING, lambda *_: None)
    assert document is not None
    return record, document


@pytest.mark.parametrize(
    ("case", "reasons"),
    [
        ("b_inbound_simple", [""]),
        ("e1_blind_refer", ["", "put through by extension 251 (blind transfer)"]),
        ("f5_blonde_refer", ["", "put through by extension 251 (attended transfer)"]),
        (
            "f8_atxfer_twice",
            [
                "",
                "put through by extension 251 (attended transfer)",
                "put through by extension 252 (attended transfer)",
            ],
        ),
        ("f2_atxfer_outside", ["", "put through by extension 251 (attended transfer)"]),
        ("g1_pickup_code", ["", "picked up the call that rang at extension 200"]),
        ("k1_park_code", ["", "took the call out of 701"]),
        ("k4_park_timeout", ["", "rang again after nobody had taken the call out of 701"]),
        ("l2_forward_302_internal", ["", ""]),
        ("h6_outbound_blind", ["", "put through by extension 1102 (blind transfer)"]),
    ],
)
def test_each_leg_says_how_it_came_about(case: str, reasons: list[str]) -> None:
    record, document = played(case)
    assert [came_by(record, part) for part in document.legs or (document.main,)] == reasons


def test_a_parked_call_is_told_moment_by_moment() -> None:
    record, document = played("k1_park_code")
    lines = timeline(record)
    assert [at for at, _ in lines] == sorted(at for at, _ in lines)
    said = [what for _, what in lines]
    order = [
        "3642999425 on PJSIP/trunk calls 3642999409",
        "extension 251 is dialled",
        "extension 251 rings",
        "extension 251 talks with the outside party",
        "3642999425 on PJSIP/trunk is parked in 701",
        "extension 251 sends the other party on to 700 (blind transfer)",
        "extension 252 takes the call out of 701",
    ]
    places = [said.index(what) for what in order]
    assert places == sorted(places)
    assert document.main.hangup_time in [at for at, what in lines if "hangs up" in what]
