"""Prices by the tariff."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.calls.price import Rate, Tariff

HUNGARY = Rate("36", Decimal(5), Decimal(12))
MOBILE = Rate("+3630", Decimal(5), Decimal(30), 1, 1)
BUDAPEST = Rate("361", Decimal(0), Decimal(6), 30, 6)
TARIFF = Tariff([HUNGARY, MOBILE, BUDAPEST])


@pytest.mark.parametrize(
    ("number", "billsec", "price"),
    [
        ("3642999408", 1, "17"),
        ("3642999408", 60, "17"),
        ("3642999408", 61, "29"),
        ("36301234576", 3, "6.5"),
        ("+36301234576", 3, "6.5"),
        ("0036301234576", 3, "6.5"),
        ("+36 (30) 123-4576", 3, "6.5"),
        ("3619996000", 3, "3"),
        ("3619996000", 31, "3.6"),
        ("36301234576", 1, "5.5"),
    ],
)
def test_the_longest_prefix_and_started_increments_make_the_price(
    number: str, billsec: int, price: str
) -> None:
    assert TARIFF.price(number, billsec) == Decimal(price)


def test_a_number_that_no_prefix_fits_has_no_price() -> None:
    assert TARIFF.price("49301234567", 60) is None
    assert TARIFF.price("3", 60) is None
    assert TARIFF.price("", 60) is None
    assert Tariff().price("3642999408", 60) is None


def test_no_talk_costs_nothing() -> None:
    assert TARIFF.price("3642999408", 0) == 0


def test_the_later_of_two_lines_for_one_prefix_counts() -> None:
    tariff = Tariff([Rate("36", Decimal(1), Decimal(0)), Rate("0036", Decimal(2), Decimal(0))])
    assert tariff.price("361", 1) == 2


def test_a_price_is_rounded_half_up_to_four_places() -> None:
    assert Rate("1", Decimal(0), Decimal("0.0005"), 1, 1).price(6) == Decimal("0.0001")
    assert Rate("1", Decimal(0), Decimal(1), 1, 1).price(20) == Decimal("0.3333")


def test_increments_that_never_end_a_call_are_refused() -> None:
    with pytest.raises(ValueError, match="increments"):
        Rate("1", Decimal(0), Decimal(0), 60, 0)


@given(
    st.lists(st.from_regex(r"[0-9]{1,6}", fullmatch=True), max_size=30),
    st.from_regex(r"[1-9][0-9]{0,11}", fullmatch=True),
)
def test_the_index_finds_what_a_search_through_all_prefixes_finds(prefixes: list[str], number: str) -> None:
    dialled = number.strip()
    found = Tariff(Rate(prefix, Decimal(0), Decimal(1)) for prefix in prefixes).rate(dialled)
    bare = [prefix.removeprefix("00") for prefix in prefixes]
    best = max((prefix for prefix in bare if dialled.startswith(prefix)), key=len, default=None)
    assert (found.prefix.removeprefix("00") if found else None) == best


@given(first=st.integers(0, 120), following=st.integers(1, 120), billsec=st.integers(1, 10_000))
def test_charged_time_covers_the_talk_by_less_than_one_increment(
    first: int, following: int, billsec: int
) -> None:
    charged = Rate("1", Decimal(0), Decimal(1), first, following).charged_s(billsec)
    assert billsec <= charged < billsec + max(first, following)
    assert charged == first or (charged - first) % following == 0
