"""The threads that lookups run in: one is started when none is free, used again, and ends when it is idle."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

IDLE_S = 2.0


class Threads:
    """Runs each piece of work at once, however many there are; none is waited for at the program's end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[tuple[str, Callable[[], None]]] = queue.SimpleQueue()
        self._free = 0
        """Threads that wait, less what waits for them."""

    def run(self, name: str, work: Callable[[], None]) -> None:
        """Runs `work`, which raises nothing, in a thread of that name. Raises RuntimeError if none starts."""
        with self._lock:
            is_one_free = self._free > 0
            self._free -= is_one_free
        if is_one_free:
            self._work.put((name, work))
        else:
            threading.Thread(target=self._serve, args=(work,), name=name, daemon=True).start()

    def is_one_free(self) -> bool:
        """Whether the next piece of work would need no new thread."""
        with self._lock:
            return self._free > 0

    def _serve(self, work: Callable[[], None]) -> None:
        own = threading.current_thread()
        while True:
            work()
            # What it held (an answer, a client) is not to stay while it waits.
            del work
            with self._lock:
                self._free += 1
            while True:
                try:
                    own.name, work = self._work.get(timeout=IDLE_S)
                    break
                except queue.Empty:
                    with self._lock:
                        # Else somebody has just counted on this one.
                        if self._free > 0:
                            self._free -= 1
                            return
