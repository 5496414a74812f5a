"""What is hidden of callers before a person sees it: telephone numbers, keys pressed in a menu. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from vipex_bridge.calls.numbering import LONGEST_EXTENSION

SHOWN_DIGITS = 3
"""What is left of a telephone number: enough to find a call again, too little to know who it was."""

_FEWEST_DIGITS = 7
"""Shorter ones are extensions, ports, counts."""
# The visual separators of RFC 3966, section 3, and those of everyday writing, also as a URL has them.
_SEPARATOR = r"[ \-./()+\u00a0\u2007\u2009\u202f\u2010-\u2014]|%20|%2[89BDF]"
_SEPARATORS = rf"(?:{_SEPARATOR}){{0,2}}"
_NUMBER = re.compile(rf"\d(?:{_SEPARATORS}\d){{{_FEWEST_DIGITS - 1},}}", re.IGNORECASE)

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_STAMP_DAY = r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_NO_NUMBERS = (
    # Asterisk's uniqueids and linkedids: seconds since the epoch, a dot, a count.
    r"(?<![\d.])[12]\d{9}\.\d{1,10}(?![\d.]*\d)",
    rf"(?<!\d){_STAMP_DAY}[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:[.,]\d{{1,9}})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\d)",
    r"(?<=\.damaged-)\d{8}-\d{6}(?!\d)",
    rf"(?<![\d.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\d.]*\d)",
    # A channel's tail, behind a technology and a name such as PJSIP/trunk.
    r"(?<=[A-Za-z0-9_.])-000[0-9a-f]{5}(?=;[12]|[^0-9A-Za-z-]|$)",
    # References and keys: 32 hexadecimal digits with a letter among them.
    r"(?<![0-9A-Za-z])(?:vipex)?(?=[0-9]{0,31}[a-f])[0-9a-f]{32}(?![0-9A-Za-z])",
)
_KEPT = re.compile("(" + "|".join(_NO_NUMBERS) + ")", re.ASCII)

_KEY = r"(?:[0-9*#A-D]|%23|%2A)+(?![0-9A-Za-z_])"
_BETWEEN = r"""(?:%2C|["'\\]*,\s*["'\\]*|[;. -])"""
_KEYED = re.compile(
    rf"""(ivr[_ ]digits(?:["'\\]*\s*[=:]\s*|\s+is\s+|[^<>"'=:]*>)[\["'\s\\]*)({_KEY}(?:{_BETWEEN}{_KEY})*)""",
    re.IGNORECASE,
)


def without_numbers(text: str, extensions: re.Pattern[str] | None = None) -> str:
    """The text with every telephone number masked but for its last digits: `********052`.

    A number is seven digits or more, with or without separators. Ids, times and IP addresses stay, and what
    is an extension as a whole: written in one, with no `+` before it.
    """

    def masked(found: re.Match[str]) -> str:
        is_international = found.string[: found.start()].endswith(("+", "%2B", "%2b"))
        if extensions is None or is_international or len(found[0]) > LONGEST_EXTENSION:
            return _masked(found)
        return found[0] if extensions.fullmatch(found[0]) is not None else _masked(found)

    parts = _KEPT.split(text)
    parts[::2] = [_NUMBER.sub(masked, part) for part in parts[::2]]
    return "".join(parts)


def _masked(found: re.Match[str]) -> str:
    last = [place for place, character in enumerate(found[0]) if character.isdecimal()][-SHOWN_DIGITS]
    return re.sub(r"\d", "*", found[0][:last]) + found[0][last:]


def keys_masked(keys: str) -> str:
    """`*` for each key that a caller pressed: `1,22` gives `*,**`."""
    return re.sub(r"[^,]", "*", keys)


def call_without_keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A call's fields, by the documentation's names, and its parts', with a star for each key pressed."""
    masked: dict[str, Any] = {}
    if isinstance(fields.get("sub_cdrs"), list):
        masked["sub_cdrs"] = [
            call_without_keys(part) if isinstance(part, Mapping) else part for part in fields["sub_cdrs"]
        ]
    if fields.get("ivr_digits") is not None:
        masked["ivr_digits"] = keys_masked(str(fields["ivr_digits"]))
    return {**fields, **masked}


def without_keys(text: str) -> str:
    """The text with what stands in it as `ivr_digits` masked: in JSON, XML, a form, a URL, a sentence."""
    return _KEYED.sub(lambda found: found[1] + re.sub(r"%..|[^,;. %\"'\\-]", _one_key, found[2]), text)


def _one_key(found: re.Match[str]) -> str:
    return found[0] if found[0].upper() == "%2C" else "*"


def everywhere(value: Any, mask: Callable[[str], str]) -> Any:
    """The same with every text in it masked, however deep in lists and mappings.

    Numbers stay as they are; anything else becomes the text by which the log would tell it.
    """
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(str(name)): everywhere(item, mask) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [everywhere(item, mask) for item in value]
    return value if value is None or isinstance(value, int | float) else mask(repr(value))
