"""Byte ranges by RFC 9110, section 14."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.server.ranges import Part, Unsatisfiable, part_of


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", Part(0, 0)),
        ("bytes=0-", Part(0, 99)),
        ("bytes=90-200", Part(90, 99)),
        ("bytes=-10", Part(90, 99)),
        ("bytes=-1000", Part(0, 99)),
        ("Bytes = 5 - 6", Part(5, 6)),
    ],
)
def test_a_range_is_a_part(header: str, part: Part) -> None:
    assert part_of(header, 100) == part


NONE = [
    "", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,4-5", "lines=0-1", "bytes=a-b",
    "bytes=\u0661-", "bytes=--1", "bytes=" + "9" * 5000 + "-",
]  # fmt: skip


@pytest.mark.parametrize("header", NONE)
def test_what_is_no_range_is_the_whole(header: str) -> None:
    assert part_of(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_what_is_not_in_the_file(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        part_of(header, 100)


@given(st.text(), st.integers(1, 10**12))
def test_whatever_is_asked_for_lies_in_the_file(text: str, size: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            part = part_of(header, size)
        except Unsatisfiable:
            continue
        assert part is None or 0 <= part.first <= part.last < size
