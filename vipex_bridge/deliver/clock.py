"""A clock that may be set while the bridge runs: noticed by comparing it with one that nobody sets. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass

STEP_S = 10.0
"""What the clock must jump by to count as set; less does no harm, and NTP slews by less."""


def uptime() -> float:
    """Seconds since the machine booted, sleep included: what no setting of the clock changes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Steps:
    """Finds by how much the clock was set between two looks."""

    _ahead_s: float | None = None
    """The clock's lead over the machine's uptime at the last look."""

    def pending(self, now: float, uptime_s: float) -> float:
        """What `look` would give, which is left for it to give."""
        if self._ahead_s is None or abs(now - uptime_s - self._ahead_s) < STEP_S:
            return 0.0
        return now - uptime_s - self._ahead_s

    def look(self, now: float, uptime_s: float) -> float:
        """By how many seconds the clock was set since the last look: less than 0 for back, 0.0 for not."""
        step_s = self.pending(now, uptime_s)
        self._ahead_s = now - uptime_s
        return step_s
