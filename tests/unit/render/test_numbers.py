"""Telephone numbers as a client wants them written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config.settings import Written
from vipex_bridge.render.numbers import rewritten, written


@pytest.mark.parametrize(
    ("number", "e164", "national"),
    [
        ("06301234567", "+36301234567", "06301234567"),
        ("0036301234567", "+36301234567", "06301234567"),
        ("+36 30/123-4567", "+36301234567", "06301234567"),
        ("36301234567", "+36301234567", "06301234567"),
        ("06-1-999-6000", "+3619996000", "0619996000"),
        ("004930901820", "+4930901820", "004930901820"),
        ("+4930901820", "+4930901820", "004930901820"),
        ("4930901820", "+4930901820", "004930901820"),
        # Extensions, emergency and short numbers, withheld ones, and what is none.
        ("251", "251", "251"),
        ("1102", "1102", "1102"),
        ("112", "112", "112"),
        ("anonymous", "anonymous", "anonymous"),
        ("", "", ""),
        ("*43", "*43", "*43"),
        ("123456789012345678901", "123456789012345678901", "123456789012345678901"),
        ("sip:joe@example.com", "sip:joe@example.com", "sip:joe@example.com"),
    ],
)
def test_a_hungarian_number_in_both_forms(number: str, e164: str, national: str) -> None:
    assert (written(number, "e164", "HU"), written(number, "national", "HU")) == (e164, national)
    assert written(number, "dialled", "HU") == number


def test_the_same_digits_are_another_number_elsewhere() -> None:
    assert written("030901820", "e164", "DE") == "+4930901820"
    assert written("030901820", "e164", "FR") != "+4930901820"


@given(st.text(max_size=40), st.sampled_from(["e164", "national"]))
def test_whatever_a_caller_sends_stays_or_becomes_a_number(number: str, form: str) -> None:
    told = written(number, form, "HU")
    assert told == number or told.removeprefix("+").isdecimal()
    assert written(told, form, "HU") == told, "what is written already stays"


def test_numbers_of_the_call_and_its_parts_are_written_and_nothing_else() -> None:
    fields = {
        "src": "06301234567", "dst": None, "other_party_number": "06301234567", "user_number": "06301234567",
        "ivr_digits": "06301234567", "sub_cdrs": [{"src": "06301234567", "exten": "06301234567"}],
    }  # fmt: skip
    assert rewritten(fields, Written("e164", "HU")) == {
        **fields,
        "src": "+36301234567",
        "other_party_number": "+36301234567",
        "sub_cdrs": [{"src": "+36301234567", "exten": "06301234567"}],
    }
    assert rewritten(fields, Written()) == fields


def test_what_looks_like_an_extension_stays() -> None:
    wanted = Written("e164", "HU", re.compile(r"^06\d{9}$"))
    assert rewritten({"src": "06301234567", "dst": "06619996000123"}, wanted)["src"] == "06301234567"
    assert rewritten({"src": "0619996000"}, wanted) == {"src": "+3619996000"}
