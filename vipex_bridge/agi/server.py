"""The bridge's AGI server: `agi://` over TCP, and the same on a Unix socket for the scripts in `agi/`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import structlog

from vipex_bridge.agi.call import Handler
from vipex_bridge.agi.dialogue import Dialogue
from vipex_bridge.agi.guests import Sparing, Waiting, may_connect
from vipex_bridge.agi.peer import Peer
from vipex_bridge.config.settings import Agi
from vipex_bridge.errors import AgiError

_log = structlog.get_logger()

PATIENCE_S = 5.0
"""How long a peer may take for its environment, and for each reply."""

_SOCKET_MODE = 0o660
_BACKLOG = 4_096
"""A connection that finds the queue full waits a second and more; Asterisk gives up after two."""
_ACCEPTED_AT_ONCE = 64
"""In one turn of asyncio's loop: so a crowd cannot crowd out who has just come and not yet been heard."""
_TURNS_TO_SERVE = 5
"""An accepted connection becomes a task of ours only after so many turns of asyncio's loop."""
_PARTING_S = 0.5
"""How long, when the bridge stops, an abandoned lookup has to tell its call so."""


class AgiServer:
    """Listens where `agi` says and lets `handler` do the work; no conversation touches another."""

    def __init__(self, agi: Agi, handler: Handler, *, patience_s: float = PATIENCE_S) -> None:
        self._agi = agi
        self._allow = agi.allow
        self._handler = handler
        self._patience_s = patience_s
        self._port = agi.listen_port
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._dialogues: set[Dialogue] = set()
        self._waiting = Waiting()
        self._sparing = Sparing()

    @property
    def port(self) -> int:
        """The TCP port that is listened on, also when the configuration says 0."""
        return self._port

    async def start(self) -> None:
        """Begins to listen. Raises AgiError when an address is not to be had."""
        try:
            if self._agi.listen_host is not None:
                await self._listen_tcp(self._agi.listen_host, self._agi.listen_port)
            if self._agi.socket is not None:
                await self._listen_unix(self._agi.socket)
        except AgiError:
            await self.close(0.0)
            raise

    def reload(self, agi: Agi) -> None:
        """Takes `allow`, for connections to come; the rest is taken by a restart alone."""
        self._allow = agi.allow

    async def close(self, timeout_s: float = 2.0) -> None:
        """Stops listening and gives running conversations `timeout_s` to finish; then they are ended.

        A lookup that is still under way then is abandoned as UNAVAILABLE, so that its call goes on.
        """
        for server in self._servers:
            if self._agi.socket is not None and server.sockets[0].family is socket.AF_UNIX:
                self._agi.socket.unlink(missing_ok=True)
            server.close()
        self._servers.clear()
        for _ in range(_TURNS_TO_SERVE):
            await asyncio.sleep(0)
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout_s)
        for dialogue in self._dialogues:
            dialogue.abandon()
        if self._dialogues:
            await asyncio.wait(self._connections, timeout=_PARTING_S)
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_PARTING_S)

    async def _listen_tcp(self, host: str, port: int) -> None:
        try:
            # What asyncio calls backlog is also how many it accepts at once; the queue may be longer.
            server = await asyncio.start_server(self._serve, host, port, backlog=_ACCEPTED_AT_ONCE)
            for each in server.sockets:
                with socket.fromfd(each.fileno(), each.family, each.type) as same:
                    same.listen(_BACKLOG)
        except OSError as error:
            raise AgiError(f"cannot listen on {host}:{port} ({error}): change asterisk.agi.listen") from error
        self._servers.append(server)
        self._port = server.sockets[0].getsockname()[1]

    async def _listen_unix(self, path: Path) -> None:
        bound = await asyncio.to_thread(_bound_socket, path)
        self._servers.append(await asyncio.start_unix_server(self._serve, sock=bound, backlog=_BACKLOG))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None  # noqa: S101 -- always so in a coroutine that a server runs
        address = _address(writer)
        if address is not None and not may_connect(address, self._allow):
            self._drop(writer, address, "agi.peer_refused", "not within asterisk.agi.allow")
            return
        self._connections.add(connection)
        peer = Peer(reader, writer, self._patience_s)
        too_many = "too many connections that say nothing: see who opens them, and asterisk.agi.allow"
        self._waiting.begins(connection, lambda: self._drop(writer, address, "agi.peer_dropped", too_many))
        try:
            if (environment := await peer.environment()) is None:
                return
            self._waiting.ends(connection)
            dialogue = Dialogue(peer, environment, self._handler)
            self._dialogues.add(dialogue)
            try:
                await dialogue.run()
            finally:
                self._dialogues.discard(dialogue)
        except asyncio.CancelledError:
            # From close() alone; asyncio 3.11 logs a handler that ends as cancelled as an error.
            _log.info("agi.peer_dropped", reason="the bridge stops")
        except AgiError as error:
            self._tell(address, "agi.peer_dropped", str(error))
        except Exception:  # noqa: BLE001 -- the top of a task: no connection may end another
            _log.exception("agi.connection_failed")
        finally:
            self._waiting.ends(connection)
            await peer.close()
            self._connections.discard(connection)

    def _drop(self, writer: asyncio.StreamWriter, address: str | None, event: str, reason: str) -> None:
        self._tell(address, event, reason)
        writer.transport.abort()

    def _tell(self, address: str | None, event: str, reason: str) -> None:
        """One line a minute of each address: a flood of connections must be none of log lines."""
        untold = self._sparing.untold(f"{event} {address}")
        if untold is not None:
            _log.warning(event, peer=address or "a program on the Unix socket", reason=reason, untold=untold)


def _address(writer: asyncio.StreamWriter) -> str | None:
    """The peer's IP address; None on the Unix socket, whose file mode says who may connect."""
    peer = writer.get_extra_info("peername")
    if isinstance(peer, tuple):
        return str(peer[0])
    # A TCP peer that is gone already has no address any more: it is nobody whom we let in.
    family = writer.get_extra_info("socket").family
    return None if family is socket.AF_UNIX else ""


def _bound_socket(path: Path) -> socket.socket:
    """A Unix socket at `path`, for its user and group only; a dead one that is there is replaced."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A folder that cannot be made shows when binding, with the path in the message.
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_socket():
            _remove_dead(path)
        bound.bind(str(path))
        # Nobody can connect before it listens, so the mode is right in time.
        path.chmod(_SOCKET_MODE)
    except OSError as error:
        bound.close()
        raise AgiError(f"cannot listen on {path} ({error}): change asterisk.agi.socket") from error
    except AgiError:
        bound.close()
        raise
    return bound


def _remove_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise AgiError(f"another process listens on {path}: stop it, or change asterisk.agi.socket")
