"""One AGI connection: asyncio's streams on one side, the conversation's words on the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from vipex_bridge.agi.conversation import Conversation, Environment, HungUp, Reply
from vipex_bridge.errors import AgiError

MAX_UNASKED_BYTES = 256 * 1024
"""More than any environment or reply, with what may stand around it: who says more is no Asterisk."""


class Peer:
    """Asterisk, or a script in its `agi-bin`, at the other end of a connection.

    Nothing here waits longer than `patience_s` for a peer that owes an answer; `gone` alone waits for ever.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._patience_s = patience_s
        self._conversation = Conversation()
        self._environment: Environment | None = None
        self._replies: deque[Reply] = deque()
        self._silent = True
        self._heard_bytes = 0
        self.closed = False
        """The peer has closed the connection."""
        self.hung_up = False
        """The caller has hung up; the connection may still serve."""

    async def environment(self) -> Environment | None:
        """The environment; None when the peer went away without a word (a port scan, a health check)."""
        async with self._in_time("AGI environment"):
            while self._environment is None:
                await self._read()
                if self.closed and self._silent:
                    return None
                if self.closed and self._environment is None:
                    raise AgiError("the connection was closed in the middle of the AGI environment")
        return self._environment

    async def ask(self, command: bytes) -> Reply:
        """Sends one command line and gives its reply. Raises AgiError when none comes."""
        # What came unasked (the rest of an odd value) is not this command's reply.
        self._replies.clear()
        self._heard_bytes = 0
        async with self._in_time("reply"):
            try:
                self._writer.write(command)
                await self._writer.drain()
            except OSError as error:
                raise AgiError(f"Asterisk closed the connection: {error}") from error
            while not self._replies:
                if self.closed:
                    raise AgiError("Asterisk closed the connection instead of replying")
                await self._read()
        return self._replies.popleft()

    async def gone(self) -> None:
        """Returns when the caller hangs up or the connection ends."""
        while not (self.closed or self.hung_up):
            await self._read()

    async def close(self) -> None:
        """Ends the connection; what was written is still sent, unless the peer does not take it."""
        self._writer.close()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._writer.wait_closed()
        except OSError:  # a broken connection, or the time is over: nothing is left to be saved
            self._writer.transport.abort()

    async def _read(self) -> None:
        try:
            data = await self._reader.read(65_536)
        except OSError:
            data = b""
        self.closed = not data
        self._silent = self._silent and not data
        self._heard_bytes += len(data)
        if self._heard_bytes > MAX_UNASKED_BYTES:
            raise AgiError(f"more than {MAX_UNASKED_BYTES} bytes to one command: the peer is no Asterisk")
        for what in self._conversation.feed(data):
            match what:
                case Reply():
                    self._replies.append(what)
                case HungUp():
                    self.hung_up = True
                case Environment():
                    self._environment = what

    @contextlib.asynccontextmanager
    async def _in_time(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except TimeoutError:
            raise AgiError(
                f"waited {self._patience_s:g} s for {what}: the peer is no Asterisk, or hangs"
            ) from None
