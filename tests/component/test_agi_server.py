"""The bridge's AGI server over real sockets: what the dialplan gets, whatever goes wrong."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fake_asterisk import FakeAsterisk, FakeHandler, environment
from structlog.testing import capture_logs

from vipex_bridge.agi.server import AgiServer
from vipex_bridge.config.settings import Agi
from vipex_bridge.errors import AgiError
from vipex_bridge.lookup.result import LookupResult

Call = Callable[..., Awaitable[FakeAsterisk]]


@pytest.fixture
def handler() -> FakeHandler:
    return FakeHandler()


@pytest.fixture
async def server(handler: FakeHandler, tmp_path: Path) -> AsyncIterator[AgiServer]:
    server = AgiServer(Agi("127.0.0.1", 0, tmp_path / "run" / "agi.sock"), handler)
    await server.start()
    yield server
    await server.close(0.1)


@pytest.fixture
async def call(server: AgiServer) -> AsyncIterator[Call]:
    """Connects as Asterisk would and says `data`, without yet replying to anything."""
    peers: list[FakeAsterisk] = []

    async def connect(data: bytes, path: Path | None = None) -> FakeAsterisk:
        if path is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        else:
            reader, writer = await asyncio.open_unix_connection(str(path))
        peers.append(FakeAsterisk(reader, writer))
        await peers[-1].say(data)
        return peers[-1]

    yield connect
    for peer in peers:
        peer.writer.close()


async def test_a_lookup_sets_the_mapped_variables_then_the_code_then_the_status(
    call: Call, handler: FakeHandler
) -> None:
    handler.result = LookupResult("OK", 200, (("VIPEX_BRANCH", 'a "b\\c" Ő'), ("VIPEX_EXTEN", "")))
    asterisk = await call(environment("lookup", "crm-route", "menu=2=b", "vip"))
    asterisk.variables |= {"VIPEX_IVR_DIGITS": "2,1", "VIPEX_CUSTOM_FIELD": "a)\nb"}
    await asterisk.obey()
    assert asterisk.order == ["VIPEX_BRANCH", "VIPEX_EXTEN", "VIPEX_HTTP_CODE", "VIPEX_STATUS"]
    assert asterisk.variables["VIPEX_BRANCH"] == 'a "b\\c" Ő'
    assert (asterisk.variables["VIPEX_HTTP_CODE"], asterisk.variables["VIPEX_STATUS"]) == ("200", "OK")
    [(_, client, args)] = handler.asked
    assert (client, args) == ("crm-route", {"menu": "2=b", "vip": ""})


async def test_the_calls_context_comes_in_one_round_trip(call: Call, handler: FakeHandler) -> None:
    asterisk = await call(environment("lookup", "crm-route"))
    asterisk.variables |= {"VIPEX_IVR_DIGITS": "2,1", "VIPEX_CC_CALL": "1"}
    await asterisk.obey()
    assert [command for command in asterisk.commands if command.startswith("GET")] == ["GET FULL VARIABLE"]
    [(told, _, _)] = handler.asked
    assert (told.uniqueid, told.linkedid, told.dialled) == ("100.1", "100.0", "3642999408")
    assert told.variables == {"VIPEX_IVR_DIGITS": "2,1", "VIPEX_CC_CALL": "1"}


async def test_a_lookup_without_an_answer_has_an_empty_code(call: Call, handler: FakeHandler) -> None:
    handler.result = LookupResult("TIMEOUT", None, ())
    asterisk = await call(environment("lookup", "crm-route"))
    await asterisk.obey()
    assert (asterisk.variables["VIPEX_HTTP_CODE"], asterisk.variables["VIPEX_STATUS"]) == ("", "TIMEOUT")


async def test_a_notification_sets_the_status_alone(call: Call, handler: FakeHandler) -> None:
    handler.status = "NOCLIENT"
    asterisk = await call(environment("notify", "nobody"))
    await asterisk.obey()
    assert asterisk.order == ["VIPEX_STATUS"]
    assert asterisk.variables["VIPEX_STATUS"] == "NOCLIENT"


async def test_the_unix_socket_speaks_the_same_and_is_for_its_group_alone(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "run" / "agi.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    asterisk = await call(environment("lookup", "crm-route"), path)
    await asterisk.obey()
    assert asterisk.variables["VIPEX_STATUS"] == "OK"


async def test_an_unknown_path_is_logged_and_the_call_goes_on(call: Call, handler: FakeHandler) -> None:
    with capture_logs() as logs:
        asterisk = await call(environment("loockup", "crm-route"))
        await asterisk.obey()
    assert asterisk.variables["VIPEX_STATUS"] == "NOCLIENT"
    assert handler.asked == []
    assert ("agi.unknown_script", "loockup", "100.1") in [
        (log["event"], log.get("script"), log.get("uniqueid")) for log in logs
    ]


@pytest.mark.parametrize("script", ["lookup", "notify"])
async def test_a_fault_of_ours_is_logged_with_the_call_and_the_call_goes_on(
    call: Call, handler: FakeHandler, script: str
) -> None:
    handler.fault = RuntimeError("broken")
    with capture_logs() as logs:
        asterisk = await call(environment(script, "crm-route", uniqueid="77.7"))
        await asterisk.obey()
    assert asterisk.variables["VIPEX_STATUS"] == "UNAVAILABLE"
    assert [log["uniqueid"] for log in logs if log["log_level"] == "error"] == ["77.7"]


async def test_a_value_that_no_command_can_carry_is_set_empty_and_logged(
    call: Call, handler: FakeHandler
) -> None:
    evil = 'x"\nEXEC System "id'
    handler.result = LookupResult("OK", 200, (("VIPEX_A", evil), ("SHELL(id)", "x"), ("VIPEX_B", "b")))
    with capture_logs() as logs:
        asterisk = await call(environment("lookup", "crm-route"))
        await asterisk.obey()
    assert asterisk.commands == ["GET FULL VARIABLE", *(f"SET VARIABLE {name}" for name in asterisk.order)]
    assert asterisk.order == ["VIPEX_A", "VIPEX_B", "VIPEX_HTTP_CODE", "VIPEX_STATUS"]
    assert (asterisk.variables["VIPEX_A"], asterisk.variables["VIPEX_B"]) == ("", "b")
    assert [log["variable"] for log in logs if log["event"] == "agi.value_refused"] == [
        "VIPEX_A",
        "SHELL(id)",
    ]


@pytest.mark.parametrize("sign", ["HANGUP", "end", "reset"])
async def test_a_caller_who_hangs_up_ends_the_lookup(call: Call, handler: FakeHandler, sign: str) -> None:
    handler.release = asyncio.Event()
    asterisk = await call(environment("lookup", "crm-route"))
    obeying = asyncio.create_task(asterisk.obey())
    await handler.started.wait()
    if sign == "HANGUP":
        await asterisk.say(b"HANGUP\n")
    elif sign == "end":
        asterisk.writer.write_eof()
    else:
        asterisk.writer.transport.abort()
    await handler.ended.wait()
    assert handler.was_cancelled
    await asyncio.gather(obeying, return_exceptions=True)
    assert asterisk.order == []


async def test_a_hangup_line_between_replies_shifts_none(call: Call, handler: FakeHandler) -> None:
    asterisk = await call(environment("notify", "crm"))
    asterisk.hang_up_before_replies = True
    await asterisk.obey()
    assert asterisk.variables["VIPEX_STATUS"] == "OK"
    assert handler.asked[0][0].linkedid == "100.0"


async def test_a_caller_who_is_gone_before_the_lookup_costs_no_request(
    call: Call, handler: FakeHandler
) -> None:
    asterisk = await call(environment("lookup", "crm"))
    asterisk.hang_up_before_replies = True
    await asterisk.obey()
    assert handler.asked == []


@pytest.mark.parametrize("reply", [b"511 Command Not Permitted on a dead channel\n", b"200 result=0\n"])
async def test_a_call_whose_context_asterisk_withholds_is_looked_up_all_the_same(
    call: Call, handler: FakeHandler, reply: bytes
) -> None:
    asterisk = await call(environment("lookup", "crm"))
    await asterisk.reader.readline()
    await asterisk.say(reply)
    await asterisk.obey()
    assert asterisk.variables["VIPEX_STATUS"] == "OK"
    [(told, _, _)] = handler.asked
    assert (told.uniqueid, told.linkedid, told.variables) == ("100.1", "", {})


async def test_strangers_are_dropped_and_disturb_no_call(call: Call, handler: FakeHandler) -> None:
    handler.release = asyncio.Event()
    asterisk = await call(environment("lookup", "crm"))
    obeying = asyncio.create_task(asterisk.obey())
    await handler.started.wait()
    strangers = [await call(garbage) for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"x" * 70_000, b"\0\xff\n")]
    for stranger in strangers:
        assert await _hears_nothing(stranger)
    for _ in range(50):
        (await call(b"")).writer.transport.abort()
        (await call(b"agi_network: yes\nagi_unique")).writer.close()
    handler.release.set()
    await obeying
    assert asterisk.variables["VIPEX_STATUS"] == "OK"


@pytest.mark.parametrize("data", [b"", b"agi_network: yes\n", environment("lookup", "crm")])
async def test_a_peer_that_falls_silent_is_dropped(handler: FakeHandler, data: bytes) -> None:
    server = AgiServer(Agi("127.0.0.1", 0, None), handler, patience_s=0.1)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    await reader.read()
    assert handler.asked == []
    writer.close()
    await server.close(0.1)


async def test_many_lookups_at_once_each_get_their_own_answer(call: Call, handler: FakeHandler) -> None:
    handler.release = asyncio.Event()
    callers = [await call(environment("lookup", "crm", uniqueid=f"9.{number}")) for number in range(100)]
    for number, caller in enumerate(callers):
        caller.variables["CHANNEL(linkedid)"] = f"8.{number}"
    obeying = [asyncio.create_task(caller.obey()) for caller in callers]
    await handler.started.wait()
    handler.release.set()
    await asyncio.gather(*obeying)
    assert {caller.variables["VIPEX_STATUS"] for caller in callers} == {"OK"}
    asked = {(told.uniqueid, told.linkedid) for told, _, _ in handler.asked}
    assert asked == {(f"9.{number}", f"8.{number}") for number in range(100)}


async def test_closing_lets_a_running_lookup_finish(
    server: AgiServer, call: Call, handler: FakeHandler
) -> None:
    handler.release = asyncio.Event()
    asterisk = await call(environment("lookup", "crm"))
    obeying = asyncio.create_task(asterisk.obey())
    await handler.started.wait()
    closing = asyncio.create_task(server.close(30.0))
    await asyncio.sleep(0)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", server.port)
    handler.release.set()
    await asyncio.gather(closing, obeying)
    assert asterisk.variables["VIPEX_STATUS"] == "OK"


async def test_a_lookup_that_outlasts_the_closing_is_unavailable_and_its_call_goes_on(
    server: AgiServer, call: Call, handler: FakeHandler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handler.release = asyncio.Event()
    idle = await call(b"")
    asterisk = await call(environment("lookup", "crm"))
    obeying = asyncio.create_task(asterisk.obey())
    await handler.started.wait()
    await server.close(0.05)
    await obeying
    assert (asterisk.variables["VIPEX_HTTP_CODE"], asterisk.variables["VIPEX_STATUS"]) == ("", "UNAVAILABLE")
    assert await _hears_nothing(idle)
    assert not (tmp_path / "run" / "agi.sock").exists()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_socket_left_by_a_killed_bridge_is_replaced_but_a_living_one_is_not(
    handler: FakeHandler, tmp_path: Path
) -> None:
    path = tmp_path / "agi.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first = AgiServer(Agi(None, 0, path), handler)
    await first.start()
    second = AgiServer(Agi(None, 0, path), handler)
    with pytest.raises(AgiError, match=r"agi\.sock: stop it"):
        await second.start()
    assert path.is_socket()
    await first.close(0.1)


async def test_an_address_that_is_not_to_be_had_names_the_key(handler: FakeHandler, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AgiError, match=rf"127\.0\.0\.1:{port} .*asterisk\.agi\.listen"):
            await AgiServer(Agi("127.0.0.1", port, None), handler).start()
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "agi.sock"):
        server = AgiServer(Agi("127.0.0.1", 0, path), handler)
        with pytest.raises(AgiError, match=r"asterisk\.agi\.socket"):
            await server.start()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", server.port)
    assert (tmp_path / "file").read_text() == "in the way"


async def _hears_nothing(peer: FakeAsterisk) -> bool:
    """Waits for the other side to end the connection; True when it said nothing before."""
    try:
        return await peer.reader.read() == b""
    except ConnectionResetError:
        return True
