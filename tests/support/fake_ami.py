"""Asterisk's side of the manager interface on a real socket, for tests: answers, plays, misbehaves."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType

Channel = dict[str, str]


def event(name: str, channel: Channel, *, is_timed: bool = True, **headers: str) -> bytes:
    """An event about a channel, as Asterisk writes it (`is_timed`: with `timestampevents = yes`)."""
    timestamp = {"Timestamp": f"{time.time():.6f}"} if is_timed else {}
    pairs = {"Event": name, **timestamp, **channel, **headers}
    return "".join(f"{key}: {value}\r\n" for key, value in pairs.items()).encode() + b"\r\n"


def channel(number: int, **headers: str) -> Channel:
    """The headers of a channel; `number` makes it a channel of its own."""
    uniqueid = f"1795409430.{number}"
    return {
        "Channel": f"PJSIP/trunk-{number:08x}",
        "ChannelState": "6",
        "ChannelStateDesc": "Up",
        "CallerIDNum": "3642999425",
        "CallerIDName": "<unknown>",
        "ConnectedLineNum": "<unknown>",
        "ConnectedLineName": "<unknown>",
        "AccountCode": "",
        "Context": "from-trunk",
        "Exten": "3642999408",
        "Priority": "1",
        "Uniqueid": uniqueid,
        "Linkedid": uniqueid,
        **headers,
    }


class FakeAmi:
    """Serves on 127.0.0.1 while entered. Set the attributes before or during a connection.

    It knows Login, Ping, CoreStatus, BridgeList and CoreShowChannels, and never sends FullyBooted, as to
    a user without `read = system`.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.banner = b"Asterisk Call Manager/11.0.0\r\n"
        self.secret = "labsecret"
        self.started = ("2026-11-23", "04:00:00")
        self.channels: list[Channel] = []
        self.refused: set[str] = set()
        self.silent_to: set[str] = set()
        self.clock_ahead_s = 0.0
        self.script: dict[str, Callable[[str], bytes]] = {}
        """Action name -> what to send instead of the usual answer; it gets the ActionID."""
        self.actions: list[dict[str, str]] = []
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.only_to_logged_in = False
        """Events go to every connection; True: as Asterisk does, to those alone that have logged in."""
        self._logged_in: set[asyncio.StreamWriter] = set()
        self._talks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> FakeAmi:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens; on the same port as before if it ran before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and cuts every connection."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def cut(self) -> None:
        """Cuts every connection, like a network that went away."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def play(self, data: bytes, chances: random.Random | None = None) -> None:
        """Sends bytes on every connection: at once, or in chunks of random size."""
        for chunk in _chunks(data, chances) if chances is not None else [data]:
            for writer in list(self._writers):
                if self.only_to_logged_in and writer not in self._logged_in:
                    continue
                writer.write(chunk)
                with suppress(ConnectionError):
                    await writer.drain()
            # Lets the other side read this chunk before the next is added to it.
            await asyncio.sleep(0)

    async def until(self, wanted: Callable[[FakeAmi], bool]) -> None:
        """Waits until what the clients did makes `wanted` true."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: wanted(self))

    def count(self, action: str) -> int:
        """How often an action was received, over all connections."""
        return sum(1 for headers in self.actions if headers.get("Action") == action)

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        self._writers.append(writer)
        self.connections += 1
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await self._talk(reader, writer)
        finally:
            self._talks.discard(task)
            self._logged_in.discard(writer)
            if writer in self._writers:
                self._writers.remove(writer)
            writer.transport.abort()
            async with self._changed:
                self._changed.notify_all()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.banner)
        action: dict[str, str] = {}
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            if text:
                name, _, value = text.partition(": ")
                action[name] = value
                continue
            self.actions.append(action)
            if action.get("Action") not in self.silent_to:
                writer.write(self._answer(action))
                if action.get("Action") == "Login" and action.get("Secret") == self.secret:
                    self._logged_in.add(writer)
                await writer.drain()
            action = {}
            async with self._changed:
                self._changed.notify_all()

    def _answer(self, action: dict[str, str]) -> bytes:
        name, action_id = action.get("Action", ""), action.get("ActionID", "")
        if name in self.script:
            return self.script[name](action_id)
        if name in self.refused:
            return _response(action_id, "Error", Message="Permission denied")
        match name:
            case "Login" if action.get("Secret") == self.secret:
                return _response(action_id, "Success", Message="Authentication accepted")
            case "Login":
                return _response(action_id, "Error", Message="Authentication failed")
            case "Ping":
                now = f"{time.time() + self.clock_ahead_s:.6f}"
                return _response(action_id, "Success", Ping="Pong", Timestamp=now)
            case "CoreStatus":
                date, clock = self.started
                return _response(action_id, "Success", CoreStartupDate=date, CoreStartupTime=clock)
            case "BridgeList":
                kinds = {"BridgeType": "basic", "BridgeTechnology": "simple_bridge"}
                rows = [
                    event("BridgeListItem", {"BridgeUniqueid": bridge, **kinds}, ActionID=action_id)
                    for bridge in dict.fromkeys(
                        row["BridgeId"] for row in self.channels if row.get("BridgeId")
                    )
                ]
                ends = event("BridgeListComplete", {}, ActionID=action_id, EventList="Complete")
                return _response(action_id, "Success", EventList="start") + b"".join(rows) + ends
            case "CoreShowChannels":
                return b"".join(self.listing(action_id))
        return _response(action_id, "Error", Message="Invalid/unknown command")

    def listing(self, action_id: str) -> list[bytes]:
        """The messages of a whole CoreShowChannels answer."""
        return [
            _response(action_id, "Success", EventList="start", Message="Channels will follow"),
            *(event("CoreShowChannel", row, ActionID=action_id) for row in self.channels),
            event("CoreShowChannelsComplete", {}, ActionID=action_id, EventList="Complete"),
        ]


def _response(action_id: str, response: str, **headers: str) -> bytes:
    pairs = {"Response": response, "ActionID": action_id, **headers}
    return "".join(f"{name}: {value}\r\n" for name, value in pairs.items()).encode() + b"\r\n"


def _chunks(data: bytes, chances: random.Random) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        size = chances.choice((1, 2, 3, 700, 4096))
        yield data[start : start + size]
        start += size
