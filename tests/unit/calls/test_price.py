"""Prices by the tariff."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.calls.price import Rate, Tariff, Times

HUNGARY = Rate("36", Decimal(5), Decimal(12))
MOBILE = Rate("+3630", Decimal(5), Decimal(30), 1, 1)
BUDAPEST = Rate("361", Decimal(0), Decimal(6), 30, 6)
TARIFF = Tariff([HUNGARY, MOBILE, BUDAPEST])
ZONE = ZoneInfo("Europe/Budapest")
NOON = datetime(2026, 11, 24, 12, tzinfo=ZONE).timestamp()


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
    assert TARIFF.price(number, billsec, NOON) == Decimal(price)


def test_a_number_that_no_prefix_fits_has_no_price() -> None:
    assert TARIFF.price("49301234567", 60, NOON) is None
    assert TARIFF.price("3", 60, NOON) is None
    assert TARIFF.price("", 60, NOON) is None
    assert Tariff().price("3642999408", 60, NOON) is None


def test_no_talk_costs_nothing() -> None:
    assert TARIFF.price("3642999408", 0, NOON) == 0


def test_the_later_of_two_lines_for_one_prefix_counts() -> None:
    tariff = Tariff([Rate("36", Decimal(1), Decimal(0)), Rate("0036", Decimal(2), Decimal(0))])
    assert tariff.price("361", 1, NOON) == 2


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
    found = Tariff(Rate(prefix, Decimal(0), Decimal(1)) for prefix in prefixes).rate(dialled, NOON)
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


def rated(*times: Times | None, at: str) -> str | None:
    """Which of the rates for one prefix, named by its place, holds at a local time."""
    rates = [Rate("36", Decimal(place), Decimal(0), times=each) for place, each in enumerate(times)]
    moment = datetime.fromisoformat(at).replace(tzinfo=ZONE).timestamp()
    rate = Tariff(rates, ZONE).rate("3642999408", moment)
    return None if rate is None else str(rate.connection_fee)


WORKDAYS = Times(days=frozenset(range(5)), minutes=(8 * 60, 18 * 60))
NIGHT = Times(minutes=(22 * 60, 6 * 60))


@pytest.mark.parametrize(
    ("at", "which"),
    [
        ("2026-11-24 07:59:59", "0"),
        ("2026-11-24 08:00:00", "1"),
        ("2026-11-24 17:59:59", "1"),
        ("2026-11-24 18:00:00", "0"),
        ("2026-11-28 12:00:00", "0"),
        ("2026-11-28 22:00:00", "2"),
        ("2026-11-29 05:59:59", "2"),
        ("2026-11-29 06:00:00", "0"),
    ],
)
def test_the_last_line_that_holds_counts(at: str, which: str) -> None:
    assert rated(None, WORKDAYS, NIGHT, at=at) == which


def test_a_line_holds_from_its_first_to_its_last_day_by_the_local_clock() -> None:
    december = Times(since=date(2026, 12, 1), until=date(2026, 12, 31))
    assert rated(december, at="2026-11-30 23:59:59") is None
    assert rated(december, at="2026-12-01 00:00:00") == "0"
    assert rated(december, at="2026-12-31 23:59:59") == "0"
    assert rated(december, at="2027-01-01 00:00:00") is None


def test_a_longer_prefix_that_does_not_hold_leaves_it_to_a_shorter_one() -> None:
    tariff = Tariff([HUNGARY, Rate("3642", Decimal(1), Decimal(1), times=NIGHT)], ZONE)
    assert tariff.rate("3642999408", NOON) == HUNGARY


@given(
    st.sets(st.integers(0, 6)),
    st.one_of(st.none(), st.tuples(st.integers(0, 1439), st.integers(1, 1440))),
    st.integers(0, 14 * 24 * 60),
)
def test_in_two_weeks_a_line_holds_as_its_calendar_says(
    days: set[int], minutes: tuple[int, int] | None, minute: int
) -> None:
    moment = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=minute)
    of_day = minute % 1440
    if minutes is None or minutes[0] == minutes[1]:
        minutes, in_hours = None, True
    else:
        begin, end = minutes
        span = range(begin, end) if begin < end else [*range(begin, 1440), *range(end)]
        in_hours = of_day in span
    wanted = in_hours and (not days or minute // 1440 % 7 in days)
    assert Times(days=frozenset(days), minutes=minutes).hold(moment) == wanted
