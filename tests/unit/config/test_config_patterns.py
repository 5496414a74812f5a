"""Expressions for extensions that people write are taken, and none that is taken keeps a call waiting."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.calls.numbering import LONGEST_EXTENSION, Numbering
from vipex_bridge.config.patterns import extension_pattern

PIECES = st.sampled_from([r"\d", "[0-9]", "[1-9]", "2", ".", "[*#]", r"\w"])
REPEATS = st.sampled_from(["", "+", "*", "?", "{2,4}", "{3}"])
EXPRESSION = st.recursive(
    st.builds("".join, st.lists(st.builds("{}{}".format, PIECES, REPEATS), min_size=1, max_size=4)),
    lambda inner: (
        st.builds("({}|{}){}".format, inner, inner, REPEATS) | st.builds("({}){}".format, inner, REPEATS)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize(
    "written",
    [
        r"^\d{2,4}$",
        r"^[1-9]\d{2,3}$",
        r"^(?:1\d\d|2\d{3}|\*9[0-8])$",
        r"^(?!0)\d{3,5}(?:-[a-z]+)?$",
        r"^(100|101|102|2\d\d|3\d\d|4\d\d|5\d\d|6\d\d)$",
        r"\A\+?\d+\Z",
    ],
)
def test_what_people_write_is_taken(written: str) -> None:
    assert extension_pattern(written).pattern == written


@given(EXPRESSION, st.text("012a*-x", max_size=80))
def test_what_is_taken_is_quick_on_every_number(expression: str, number: str) -> None:
    with contextlib.suppress(ValueError):
        numbering = Numbering(extensions=extension_pattern(f"^{expression}$"))
        began = time.thread_time()
        numbering.is_extension(number)
        assert time.thread_time() - began < 0.5


def test_nothing_that_long_is_an_extension() -> None:
    numbering = Numbering(extensions=extension_pattern(r"^\d+$"))
    assert numbering.is_extension("1" * LONGEST_EXTENSION)
    assert not numbering.is_extension("1" * (LONGEST_EXTENSION + 1))
