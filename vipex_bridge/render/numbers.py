"""Telephone numbers as a client wants them written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

from vipex_bridge.config.settings import Written

NUMBERS = frozenset({"src", "dst", "other_party_number"})
"""The fields that hold a telephone number."""
_DIALLED = re.compile(r"\+?[0-9 ()./-]{5,40}")


@lru_cache(maxsize=65_536)
def written(number: str, form: str, country: str) -> str:
    """The number in this form; as it was when it is no valid one, dialled in or from `country`.

    `e164`: `+36301234567`. `national`: the digits that one dials in the country, `06301234567`, and
    `004930901820` for a foreign number. By libphonenumber's metadata.
    """
    known = None if form == "dialled" else _parsed(number, country)
    if known is None:
        return number
    if form == "e164":
        return phonenumbers.format_number(known, PhoneNumberFormat.E164)
    if known.country_code == phonenumbers.country_code_for_region(country):
        text = phonenumbers.format_number(known, PhoneNumberFormat.NATIONAL)
    else:
        text = phonenumbers.format_out_of_country_calling_number(known, country)
    return re.sub(r"[^0-9]", "", text)


def rewritten(fields: Mapping[str, object], wanted: Written) -> dict[str, object]:
    """The fields with the outside numbers of the call, and of its parts, in the form that is wanted."""
    if wanted.form == "dialled":
        return dict(fields)
    changed = dict(fields)
    for name, value in fields.items():
        if name in NUMBERS and isinstance(value, str) and not wanted.extensions.search(value[:_LONGEST]):
            changed[name] = written(value, wanted.form, wanted.country)
        elif name == "sub_cdrs" and isinstance(value, list):
            changed[name] = [rewritten(part, wanted) for part in value]
    return changed


_LONGEST = 33
"""Characters: callers choose their numbers, and the operator's expression must not be busy with one."""


def _parsed(number: str, country: str) -> PhoneNumber | None:
    """The number as one of the country, else as an international one whose `+` a trunk left out."""
    if not _DIALLED.fullmatch(number):
        return None
    for text in (number, f"+{number}"):
        try:
            known = phonenumbers.parse(text, country)
        except NumberParseException:
            continue
        if phonenumbers.is_valid_number(known):
            return known
    return None
