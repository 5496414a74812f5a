"""Regular expressions of the configuration: that they compile, and that one met by every call is quick."""

from __future__ import annotations

import re
import time
import warnings

from vipex_bridge.calls.numbering import LONGEST_EXTENSION
from vipex_bridge.config.values import text

SLOW_S = 0.01
"""Processor time of one search; an ordinary expression takes some millionths of a second."""
_ENDS = ("", "x", "-", "#")
"""What a number's end may be that an expression has to try everything for."""


def pattern(value: object) -> re.Pattern[str]:
    """A regular expression that compiles."""
    written = text(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(written)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is no regular expression: {error}") from None


def extension_pattern(value: object) -> re.Pattern[str]:
    """A regular expression that no number, as long as one may be, keeps busy: callers choose the numbers."""
    compiled = pattern(value)
    # Ever longer: what takes for ever on a long number shows on a shorter one, and soon.
    for length in range(4, LONGEST_EXTENSION + 1, 2):
        for filler in ("0", "12", "a"):
            for end in _ENDS:
                number = (filler * length)[: length - len(end)] + end
                if min(_took_s(compiled, number) for _ in range(2)) > SLOW_S:
                    raise ValueError(
                        "takes too long on some numbers: make it simpler, without a repetition inside another"
                    )
    return compiled


def _took_s(compiled: re.Pattern[str], number: str) -> float:
    began = time.thread_time()
    compiled.search(number)
    return time.thread_time() - began
