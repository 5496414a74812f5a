"""Connections that have not shown who they are: a time for each of them, and so many at most.

Without a token there is next to nothing to be had; but a connection that says nothing or half a request, or
does not read its answer, would hold its place all the same, until nobody else got one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from starlette.types import Scope
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from vipex_bridge.agi.guests import Sparing, Waiting

log = structlog.get_logger()

UNKNOWN_S = 15
"""How long a connection may be without a request that is let in, or another one that is answered."""
MOST_UNKNOWN = 128
"""With one more the one goes that has been so for the longest."""
_KNOWN = "connection_is_known"


def is_known(scope: Scope) -> None:
    """The request was let in: its connection may take the time it wants, until it is answered."""
    known: Callable[[], None] | None = scope["state"].get(_KNOWN)
    if known is not None:
        known()


class Strangers:
    """The connections of one server that nothing is known of, and what makes its connections."""

    def __init__(self) -> None:
        self._waiting = Waiting(MOST_UNKNOWN)
        self._sparing = Sparing()

    def connection(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """What uvicorn asks for each connection."""
        return _Connection(self, config, server_state, app_state, _loop)

    def begins(self, connection: _Connection) -> None:
        """Nothing is known of it from now on."""
        self._waiting.begins(connection, lambda: self._drop(connection))

    def ends(self, connection: _Connection) -> None:
        """It is known, or gone."""
        self._waiting.ends(connection)

    def _drop(self, connection: _Connection) -> None:
        connection.transport.abort()
        peer = connection.client[0] if connection.client else "unknown"
        untold = self._sparing.untold(peer)
        if untold is not None:
            reason = "too many connections that show no token: see who opens them"
            log.warning("http.peer_dropped", peer=peer, reason=reason, untold=untold)


class _Connection(H11Protocol):
    """uvicorn's own, subclassed: it alone knows when a connection begins, is answered and ends."""

    def __init__(
        self,
        strangers: Strangers,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, _KNOWN: self._let_in}, _loop)
        self._strangers = strangers
        self._was_let_in = False
        """Its latest request was: the answer may be read as slowly as must be."""
        self._over: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _let_in(self) -> None:
        self._was_let_in = True
        self._wait_no_more()

    def _wait(self) -> None:
        """For the next request, or the first."""
        self._wait_no_more()
        if not self._was_let_in:
            self._strangers.begins(self)
        self._over = self.loop.call_later(UNKNOWN_S, self._time_is_up, self._was_let_in)
        self._was_let_in = False

    def _wait_no_more(self) -> None:
        self._strangers.ends(self)
        if self._over is not None:
            self._over.cancel()
            self._over = None

    def _time_is_up(self, may_read_on: bool) -> None:
        if may_read_on and self.transport.get_write_buffer_size() > 0:
            self._over = self.loop.call_later(UNKNOWN_S, self._time_is_up, may_read_on)
            return
        self._wait_no_more()
        self.transport.abort()
