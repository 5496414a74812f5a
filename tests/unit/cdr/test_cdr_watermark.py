"""The watermark: whatever the order in which rows are committed, each is read once."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.cdr.watermark import OVERLAP, REREAD_S, Watermark, from_json


def look(watermark: Watermark, visible: set[int], limit: int = 10_000) -> tuple[Watermark, list[int]]:
    """One look at a table in which `visible` ids can be seen: the new ones, and the watermark behind."""
    seen = sorted(row_id for row_id in visible if row_id > watermark.low())[:limit]
    new = [row_id for row_id in seen if watermark.is_new(row_id)]
    return watermark.advanced(seen), new


@given(
    st.lists(st.integers(0, OVERLAP - 1), min_size=1, max_size=400),
    st.lists(st.integers(0, 40), max_size=60),
    st.booleans(),
)
def test_rows_committed_late_within_the_overlap_are_neither_lost_nor_doubled(
    lateness: list[int], commits_between_looks: list[int], through_the_store: bool
) -> None:
    """Row i becomes visible once row i + lateness could have; looks come at any time in between."""
    order = sorted(range(1, len(lateness) + 1), key=lambda row_id: row_id + lateness[row_id - 1])
    watermark, visible, got = Watermark(), set[int](), list[int]()
    waiting = iter(order)
    for commits in [*commits_between_looks, len(order)]:
        visible.update(row_id for _, row_id in zip(range(commits), waiting, strict=False))
        watermark, new = look(watermark, visible)
        got += new
        if through_the_store:
            watermark = from_json(json.loads(json.dumps(watermark.as_json())))
    assert sorted(got) == list(range(1, len(lateness) + 1))


@given(st.sets(st.integers(1, 5000), max_size=300), st.integers(0, 50))
def test_a_look_of_any_length_moves_on_and_loses_nothing(ids: set[int], limit: int) -> None:
    watermark, got = Watermark(), list[int]()
    for _ in range(len(ids) + 1):
        watermark, new = look(watermark, ids, limit + OVERLAP)
        got += new
    assert sorted(got) == sorted(ids)


@given(st.sets(st.integers(1, 10_000), min_size=1, max_size=400))
def test_what_is_kept_stays_small(ids: set[int]) -> None:
    watermark, _ = look(Watermark(), ids)
    assert len(watermark.missing) <= OVERLAP
    assert watermark.last_id == max(ids)


def test_the_same_table_is_no_new_one() -> None:
    watermark = Watermark(last_id=9, mark="a 1")
    assert not watermark.restarted({8: "b 1", 9: "a 1"})
    assert not watermark.restarted({9: "a 1", 10: "c 1"})
    assert not watermark.restarted({10: "c 1"}), "an operator deleted row 9"


def test_an_emptied_shortened_or_overtaken_table_is_a_new_one() -> None:
    watermark = Watermark(last_id=9, mark="a 1", ended=1_000_000.0)
    assert watermark.restarted({})
    assert watermark.restarted({3: "x 1"})
    assert watermark.restarted({9: "x 1", 10: "y 1"})
    assert watermark.over().floor == 1_000_000.0 - REREAD_S
    assert watermark.over().is_new(1)
