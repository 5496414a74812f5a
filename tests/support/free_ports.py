"""A port that nobody listens on, for a server that cannot be given port 0."""

from __future__ import annotations

import os
import random
import socket
from itertools import count

# Below the kernel's own choices (ip_local_port_range, 32768 on): no connection of another test takes it.
_FIRST, _ROOM = 22_000, 2_000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5
_NEXT = count(random.randrange(_ROOM))


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago, given once; each worker of pytest has its own."""
    for _ in range(_ROOM):
        port = _FIRST + _ROOM * _WORKER + next(_NEXT) % _ROOM
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
