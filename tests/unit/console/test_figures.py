"""The numbers behind the charts, from finished calls."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from stored import document

from vipex_bridge.calls.document import CallDocument, Direction
from vipex_bridge.console.charts import bars
from vipex_bridge.console.figures import answer_rates, calls_per_hour, lookup_times, ring_times
from vipex_bridge.console.lookup_times import KEPT, LookupTimes
from vipex_bridge.render.sample import inbound_document, outgoing_document

UTC = ZoneInfo("UTC")
INBOUND, OUTGOING = inbound_document(UTC), outgoing_document(UTC)
# 2019-12-03 11:00 in UTC, the hour of the outgoing example; the inbound one came in the next.
FIRST_AT = OUTGOING.main.start_time // 3600 * 3600


def plain(text: str) -> str:
    return text


def unanswered(call: CallDocument) -> CallDocument:
    return replace(call, main=replace(call.main, answer_time=None))


def test_calls_are_counted_in_their_hour_by_direction_and_outcome() -> None:
    missed = replace(document(), main=replace(document().main, start_time=FIRST_AT + 3600))
    calls = [INBOUND, OUTGOING, unanswered(OUTGOING), missed]
    chart = calls_per_hour(calls, FIRST_AT, 3, UTC, plain)
    assert chart.labels == ("11:00", "12:00", "13:00")
    assert chart.series == (
        "inbound, answered",
        "inbound, missed",
        "outbound, answered",
        "outbound, not answered",
    )
    assert chart.values == ((0, 0, 1, 1), (1, 1, 0, 0), (0, 0, 0, 0))


def test_a_call_forwarded_and_answered_outside_counts_as_it_was_told() -> None:
    forwarded = replace(INBOUND, main=replace(INBOUND.main, direction=Direction.MISSED))
    assert calls_per_hour([forwarded], FIRST_AT, 3, UTC, plain).values[1] == (0, 1, 0, 0)


def test_calls_of_other_hours_are_left_out() -> None:
    assert calls_per_hour([INBOUND], FIRST_AT + 7200, 3, UTC, plain).values == ((0,) * 4,) * 3


def test_ring_times_and_answer_rates_of_extensions() -> None:
    chart = ring_times([INBOUND, OUTGOING], "exten", plain)
    assert dict(zip(chart.labels, chart.values, strict=True)) == {"200": (4, 4), "221": (0, 0), "251": (8, 8)}
    rates = answer_rates([INBOUND, INBOUND], "exten", plain)
    assert dict(zip(rates.labels, rates.values, strict=True)) == {"200": (0,), "221": (0,), "251": (100,)}


def test_a_queue_counts_a_call_once_and_as_answered_when_anybody_did() -> None:
    legs = tuple(replace(leg, answer_time=None) for leg in INBOUND.legs)
    in_vain = replace(INBOUND, legs=legs, all_legs=legs)
    chart = answer_rates([INBOUND, INBOUND, in_vain], "queue", plain)
    assert chart.labels == ("18",)
    assert [round(rate or 0) for rate in chart.values[0]] == [67]
    assert ring_times([INBOUND], "queue", plain).values == ((8, 8),)


def test_percentiles_of_each_clients_lookups() -> None:
    chart = lookup_times({"b": [0.1] * 98 + [0.5, 2.0], "a": [], "c": [0.25]}, plain)
    assert chart.labels == ("b", "c")
    assert chart.values == ((100, 100, 500), (250, 250, 250))


def test_the_latest_lookups_are_kept() -> None:
    times = LookupTimes()
    for number in range(KEPT + 10):
        times.note("crm", float(number))
    assert list(times.taken()["crm"]) == [float(number) for number in range(10, KEPT + 10)]


def test_nothing_can_be_drawn_too() -> None:
    for chart in (
        calls_per_hour([], FIRST_AT, 24, UTC, plain),
        ring_times([], "exten", plain),
        lookup_times({}, plain),
    ):
        assert bars(chart).startswith("<svg")
