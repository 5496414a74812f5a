"""How often a server that gives no answer is tried, so that it takes no time from the others. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FREE_TRIES = 30
"""So many tries may go without an answer: a short outage goes by the retry list alone."""
TRIES_PER_S = 1.0
"""What a server that stays silent is left with. One answer, and all that waits for it goes out at once."""


@dataclass(slots=True)
class Pace:
    """What a client's workers may still try. `uptime_s`: seconds by a clock that nobody sets."""

    _left: float = FREE_TRIES
    _at_s: float = 0.0

    def wait_s(self, uptime_s: float) -> float:
        """How long until the next try may begin; 0.0 for now."""
        return max(0.0, 1.0 - self._left_at(uptime_s)) / TRIES_PER_S

    def begins(self, uptime_s: float) -> None:
        """A try begins."""
        self._left = self._left_at(uptime_s) - 1.0
        self._at_s = uptime_s

    def was_answered(self) -> bool:
        """The server answered, whatever it said; gives whether the pace had been kept until now."""
        was_kept = self._left < 1.0
        self._left = FREE_TRIES
        return was_kept

    def _left_at(self, uptime_s: float) -> float:
        return min(FREE_TRIES, self._left + max(0.0, uptime_s - self._at_s) * TRIES_PER_S)
