"""How many lookups run at once, of all clients and of one: a server that hangs takes no other's place.

A client may have at most three times as many places as are free: alone three quarters of all, three quarters
of the rest for the next one. Of 64 places the servers of three clients that hang leave one, of a fourth none.
"""

from __future__ import annotations

import asyncio
from collections import Counter

TIMES_THE_FREE = 3


class Places:
    """Places for `most` lookups. For one event loop."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._held: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        """In the order they came; none of them may have a place now."""

    async def take(self, client: str) -> bool:
        """Get a place for this client, to be given back; whether it had to be waited for."""
        if self._may(client):
            self._give(client)
            return False
        waiting = (client, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting[1]
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                # It was given the place just as it left.
                self.give_back(client)
            raise
        return True

    def give_back(self, client: str) -> None:
        """A lookup of this client has ended."""
        self._free += 1
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
        for waiting in list(self._waiting):
            name, future = waiting
            if self._may(name):
                self._waiting.remove(waiting)
                self._give(name)
                if not future.done():
                    future.set_result(None)

    def _may(self, client: str) -> bool:
        return self._held[client] < self._free * TIMES_THE_FREE

    def _give(self, client: str) -> None:
        self._free -= 1
        self._held[client] += 1
