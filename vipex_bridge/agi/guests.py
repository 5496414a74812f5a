"""Who may connect to the AGI port, and who of those that have said nothing yet may stay.

FastAGI knows neither log-in nor encryption: an address is all there is to go by. Whoever floods the port
must not keep Asterisk's own lookups away, nor fill the log or the memory.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

MAX_WAITING = 1_000
"""Connections that have not said what they want; with one more the oldest of them goes."""
TOLD_AGAIN_S = 60.0
MAX_TOLD = 1_000
"""Addresses of which it is remembered that the log told of them."""


def may_connect(address: str, allow: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether a peer of this address (as the system gives it, a `%zone` included) may connect."""
    try:
        peer = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        # How a socket that listens on `::` sees IPv4 (RFC 4291, section 2.5.5.2).
        peer = peer.ipv4_mapped
    return any(peer.version == network.version and peer in network for network in allow)


class Waiting:
    """The connections that have not said what they want, oldest first."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._connections: OrderedDict[object, Callable[[], None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._connections)

    def begins(self, connection: object, drop: Callable[[], None]) -> None:
        """A new one; when it is one too many, the oldest is dropped."""
        self._connections[connection] = drop
        if len(self._connections) > self._most:
            self._connections.popitem(last=False)[1]()

    def ends(self, connection: object) -> None:
        """It has said what it wants, or is gone."""
        self._connections.pop(connection, None)


class Sparing:
    """When the log is to hear of an address: once a minute at most, and of `MAX_TOLD` addresses at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: OrderedDict[str, float] = OrderedDict()
        self._untold = 0

    def __len__(self) -> int:
        return len(self._told)

    def untold(self, address: str) -> int | None:
        """How many were kept silent since the last line, when it is time for one; else None."""
        now = self._clock()
        while self._told and now - next(iter(self._told.values())) >= TOLD_AGAIN_S:
            self._told.popitem(last=False)
        if address in self._told or len(self._told) >= MAX_TOLD:
            self._untold += 1
            return None
        self._told[address] = now
        silent, self._untold = self._untold, 0
        return silent
