"""Calls across midnight and across the changes of the clock: recorded calls with their times moved.

Nobody can wait for the night in which the clock is set back, so every time of a real call is moved there:
AMI's `Timestamp`, the epoch in the uniqueids, and the local texts of the CDR rows.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from captured_rows import CAPTURES
from hypothesis import example, given
from hypothesis import strategies as st

from vipex_bridge.ami.translate import replay
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.events import CallEvent
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.testimony import add_rows, from_rows, groups
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build
from vipex_bridge.cdr.columns import to_row
from vipex_bridge.config.load import load_text

BUDAPEST = ZoneInfo("Europe/Budapest")
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()
"""03:00 summer time becomes 02:00 winter time."""
SPRING = datetime(2027, 3, 28, 1, tzinfo=UTC).timestamp()
"""02:00 winter time becomes 03:00 summer time."""
NEW_YEAR = datetime(2026, 12, 31, 23, tzinfo=UTC).timestamp()
"""Midnight in Budapest."""
CASE = "h6_outbound_blind"
"""1102 calls a mobile (1 s of ringing, 2 s of talk) and sends it to 251 (2 s, 1 s): 6 s in two legs."""
LENGTHS = [(6, 3, 5), (3, 1, 2), (3, 2, 1)]

CONFIGURATION = """
node: test
timezone: Europe/Budapest
numbers: {trunks: ['PJSIP/trunk*'], extensions: '^\\d{3,4}$'}
clients: {billing: {kind: call_end, url: 'http://host/cdr'}}
"""
SETTINGS = load_text(CONFIGURATION, Path("config.yaml"), {}).settings
NUMBERING = numbering_of(SETTINGS.numbers)
_EPOCH = re.compile(r"(?<!\d)1\d{9}(?=\.\d)")
_TIMES = ("start", "answer", "end")


@dataclass(frozen=True)
class Recorded:
    """A capture: the stream, its rows, and when its first channel was created (whole seconds)."""

    stream: str
    rows: str
    began: int

    def moved(self, to: float) -> tuple[list[CallEvent], list[CdrRow]]:
        """The same call, its first channel created in the second `to`."""
        by = round(to) - self.began

        def later(found: re.Match[str]) -> str:
            return str(int(found[0]) + by)

        events = list(replay(_EPOCH.sub(later, self.stream).encode()))
        return events, [_moved_row(line, by) for line in _EPOCH.sub(later, self.rows).splitlines()]


def _moved_row(line: str, by: int) -> CdrRow:
    """The row as an Asterisk in Budapest would have written it; the one that did was in UTC."""
    values: dict[str, Any] = json.loads(line)
    for column in _TIMES:
        if values[column]:
            moment = datetime.fromisoformat(values[column]).replace(tzinfo=UTC) + timedelta(seconds=by)
            values[column] = moment.astimezone(BUDAPEST).strftime("%Y-%m-%d %H:%M:%S")
    return to_row(values, BUDAPEST)


@lru_cache
def recorded(case: str) -> Recorded:
    stream = gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes()).decode()
    rows = (CAPTURES / case / "cdr.jsonl").read_text("utf-8")
    return Recorded(stream, rows, min(int(json.loads(line)["uniqueid"][:10]) for line in rows.splitlines()))


def from_ami(events: list[CallEvent], rows: list[CdrRow]) -> CallDocument:
    tracker = Tracker(NUMBERING)
    for event in events:
        tracker.feed(event)
    (record,) = tracker.calls()
    add_rows(record, rows, NUMBERING)
    return _built(build(record, NUMBERING, lambda *_: None))


def from_cdr(rows: list[CdrRow]) -> CallDocument:
    (group,) = groups(rows)
    return _built(build(from_rows(group, NUMBERING), NUMBERING, lambda *_: None))


def _built(document: CallDocument | None) -> CallDocument:
    assert document is not None
    return document


def on_the_wire(document: CallDocument) -> dict[str, Any]:
    [delivery] = Telling(SETTINGS).of_call(document, 1, "100.1", 0.0)
    assert delivery.request is not None
    body = delivery.request.body or ""
    for slot in delivery.request.slots:
        body = body.replace(slot.token, "null")
    told: dict[str, Any] = json.loads(body)
    return told


def lengths(told: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(part["duration"], part["ringtime"], part["billsec"]) for part in (told, *told["sub_cdrs"])]


def times(told: dict[str, Any]) -> list[str]:
    """Start, answer and end of the whole and of each part, as sent."""
    names = ("start_time", "answer_time", "hangup_time")
    return [part[name] for part in (told, *told["sub_cdrs"]) for name in names]


@pytest.mark.parametrize(
    ("began", "expected"),
    [
        (
            NEW_YEAR - 4,
            [
                "2026-12-31 23:59:56", "2026-12-31 23:59:57", "2027-01-01 00:00:02",
                "2026-12-31 23:59:56", "2026-12-31 23:59:57", "2026-12-31 23:59:59",
                "2026-12-31 23:59:59", "2027-01-01 00:00:01", "2027-01-01 00:00:02",
            ],
        ),
        (
            AUTUMN - 4,
            [
                "2026-10-25 02:59:56", "2026-10-25 02:59:57", "2026-10-25 02:00:02",
                "2026-10-25 02:59:56", "2026-10-25 02:59:57", "2026-10-25 02:59:59",
                "2026-10-25 02:59:59", "2026-10-25 02:00:01", "2026-10-25 02:00:02",
            ],
        ),
        (
            SPRING - 4,
            [
                "2027-03-28 01:59:56", "2027-03-28 01:59:57", "2027-03-28 03:00:02",
                "2027-03-28 01:59:56", "2027-03-28 01:59:57", "2027-03-28 01:59:59",
                "2027-03-28 01:59:59", "2027-03-28 03:00:01", "2027-03-28 03:00:02",
            ],
        ),
    ],
    ids=["midnight", "autumn", "spring"],
)  # fmt: skip
def test_a_call_across_the_edge_is_as_long_as_it_was(began: float, expected: list[str]) -> None:
    told = on_the_wire(from_ami(*recorded(CASE).moved(began)))
    assert (times(told), lengths(told)) == (expected, LENGTHS)


@pytest.mark.parametrize(
    "began", [NEW_YEAR - 4, AUTUMN - 4, SPRING - 4], ids=["midnight", "autumn", "spring"]
)
def test_its_rows_alone_say_the_same_of_the_whole(began: float) -> None:
    _, rows = recorded(CASE).moved(began)
    document = from_cdr(rows)
    told = on_the_wire(document)
    assert (document.main.start_time, document.main.hangup_time) == (began, began + 6)
    assert (told["duration"], [part["duration"] for part in told["sub_cdrs"]]) == (6, [3, 3])
    assert [part["exten"] for part in told["sub_cdrs"]] == ["1102", "251"]


@pytest.mark.parametrize("began", [AUTUMN - 1800, AUTUMN + 1800], ids=["summer time", "winter time"])
def test_the_repeated_hour_is_told_apart_by_the_uniqueid(began: float) -> None:
    """Both calls are written as 02:30:00."""
    _, rows = recorded(CASE).moved(began)
    document = from_cdr(rows)
    assert document.main.start_time == began
    assert on_the_wire(document)["start_time"] == "2026-10-25 02:30:00"


def test_calls_keep_their_order_although_their_written_times_run_backwards() -> None:
    _, earlier = recorded(CASE).moved(AUTUMN - 60)
    _, later = recorded("h5_second_trunk").moved(AUTUMN + 60)
    found = groups([*later, *earlier])
    assert [from_cdr(group).main.start_time for group in found] == [AUTUMN - 60, AUTUMN + 60]
    written = [on_the_wire(from_cdr(group))["start_time"] for group in found]
    assert written == ["2026-10-25 02:59:00", "2026-10-25 02:01:00"]


@pytest.mark.parametrize("edge", [NEW_YEAR, AUTUMN, AUTUMN - 3600, SPRING])
@given(from_edge_s=st.integers(-7200, 7200))
@example(from_edge_s=-3)
@example(from_edge_s=0)
def test_a_call_is_the_same_at_any_moment_of_such_a_night(edge: float, from_edge_s: int) -> None:
    began = edge + from_edge_s
    events, rows = recorded(CASE).moved(began)
    live, afterwards = from_ami(events, rows), from_cdr(rows)
    assert lengths(on_the_wire(live)) == LENGTHS
    assert (int(live.main.start_time), int(live.main.hangup_time)) == (began, began + 6)
    assert (afterwards.main.start_time, afterwards.main.hangup_time) == (began, began + 6)
    for document in (live, afterwards):
        ends = [moment for leg in document.legs for moment in (leg.start_time, leg.hangup_time)]
        assert ends == sorted(ends), "parts follow each other in true time, whatever the clock says"
