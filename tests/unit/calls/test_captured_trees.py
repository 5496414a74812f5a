"""Recorded calls played from their AMI streams: what is told live, and the tree afterwards.

Each line gives the legs as (direction, exten, ringtime, seconds of talk); the same calls are placed for
real in `tests/pbx`.
"""

from __future__ import annotations

import gzip
from decimal import Decimal

import pytest
from captured_rows import CAPTURES, rows_of
from outcome import NUMBERING

from vipex_bridge.ami.translate import replay
from vipex_bridge.calls.document import CallDocument, Notice
from vipex_bridge.calls.testimony import add_rows
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

ANSWERED_251 = ["arrival", "ringing 251", "answer 251"]
TREES: dict[str, tuple[list[str], list[tuple[int, str | None, int, int]]]] = {
    "e2_blind_code": (
        [*ANSWERED_251, "ringing 252", "answer 252", "hangup"],
        [(1, "251", 1, 3), (1, "252", 2, 2)],
    ),
    "f2_atxfer_outside": ([*ANSWERED_251, "hangup"], [(1, "251", 1, 13), (0, "251", 0, 3)]),
    "f3_atxfer_refer": ([*ANSWERED_251, "answer 252", "hangup"], [(1, "251", 1, 4), (1, "252", 0, 4)]),
    "f4_blonde_code": (
        [*ANSWERED_251, "ringing 252", "answer 252", "hangup"],
        [(1, "251", 1, 9), (1, "252", 2, 7)],
    ),
    "f5_blonde_refer": (
        [*ANSWERED_251, "ringing 252", "answer 252", "hangup"],
        [(1, "251", 1, 3), (1, "252", 3, 6)],
    ),
    "f6_atxfer_busy": ([*ANSWERED_251, "hangup"], []),
    "f7_atxfer_cancelled": ([*ANSWERED_251, "hangup"], []),
    "f8_atxfer_twice": (
        [*ANSWERED_251, "answer 252", "answer 221", "hangup"],
        [(1, "251", 1, 10), (1, "252", 0, 12), (1, "221", 0, 10)],
    ),
    "k1_park_code": ([*ANSWERED_251, "answer 252", "hangup"], [(1, "251", 1, 3), (1, "252", 0, 2)]),
    "k2_park_refer": ([*ANSWERED_251, "answer 252", "hangup"], [(1, "251", 1, 2), (1, "252", 0, 2)]),
    "m1_conference": (
        ["arrival", "answer 251", "answer 252", "hangup"],
        [(1, "251", 0, 4), (1, "252", 0, 4)],
    ),
    "c2_voicemail": (["arrival", "ringing 200", "hangup"], []),
    "d2_queue_ringall": (["arrival", "ringing 221", "ringing 251", "answer 251", "hangup"], []),
    "d3_queue_ringall_in_vain": (["arrival", "ringing 221", "ringing 251", "hangup"], []),
    "d4_queue_ringall_given_up": (["arrival", "ringing 221", "ringing 251", "hangup"], []),
    "d5_queue_member_rejects": (
        ["arrival", "ringing 221", "ringing 251", "answer 251", "hangup"],
        [(2, "221", 1, 0), (1, "251", 2, 1)],
    ),
    "d6_queue_member_twice": (
        ["arrival", "ringing 251", "ringing 251", "hangup"],
        [(2, "251", 2, 0), (2, "251", 1, 0)],
    ),
    "d7_queue_second_try": (
        ["arrival", "ringing 251", "ringing 251", "answer 251", "hangup"],
        [(2, "251", 2, 0), (1, "251", 1, 1)],
    ),
    "g2_pickup_ring_group": (
        ["arrival", "ringing 200", "ringing 251", "answer 252", "hangup"],
        [(2, "200", 2, 0), (1, "252", 0, 1)],
    ),
    "g3_pickup_queue": (
        ["arrival", "ringing 251", "answer 252", "hangup"],
        [(2, "221", 0, 0), (2, "251", 2, 0), (1, "252", 0, 1)],
    ),
    "g4_pickup_by_number": (
        ["arrival", "ringing 200", "answer 251", "hangup"],
        [(2, "200", 2, 0), (1, "251", 0, 1)],
    ),
    "g5_pickup_by_phone": (
        ["arrival", "ringing 200", "answer 251", "hangup"],
        [(2, "200", 2, 0), (1, "251", 0, 1)],
    ),
    "k3_park_same": (
        ["arrival", "ringing 251", "answer 251", "answer 251", "hangup"],
        [(1, "251", 1, 2), (1, "251", 0, 1)],
    ),
    "k4_park_timeout": (
        ["arrival", "ringing 251", "answer 251", "ringing 251", "answer 251", "hangup"],
        [(1, "251", 1, 2), (1, "251", 2, 1)],
    ),
    "k5_park_given_up": (["arrival", "ringing 251", "answer 251", "hangup"], []),
    "l3_dialplan_forward": (["arrival", "ringing 252", "answer 252", "hangup"], []),
    "l4_dialplan_forward_mobile": (["arrival", "answer 200", "hangup"], []),
    "l5_trunk_to_trunk": (["arrival", "hangup"], []),
    "l6_follow_me": (
        ["arrival", "ringing 200", "ringing 252", "answer 252", "hangup"],
        [(2, "200", 2, 0), (1, "252", 2, 2)],
    ),
    "l7_follow_me_mobile": (
        ["arrival", "ringing 221", "answer 221", "hangup"],
        [(2, "221", 2, 0), (0, "221", 2, 2)],
    ),
    "m3_conference_alone": (
        ["arrival", "answer 251", "answer 252", "hangup"],
        [(1, "251", 0, 3), (1, "252", 0, 3)],
    ),
    "n1_hold": (["arrival", "ringing 251", "answer 251", "hangup"], []),
    "m2_three_way": ([*ANSWERED_251, "answer 252", "hangup"], [(1, "251", 1, 14), (1, "252", 0, 7)]),
}


def _played(case: str) -> tuple[list[str], CallDocument | None]:
    tracker = Tracker(NUMBERING)
    told = []
    for event in replay(gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())):
        for output in tracker.feed(event):
            if isinstance(output, Notice):
                told.append(f"{output.event} {output.exten}" if output.exten else output.event)
    (record,) = tracker.calls()
    add_rows(record, rows_of(case), NUMBERING)
    return told, build(record, NUMBERING, lambda number, billsec, at: Decimal(billsec))


@pytest.mark.parametrize("case", TREES)
def test_recorded_call(case: str) -> None:
    told, document = _played(case)
    assert document is not None
    legs = [(int(leg.direction), leg.exten, leg.ringtime, leg.billsec) for leg in document.legs]
    assert (told, legs) == TREES[case]
    assert document.main.src == "3642999425"


def test_a_call_that_is_transferred_outside_costs_what_was_talked_there() -> None:
    _, document = _played("f2_atxfer_outside")
    assert document is not None
    assert (document.legs[1].dst, document.price) == ("36301112222", Decimal(3))
