"""Connections to the HTTP server that show no token: they keep nobody out, and stay for a moment only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from vipex_bridge.config.settings import Customer, Http, Secret
from vipex_bridge.server import access, login, strangers
from vipex_bridge.server.gate import Gate
from vipex_bridge.server.serving import MOST_CONNECTIONS, Serving

TOKEN, CUSTOMERS = "planted-token-of-the-strangers", "planted-token-of-a-customer"
WITHIN_S = 20.0
LARGE = 16 * 1024 * 1024
"""More than goes into the network when nobody reads."""
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Doors:
    """The server's gate with little behind it, and connections to it."""

    def __init__(self) -> None:
        inside = Starlette(
            routes=[
                Route("/healthz", _well),
                Route("/static/{name}", _large),
                Route("/api/v1/large", _large),
                Route("/api/v1/stream", self._stream),
                Route("/api/v1/recordings/stream", self._stream),
            ]
        )
        keys = access.CustomerKeys.of([Customer(Path("acme.yaml"), (), (Secret(CUSTOMERS),))])
        gate = Gate(inside, lambda: [TOKEN], lambda: keys)
        inside.router.routes += login.routes(gate)
        self.serving = Serving(gate)
        self.more = asyncio.Event()
        self._opened: list[Stream] = []

    async def _stream(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            yield "first\n"
            await self.more.wait()
            yield "last\n"

        return StreamingResponse(pieces())

    async def open(self, data: bytes = b"") -> Stream:
        """A connection that has said this."""
        assert self.serving.port is not None
        opened = await asyncio.open_connection("127.0.0.1", self.serving.port)
        opened[1].write(data)
        self._opened.append(opened)
        return opened

    async def asked(self) -> bytes:
        """The first line that somebody new is answered."""
        reader, _ = await self.open(HEALTHZ)
        return await asyncio.wait_for(reader.readline(), WITHIN_S)

    async def cookie(self) -> str:
        """That of somebody who has logged in."""
        form = f"token={TOKEN}"
        head = f"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: {len(form)}\r\n\r\n"
        reader, _ = await self.open((head + form).encode())
        answer = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WITHIN_S)).decode()
        return answer.partition("set-cookie: ")[2].partition(";")[0]

    async def close(self) -> None:
        for _, writer in self._opened:
            writer.transport.abort()
        await self.serving.close()


async def _well(request: Request) -> Response:
    return PlainTextResponse("well")


async def _large(request: Request) -> Response:
    return PlainTextResponse("x" * LARGE)


@contextlib.asynccontextmanager
async def doors() -> AsyncIterator[Doors]:
    made = Doors()
    await made.serving.start(Http("127.0.0.1", 0, ()))
    try:
        yield made
    finally:
        await made.close()


async def ended(stream: Stream) -> None:
    """Reads until the server closes the connection."""

    async def to_the_end() -> None:
        with contextlib.suppress(ConnectionError):
            while await stream[0].read(65536):
                pass

    await asyncio.wait_for(to_the_end(), WITHIN_S)


SILENT = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHos",
    "half a head after an answer": HEALTHZ + b"GET / HTTP/1.1\r\nHos",
    "half a form": b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ntoken=",
    "a body that nobody reads": b"POST /api/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na",
    "a wrong token, then nothing": b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Api-Key: no\r\n\r\n",
}


@pytest.mark.parametrize("what", SILENT)
async def test_who_says_no_more_is_left(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "UNKNOWN_S", 0.3)
    async with doors() as server:
        await ended(await server.open(SILENT[what]))


@pytest.mark.parametrize(
    ("path", "is_cut"),
    [
        ("/static/a", True),
        ("/static/a close", True),
        ("/api/v1/large", False),
        ("/api/v1/large close", False),
    ],
)
async def test_who_does_not_read_is_cut_off_unless_he_was_let_in(
    path: str, is_cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "UNKNOWN_S", 0.3)
    path, _, closes = path.partition(" ")
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {closes or 'keep-alive'}\r\n"
    head += "" if is_cut else f"Authorization: Bearer {TOKEN}\r\n"
    async with doors() as server:
        reader, writer = await server.open()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(f"{head}\r\n".encode())
        for _ in range(2):
            # Two times the time are over when these are gone.
            await ended(await server.open())
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        came = 0
        with contextlib.suppress(ConnectionError):
            while data := await asyncio.wait_for(reader.read(1024 * 1024), WITHIN_S):
                came += len(data)
        assert (came < LARGE) == is_cut


async def test_a_crowd_that_says_nothing_keeps_nobody_out() -> None:
    async with doors() as server:
        with structlog.testing.capture_logs() as logged:
            crowd = [await server.open(b"GET / HT" * (number % 2)) for number in range(MOST_CONNECTIONS + 50)]
            assert await server.asked() == b"HTTP/1.1 200 OK\r\n"
            # Whoever came first went first.
            await ended(crowd[0])
        told = [line for line in logged if line["event"] == "http.peer_dropped"]
        assert [line["peer"] for line in told] == ["127.0.0.1"]


@pytest.mark.parametrize("by", ["token", "a customer's token", "session", "link"])
async def test_who_was_let_in_takes_its_time_and_is_pushed_out_by_nobody(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "UNKNOWN_S", 0.3)
    async with doors() as server:
        path, header = "/api/v1/stream", f"X-Api-Key: {TOKEN if by == 'token' else CUSTOMERS}"
        if by == "session":
            header = f"Cookie: {await server.cookie()}"
        elif by == "link":
            over = int(time.time()) + 600
            signature = access.sign_link("stream", over, TOKEN)
            path, header = f"/api/v1/recordings/stream?expires={over}&signature={signature}", "X-A: b"
        reader, writer = await server.open(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b"first\n"), WITHIN_S)
        crowd = [await server.open() for _ in range(strangers.MOST_UNKNOWN + 10)]
        # The last of those who came later is gone: the time is over.
        await ended(crowd[-1])
        server.more.set()
        await asyncio.wait_for(reader.readuntil(b"last\n"), WITHIN_S)
        await ended((reader, writer))


async def test_a_connection_is_used_again_and_each_answer_gives_it_new_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with doors() as server:
        monkeypatch.setattr(strangers, "UNKNOWN_S", 3)
        reader, writer = await server.open()
        for _ in range(6):
            writer.write(HEALTHZ)
            await asyncio.wait_for(reader.readuntil(b"well"), WITHIN_S)
            monkeypatch.setattr(strangers, "UNKNOWN_S", 0.6)
            # A fifth of its time is over when this one is gone: of five it would have none left.
            await ended(await server.open())
            monkeypatch.setattr(strangers, "UNKNOWN_S", 3)
        writer.write(HEALTHZ)
        await asyncio.wait_for(reader.readuntil(b"well"), WITHIN_S)
