"""An operator's regular expressions on a stranger's text: within a time, and without stopping the rest.

Python's own `re` keeps the whole process waiting while it searches, and some innocent-looking expressions
(`(\\w+\\s?)*;`) take for ever on a text made for it. `regex` knows the same language, a time limit, and lets
other threads go on meanwhile.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import cast

import regex

UNHURRIED_S = 2.0
"""For whoever has no deadline of his own."""
_LEAST_S = 0.001
_NOT_COMPILED = (regex.error, ValueError, OverflowError, RecursionError)
"""ValueError is what a number of thousands of digits raises, and flags that exclude each other."""


class NotMatched(Exception):
    """The expression could not be tried to its end; the message says why."""


def fault(expression: str) -> str:
    """Why the expression cannot be used, '' when it can."""
    try:
        re.compile(expression)
        _compiled(expression, 0)
    except (re.error, *_NOT_COMPILED) as error:
        return f"not a regular expression: {error}"
    return ""


def search(expression: str, text: str, ends_at: float) -> regex.Match[str] | None:
    """Where the expression first matches. `ends_at` is of the monotonic clock. Raises NotMatched."""
    return _tried(expression, 0, "search", text, ends_at)


def fullmatch(pattern: re.Pattern[str], text: str, ends_at: float) -> regex.Match[str] | None:
    """The whole of `text` matched by the pattern, or None. Raises NotMatched."""
    return _tried(pattern.pattern, pattern.flags & ~re.UNICODE, "fullmatch", text, ends_at)


def _tried(expression: str, flags: int, how: str, text: str, ends_at: float) -> regex.Match[str] | None:
    try:
        compiled = _compiled(expression, flags)
    except _NOT_COMPILED:
        raise NotMatched("the regular expression cannot be used: it does not compile") from None
    within_s = max(ends_at - time.monotonic(), _LEAST_S)
    match = compiled.search if how == "search" else compiled.fullmatch
    try:
        return match(text, timeout=within_s, concurrent=True)
    except TimeoutError:
        raise NotMatched("the regular expression takes too long on this answer: make it simpler") from None


@lru_cache(1024)
def _compiled(expression: str, flags: int) -> regex.Pattern[str]:
    return cast(regex.Pattern[str], regex.compile(expression, flags | regex.VERSION0))
