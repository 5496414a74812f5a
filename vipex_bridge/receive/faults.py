"""The ways in which the receiving server misbehaves on demand, and how the command line names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORDS = {
    "ok": 0.0, "slow": 5.0, "reset": 0.0, "hang": 3600.0, "drip": 0.2,
    "cut": 0.0, "nonsense": 0.0, "huge": 0.0,
}  # fmt: skip
"""Each word and its usual seconds."""
_RETRY_AFTER_S = 2.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}
_ITEM = re.compile(r"([a-z]+|[1-5][0-9][0-9])(?::([0-9]+(?:\.[0-9]+)?)(ms|s|m)?)?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to answer. `kind` is `status` or one of the words above.

    `reset` breaks the connection off, `cut` ends it in the middle of the answer, `nonsense` answers what is
    no HTTP, `huge` more than anybody reads. A status of 300 to 399 leads elsewhere (`Location`).
    `seconds`: `slow` waits so long before it answers, `hang` before it closes without an answer, `drip`
    between two bytes; of a status 429 or 503 it is the Retry-After.
    """

    kind: str
    status: int = 200
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.kind in ("ok", "status"):
            return str(self.status)
        return f"{self.kind} {self.seconds:g} s" if self.seconds else self.kind


OK = Fault("ok")


def parse_faults(text: str) -> Sequence[Fault]:
    """Read `slow,500,reset,ok,429:10s`: one for each request in turn, then from the start again.

    Raises ValueError that says what is known.
    """
    return tuple(_fault(item.strip()) for item in text.split(",") if item.strip())


def _fault(item: str) -> Fault:
    found = _ITEM.fullmatch(item)
    if not found or not (found[1].isdigit() or found[1] in _WORDS):
        known = ", ".join(_WORDS)
        raise ValueError(
            f"{item!r} is no fault: give {known} or an HTTP status, each with :SECONDS if wanted"
        )
    seconds = float(found[2]) * _UNITS[found[3] or ""] if found[2] else None
    if found[1].isdigit():
        status = int(found[1])
        usual = _RETRY_AFTER_S if status in (429, 503) else 0.0
        return Fault("status", status, usual if seconds is None else seconds)
    return Fault(found[1], seconds=_WORDS[found[1]] if seconds is None else seconds)
