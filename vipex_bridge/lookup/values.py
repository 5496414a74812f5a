"""Which values of an answer may become channel variables, and as which text."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from vipex_bridge.config.settings import Mapped
from vipex_bridge.lookup.matching import fullmatch

MAX_CHARS = 255
"""Of a value under the default pattern (contract, section 3)."""

MAX_OWN_CHARS = 1000
"""Of a value under the operator's own pattern: 4,000 bytes of UTF-8 at most, half of an AGI line."""

_LARGEST_INT = 10**MAX_OWN_CHARS
"""Python refuses to write very long ones (its `int` digit limit); no value is as long as this."""

_PUNCTUATION = frozenset(" _.:,+*#@/-")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An answer's value that was not taken. It is described, never quoted."""

    variable: str
    why: str
    length: int | None = None
    """Characters of the value, where it was text."""


def scalar_text(value: object) -> str | None:
    """Give a number, truth value or text as the dialplan expects it; None for anything else.

    200.0 is 200, 1e-7 is 0.0000001 (a dialplan knows no exponents); true is 1 and false is 0, as the
    dialplan's own expressions write them. NaN and infinity are nothing.
    """
    match value:
        case bool():
            return "1" if value else "0"
        case str():
            return value
        case int() if abs(value) < _LARGEST_INT:
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    return None


def accepts(mapped: Mapped, text: str, ends_at: float) -> bool:
    """Whether `text` may become the variable: it fully matches the pattern and is one line of text.

    Raises NotMatched when an operator's pattern is not done by `ends_at` (of the monotonic clock).

    No pattern of an operator lets a control character, a line separator or a lone surrogate pass:
    an AGI command could not carry it.
    """
    # The length comes first: an answer may be one value of a million characters.
    if len(text) > (MAX_CHARS if mapped.pattern is None else MAX_OWN_CHARS):
        return False
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
        return False
    if mapped.pattern is None:
        return _plain(text)
    return fullmatch(mapped.pattern, text, ends_at) is not None


def _plain(text: str) -> bool:
    """The contract's default: letters of any script, digits, space and some signs.

    A combining mark is part of the letter it follows, as in most scripts of India.
    """
    lettered = False
    for char in text:
        category = unicodedata.category(char)
        lettered = category[0] == "L" or (lettered and category[0] == "M")
        if not lettered and category != "Nd" and char not in _PUNCTUATION:
            return False
    return True
