"""How long the latest lookups of each client took, kept in memory since the bridge's start."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence

KEPT = 1_000
"""So many of each client's lookups, the latest."""


class LookupTimes:
    """Takes each lookup's time, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, deque[float]] = {}

    def note(self, client: str, elapsed_s: float) -> None:
        """A lookup of this client took so long."""
        with self._lock:
            self._taken.setdefault(client, deque(maxlen=KEPT)).append(elapsed_s)

    def taken(self) -> Mapping[str, Sequence[float]]:
        """The times of each client's latest lookups, in seconds."""
        with self._lock:
            return {client: list(times) for client, times in self._taken.items()}
