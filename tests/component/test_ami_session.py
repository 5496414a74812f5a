"""The session with the manager interface, against a server on a real socket that misbehaves on demand."""

from __future__ import annotations

import asyncio
import gzip
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from fake_ami import FakeAmi, channel, event
from structlog.testing import capture_logs

from vipex_bridge.ami.session import Session
from vipex_bridge.ami.translate import replay
from vipex_bridge.calls import events as ev
from vipex_bridge.config.settings import Ami, Secret

CAPTURES = Path(__file__).parents[1] / "captures"
QUICK: dict[str, Any] = {"retry_first_s": 0.01, "retry_max_s": 0.02, "refused_max_s": 0.02}
IMPATIENT: dict[str, Any] = {**QUICK, "ping_interval_s": 0.05, "answer_timeout_s": 1.0}


class Heard:
    """Everything a session handed over. `fails_on` raises at that kind of event, as a bug would."""

    def __init__(self) -> None:
        self.events: list[ev.CallEvent] = []
        self.fails_on: type | None = None
        self._changed = asyncio.Event()

    def __call__(self, events: list[ev.CallEvent]) -> None:
        self.events += events
        self._changed.set()
        if self.fails_on is not None and any(isinstance(event, self.fails_on) for event in events):
            raise ValueError("a bug in what follows")

    def count(self, kind: type) -> int:
        return sum(1 for event in self.events if isinstance(event, kind))

    async def until(self, wanted: Callable[[Heard], bool]) -> None:
        async with asyncio.timeout(20):
            while not wanted(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_synchronised(self, times: int = 1) -> None:
        await self.until(lambda heard: heard.count(ev.LiveChannels) >= times)


def settings(server: FakeAmi, **options: Any) -> Ami:
    values = {"host": "127.0.0.1", "port": server.port, "username": "vipex", "secret": Secret("labsecret")}
    return Ami(**{**values, **options})


@asynccontextmanager
async def running(server: FakeAmi, heard: Heard, **timing: Any) -> AsyncIterator[Session]:
    session = Session(settings(server), heard, **{**QUICK, **timing})
    task = asyncio.create_task(session.run())
    try:
        yield session
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # a property has nothing to wait for
            await asyncio.sleep(0.005)


def about(heard: Heard, number: int) -> list[str]:
    """The kinds of the events about one channel, in order."""
    uniqueid = channel(number)["Uniqueid"]
    own = [event for event in heard.events if getattr(event, "channel", None) is not None]
    return [type(event).__name__ for event in own if event.channel.uniqueid == uniqueid]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["a_inbound_ivr_queue", "f1_atxfer_feature"])
async def test_a_real_call_arrives_complete_and_in_order(name: str) -> None:
    data = gzip.decompress((CAPTURES / name / "ami.log.gz").read_bytes())
    expected = list(replay(data))
    heard = Heard()
    async with FakeAmi() as server, running(server, heard) as session:
        await heard.until_synchronised()
        await server.play(data, random.Random(7))
        await heard.until(lambda heard: len(heard.events) > len(expected))
        assert heard.events[1:] == expected
        assert (session.malformed, session.reconnects, session.connected) == (0, 0, True)
        assert session.status == f"connected to Asterisk Call Manager/11.0.0 at 127.0.0.1:{server.port}"


async def test_a_name_cut_between_two_reads_arrives_whole() -> None:
    data = event("Newchannel", channel(1, CallerIDName="Kovács Ödön"))
    place = data.index("á".encode()) + 1
    heard = Heard()
    async with FakeAmi() as server, running(server, heard):
        await heard.until_synchronised()
        await server.play(event("Hold", channel(9)) + data[:place])
        await heard.until(lambda heard: heard.count(ev.Held) == 1)
        await server.play(data[place:])
        await heard.until(lambda heard: heard.count(ev.NewChannel) == 1)
    (new,) = [found for found in heard.events if isinstance(found, ev.NewChannel)]
    assert new.channel.caller_name == "Kovács Ödön"


async def test_only_what_least_privilege_allows_is_asked() -> None:
    heard = Heard()
    async with FakeAmi() as server, running(server, heard, ping_interval_s=0.01):
        await server.until(lambda server: server.count("Ping") > 5)
        asked = [action["Action"] for action in server.actions]
    assert asked[:5] == ["Login", "Ping", "CoreStatus", "BridgeList", "CoreShowChannels"]
    assert set(asked[5:]) == {"Ping"}
    assert server.actions[0]["Events"] == "system,call,agent,dialplan"


