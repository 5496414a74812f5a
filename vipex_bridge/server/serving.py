"""uvicorn in the bridge's own event loop: bound, served, followed by a reload, stopped in time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from vipex_bridge.config.settings import Http
from vipex_bridge.errors import BridgeError
from vipex_bridge.server.strangers import UNKNOWN_S, Strangers

log = structlog.get_logger()

MOST_CONNECTIONS = 256
STOPS_WITHIN_S = 1
"""What answers under way get at a stop."""
_BACKLOG = 64


class Serving:
    """The HTTP server of one bridge: on the address of the settings, or nowhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._http: Http | None = None
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @property
    def port(self) -> int | None:
        """The port it listens on; None when it does not."""
        servers = self._server.servers if self._server is not None else []
        return int(servers[0].sockets[0].getsockname()[1]) if servers else None

    async def start(self, http: Http | None) -> None:
        """Listen where the settings say. Raises BridgeError where that cannot be."""
        async with self._changing:
            await self._start(http)

    async def reload(self, http: Http | None) -> None:
        """Go where the new settings say; what they say of tokens is looked up at each request anyway."""
        async with self._changing:
            before = self._http
            if http is not None and before is not None and _address(http) == _address(before):
                self._http = http
                return
            await self._stop()
            try:
                await self._start(http)
            except BridgeError as error:
                log.error("http.not_listening", error=str(error))
                await self._start(before)

    async def close(self) -> None:
        """Stop listening; what is being answered gets a moment to end."""
        async with self._changing:
            await self._stop()

    async def _start(self, http: Http | None) -> None:
        self._http = http
        if http is None:
            return
        bound = _bound(http)
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=UNKNOWN_S,
            timeout_graceful_shutdown=STOPS_WITHIN_S,
            ws="none",
            http=cast("type[asyncio.Protocol]", Strangers().connection),
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # Its `serve` would take the process's signals, which are the bridge's.
        await server.startup(sockets=[bound])
        self._server = server
        self._task = asyncio.create_task(self._serve(server, bound), name="http")
        log.info("http.listening", host=http.listen_host, port=self.port)

    async def _serve(self, server: uvicorn.Server, bound: socket.socket) -> None:
        try:
            await server.main_loop()
        finally:
            await server.shutdown(sockets=[bound])

    async def _stop(self) -> None:
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._task], timeout=STOPS_WITHIN_S + 1)
        self._server, self._task = None, None


def _address(http: Http) -> tuple[str, int]:
    return http.listen_host, http.listen_port


def _bound(http: Http) -> socket.socket:
    family = socket.AF_INET6 if ":" in http.listen_host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((http.listen_host, http.listen_port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise BridgeError(
            f"the HTTP server cannot listen on {http.listen_host}:{http.listen_port} ({error.strerror}): "
            "change http.listen, or stop what is there"
        ) from None
    bound.setblocking(False)
    return bound
