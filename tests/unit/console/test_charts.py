"""Charts: every number drawn inside the frame, in proportion, and told in words too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vipex_bridge.console.charts import (
    HEIGHT,
    LEFT,
    WIDTH,
    Chart,
    Hour,
    bars,
    number,
    percentile,
    sparkline,
    summary,
)

SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.floats(0, 1e9) | st.none()


def plain(text: str) -> str:
    return text


def boxes(svg: str) -> list[tuple[float, float, float, float, str]]:
    root = etree.fromstring(svg.encode())
    return [
        (
            float(r.get("x", "")),
            float(r.get("y", "")),
            float(r.get("width", "")),
            float(r.get("height", "")),
            r.get("class", ""),
        )
        for r in root.iter(f"{SVG}rect")
        if r.get("class")
    ]


def test_twice_as_many_calls_are_twice_as_tall() -> None:
    chart = Chart("hours", "Calls", "calls", ("in", "out"), ("08", "09"), ((10.0, 0.0), (20.0, 5.0)))
    drawn = boxes(bars(chart))
    assert [round(box[3] / drawn[0][3], 2) for box in drawn] == [1, 2, 0.5]
    # Stacked: the third stands on the second.
    assert drawn[2][1] + drawn[2][3] == pytest.approx(drawn[1][1])
    assert drawn[2][0] == drawn[1][0]


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.tuples(st.text(max_size=8), st.tuples(*[VALUES] * width)), max_size=30)
    ),
    st.booleans(),
)
def test_every_bar_is_inside_the_frame(
    rows: list[tuple[str, tuple[float | None, ...]]], is_stacked: bool
) -> None:
    width = len(rows[0][1]) if rows else 1
    chart = Chart(
        "x",
        "T<i>",
        "s",
        tuple("abcd")[:width],
        tuple(label for label, _ in rows),
        tuple(row for _, row in rows),
        is_stacked,
    )
    for x, y, wide, tall, _ in boxes(bars(chart)):
        assert x >= LEFT and x + wide <= WIDTH
        assert y >= 0 and y + tall <= HEIGHT


def test_a_clients_day_is_drawn_and_told() -> None:
    hours = [Hour(3, 0, 0.1), Hour(0, 1, 0.5), Hour(0, 0, None)]
    svg = sparkline("crm", hours, plain)
    assert [box[4] for box in boxes(svg)] == ["good", "bad"]
    assert summary(hours, plain) == "delivered: 3, failed tries: 1, average time: 200 ms"
    assert summary(hours, plain) in svg
    assert summary([], plain) == "delivered: 0, failed tries: 0"


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_that_were_measured(values: list[float]) -> None:
    ordered = sorted(values)
    found = [percentile(ordered, share) for share in (0.0, 0.5, 0.95, 0.99, 1.0)]
    assert all(value in ordered for value in found)
    assert found == sorted(value for value in found if value is not None)
    assert found[-1] == ordered[-1]
    middle = found[1]
    assert middle is not None
    assert sum(value <= middle for value in ordered) >= len(ordered) / 2


def test_percentiles_by_nearest_rank() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.99) == 4.0
    assert percentile([], 0.5) is None


def test_numbers_as_the_tables_have_them() -> None:
    assert [number(value) for value in (None, 0, 12, 0.25, 3.14159, 1234.6)] == [
        "–",
        "0",
        "12",
        "0.25",
        "3.14",
        "1235",
    ]
