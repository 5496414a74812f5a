"""That Asterisk stops is believed when it then goes: its word alone may be a caller's."""

from __future__ import annotations

import asyncio

from fake_ami import FakeAmi, channel, event

from vipex_bridge.ami.session import Session
from vipex_bridge.calls import events as ev
from vipex_bridge.config.settings import Ami, Secret

SHUTDOWN = b"Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n"


async def test_a_shutdown_counts_when_the_connection_ends_after_it() -> None:
    heard: list[ev.CallEvent] = []
    arrived = asyncio.Event()

    def on_events(events: list[ev.CallEvent]) -> None:
        heard.extend(events)
        arrived.set()

    async def until(kind: type[ev.CallEvent]) -> None:
        async with asyncio.timeout(20):
            while not any(isinstance(event, kind) for event in heard):
                arrived.clear()
                await arrived.wait()

    async with FakeAmi() as ami:
        session = Session(Ami("127.0.0.1", ami.port, "vipex", Secret(ami.secret)), on_events)
        running = asyncio.create_task(session.run())
        await until(ev.LiveChannels)
        await ami.play(SHUTDOWN)
        await ami.play(event("Hangup", channel(1), Cause="16"))
        await until(ev.HungUp)
        assert not any(isinstance(event, ev.ServerStopped) for event in heard)
        ami.cut()
        await until(ev.ConnectionLost)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    kinds = [type(event) for event in heard]
    assert kinds.index(ev.ServerStopped) == kinds.index(ev.ConnectionLost) - 1