async def test_a_bug_in_what_follows_stops_nothing() -> None:
    heard = Heard()
    async with FakeAmi() as server, running(server, heard) as session:
        await heard.until_synchronised()
        heard.fails_on = ev.NewChannel
        with capture_logs() as logs:
            await server.play(event("Newchannel", channel(1)))
            await heard.until(lambda heard: heard.count(ev.NewChannel) == 1)
            await server.play(event("Hangup", channel(1)))
            await heard.until(lambda heard: heard.count(ev.HungUp) == 1)
        assert [entry["event"] for entry in logs] == ["ami.callback_failed"]
        assert session.reconnects == 0


async def test_garbage_is_skipped_on_the_same_connection() -> None:
    garbage = (
        b"\r\n\r\n\xff\xfe no header\r\n\r\nEvent: Hangup\r\nEvent: Hangup\r\n\r\n"
        b"Event: Newchannel\nUniqueid: 1\n\nResponse: Success\r\nActionID: unasked\r\n\r\n"
    )
    heard = Heard()
    async with FakeAmi() as server, running(server, heard) as session:
        await heard.until_synchronised()
        with capture_logs() as logs:
            await server.play(garbage + event("Hangup", channel(1)))
            await heard.until(lambda heard: heard.count(ev.HungUp) == 1)
        assert (session.malformed, session.reconnects) == (3, 0)
        assert [entry["event"] for entry in logs] == ["ami.malformed", "ami.malformed"]


async def test_a_refused_log_in_says_what_to_do_and_is_tried_again() -> None:
    heard = Heard()
    async with FakeAmi() as server:
        server.secret = "another"
        with capture_logs() as logs:
            async with running(server, heard) as session:
                await server.until(lambda server: server.count("Login") >= 3)
                assert not session.connected
                assert "log-in refused" in session.status
                server.secret = "labsecret"
                await heard.until_synchronised()
                assert session.reconnects == 0
    refused = [entry for entry in logs if entry["event"] == "ami.login_refused"]
    assert len(refused) >= 2
    assert refused[0]["reason"] == "Authentication failed"
    assert "permit" in refused[0]["what_to_do"]
    assert "labsecret" not in str(logs)
    assert heard.count(ev.ConnectionLost) == 0


@pytest.mark.parametrize("is_busy", [False, True], ids=["silent", "talks but never answers"])
async def test_a_dead_peer_is_left(is_busy: bool) -> None:
    heard = Heard()
    async with FakeAmi() as server, running(server, heard, **IMPATIENT) as session:
        await heard.until_synchronised()
        server.silent_to = {"Ping"}
        while heard.count(ev.ConnectionLost) == 0:
            if is_busy:
                await server.play(event("Hold", channel(1)))
            await asyncio.sleep(0.01)
        server.silent_to = set()
        await heard.until_synchronised(2)
        assert session.reconnects >= 1
        assert heard.count(ev.ConnectionLost) == 1


def test_a_dead_peer_is_found_within_fifteen_seconds_by_default() -> None:
    defaults = Session.__init__.__kwdefaults__ or {}
    assert defaults["ping_interval_s"] + defaults["answer_timeout_s"] <= 15


async def test_a_loss_in_the_middle_of_a_message_is_told_once_and_channels_are_listed_again() -> None:
    heard = Heard()
    async with FakeAmi() as server, running(server, heard) as session:
        await heard.until_synchronised()
        await server.play(event("Newchannel", channel(1)) + event("Hangup", channel(1))[:70])
        await heard.until(lambda heard: heard.count(ev.NewChannel) == 1)
        server.channels = [channel(2)]
        server.cut()
        await heard.until_synchronised(2)
        await server.play(event("Hangup", channel(2)))
        await heard.until(lambda heard: heard.count(ev.HungUp) == 1)
        assert session.reconnects == 1
    kinds = [type(found).__name__ for found in heard.events]
    assert kinds == ["LiveChannels", "NewChannel", "ConnectionLost", "LiveChannels", "HungUp"]
    listed = heard.events[3]
    assert isinstance(listed, ev.LiveChannels)
    assert [found.uniqueid for found in listed.channels] == [channel(2)["Uniqueid"]]
    assert about(heard, 2) == ["HungUp"]


async def test_a_cut_at_any_byte_never_breaks_the_session() -> None:
    data = event("Newchannel", channel(1)) + event("Hangup", channel(1))
    heard = Heard()
    async with FakeAmi() as server, running(server, heard, retry_first_s=0.001) as session:
        for round_number, place in enumerate(range(0, len(data), 23), 1):
            await heard.until_synchronised(round_number)
            await server.play(data[:place])
            server.cut()
        await heard.until_synchronised(round_number + 1)
        assert heard.count(ev.ConnectionLost) == round_number == session.reconnects


async def test_a_restart_of_asterisk_is_told_before_anything_else() -> None:
    heard = Heard()
    async with FakeAmi() as server, running(server, heard):
        await heard.until_synchronised()
        await server.stop()
        await heard.until(lambda heard: heard.count(ev.ConnectionLost) == 1)
        server.started = ("2026-11-23", "05:00:00")
        early = event("Newchannel", channel(5))
        accepted = b"Response: Success\r\nActionID: %s\r\nMessage: Authentication accepted\r\n\r\n"
        server.script["Login"] = lambda action_id: accepted % action_id.encode() + early
        await server.start()
        await heard.until_synchronised(2)
    kinds = [type(found).__name__ for found in heard.events]
    assert kinds == ["LiveChannels", "ConnectionLost", "ServerStarted", "NewChannel", "LiveChannels"]


async def test_events_during_the_list_keep_their_place_and_the_dead_do_not_rise() -> None:
    heard = Heard()
    async with FakeAmi() as server:
        server.channels = [channel(1), channel(2)]

        def listing(action_id: str) -> bytes:
            begin, one, two, end = server.listing(action_id)
            meanwhile = event("Hangup", channel(1)) + event("Newchannel", channel(3))
            return begin + one + two + meanwhile + end + event("Hangup", channel(2))

        server.script["CoreShowChannels"] = listing
        async with running(server, heard):
            await heard.until(lambda heard: heard.count(ev.HungUp) == 2)
    kinds = [type(found).__name__ for found in heard.events]
    assert kinds == ["HungUp", "NewChannel", "LiveChannels", "HungUp"]
    listed = heard.events[2]
    assert isinstance(listed, ev.LiveChannels)
    assert {found.uniqueid for found in listed.channels} == {"1795409430.2", "1795409430.3"}


@pytest.mark.parametrize("action", ["CoreStatus", "CoreShowChannels"])
async def test_a_missing_permission_is_named_and_events_flow(action: str) -> None:
    heard = Heard()
    async with FakeAmi() as server:
        server.refused = {action}
        with capture_logs() as logs:
            async with running(server, heard) as session:
                await server.until(lambda server: server.count("CoreShowChannels") == 1)
                await server.play(event("Hangup", channel(1)))
                await heard.until(lambda heard: heard.count(ev.HungUp) == 1)
                assert session.connected
    (refusal,) = [entry for entry in logs if entry["event"] == "ami.action_refused"]
    assert refusal["action"] == action
    assert "reporting" in refusal["what_to_do"]
    assert heard.count(ev.LiveChannels) == (0 if action == "CoreShowChannels" else 1)


async def test_who_is_in_which_bridge_is_known_after_the_log_in() -> None:
    heard = Heard()
    async with FakeAmi() as server:
        server.channels = [{**channel(1), "BridgeId": "talk"}, {**channel(2), "BridgeId": "talk"}, channel(3)]
        async with running(server, heard):
            await heard.until_synchronised()
    [listed] = [found for found in heard.events if isinstance(found, ev.LiveChannels)]
    assert listed.bridges == (
        ev.LiveBridge("talk", "basic", "simple_bridge", ("1795409430.1", "1795409430.2")),
    )


async def test_an_asterisk_that_boots_is_asked_again_when_it_started() -> None:
    """Else a restart during the next loss of the connection would not be seen."""
    heard = Heard()
    async with FakeAmi() as server:
        server.started = ("1970-01-01", "00:00:00")
        async with running(server, heard, ping_interval_s=0.01):
            await heard.until_synchronised()
            server.started = ("2026-11-23", "04:00:00")
            asked = server.count("CoreStatus")
            await server.until(lambda server: server.count("CoreStatus") > asked)
            pinged = server.count("Ping")
            await server.until(lambda server: server.count("Ping") > pinged + 1)
            server.started = ("2026-11-23", "05:00:00")
            server.cut()
            await heard.until(lambda heard: heard.count(ev.ServerStarted) == 1)


async def test_nothing_is_asked_twice_after_a_reconnect() -> None:
    heard = Heard()
    async with FakeAmi() as server, running(server, heard) as session:
        server.silent_to = {"CoreShowChannels"}
        await server.until(lambda server: server.count("CoreShowChannels") == 1)
        server.silent_to = set()
        server.cut()
        await heard.until_synchronised()
        assert session.reconnects == 1
        assert [server.count(name) for name in ("Login", "CoreStatus", "CoreShowChannels")] == [2, 2, 2]


async def test_times_are_asterisks_when_events_bring_none_and_the_log_says_so_once() -> None:
    heard = Heard()
    async with FakeAmi() as server:
        server.clock_ahead_s = 5000.0
        with capture_logs() as logs:
            async with running(server, heard, clock=lambda: 1_795_409_430.0):
                await heard.until_synchronised()
                for kind in ("Hold", "Unhold"):
                    await server.play(event(kind, channel(1), is_timed=False))
                await heard.until(lambda heard: heard.count(ev.Held) == 2)
    assert all(abs(found.at - time.time() - 5000.0) < 60.0 for found in heard.events)
    assert [entry["event"] for entry in logs].count("ami.no_timestamps") == 1


async def test_a_line_break_in_an_action_is_refused_before_it_is_sent() -> None:
    heard = Heard()
    async with FakeAmi() as server:
        ami = settings(server, username="vipex\r\nAction: Originate")
        with capture_logs() as logs:
            task = asyncio.create_task(Session(ami, heard, **QUICK).run())
            await server.until(lambda server: server.connections > 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert server.actions == []
    assert any("line break" in entry.get("reason", "") for entry in logs)
    assert "Originate" not in str(logs)


async def test_nobody_there_is_tried_until_somebody_is() -> None:
    heard = Heard()
    async with FakeAmi() as server:
        await server.stop()
        with capture_logs() as logs:
            async with running(server, heard) as session:
                await eventually(lambda: "no connection" in session.status)
                assert not session.connected
                await server.start()
                await heard.until_synchronised()
                assert session.status.startswith("connected")
    unreachable = [entry for entry in logs if entry["event"] == "ami.disconnected"]
    assert len(unreachable) == 1
    assert "asterisk.ami" in unreachable[0]["what_to_do"]


async def test_a_peer_that_is_no_manager_interface_is_said_so() -> None:
    heard = Heard()
    async with FakeAmi() as server:
        server.banner = b"SSH-2.0-OpenSSH_9.2\r\n"
        server.silent_to = {"Login"}
        async with running(server, heard, answer_timeout_s=0.1) as session:
            await server.until(lambda server: server.count("Login") >= 2)
            assert "no answer to Login within 0.1 s" in session.status


async def test_tls_is_spoken_and_the_certificate_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    heard = Heard()
    async with FakeAmi(tls=context) as server:
        stranger = Session(settings(server, tls=True), heard, **QUICK)
        task = asyncio.create_task(stranger.run())
        await eventually(lambda: "certificate verify failed" in stranger.status.lower())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert server.actions == []

        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        task = asyncio.create_task(Session(settings(server, tls=True), heard, **QUICK).run())
        await heard.until_synchronised()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.until(lambda server: server.open_connections == 0)


@pytest.mark.parametrize("state", ["connected", "connecting", "waiting to try again"])
async def test_a_cancelled_session_is_closed_for_good(state: str) -> None:
    heard = Heard()
    async with FakeAmi() as server:
        if state == "connecting":
            server.silent_to = {"Login"}
        if state == "waiting to try again":
            server.secret = "another"
        session = Session(settings(server), heard, retry_first_s=30.0, refused_max_s=30.0)
        task = asyncio.create_task(session.run())
        await server.until(lambda server: server.count("Login") == 1)
        if state == "connected":
            await heard.until_synchronised()
        if state == "waiting to try again":
            await eventually(lambda: "refused" in session.status)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until(lambda server: server.open_connections == 0)
        assert not session.connected
        assert heard.count(ev.ConnectionLost) == 0
        own = {other for other in asyncio.all_tasks() if "Session" in repr(other.get_coro())}
        assert own == set()
        assert server.connections == 1
