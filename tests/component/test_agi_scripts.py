"""The scripts of `agi/` as Asterisk runs them: programs with pipes, the bridge behind its Unix socket."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fake_asterisk import FakeAsterisk, FakeHandler, environment

from vipex_bridge.agi.server import AgiServer
from vipex_bridge.config.settings import Agi
from vipex_bridge.lookup.result import LookupResult

AGI = Path(__file__).parents[2] / "agi"
UNAVAILABLE = {"VIPEX_STATUS": "UNAVAILABLE", "VIPEX_HTTP_CODE": ""}


class Script:
    """A running script and the fake Asterisk at its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process = process
        self.asterisk = FakeAsterisk(process.stdout, process.stdin)

    async def ends_quietly(self) -> None:
        assert await self.process.wait() == 0
        assert self.process.stderr is not None
        assert await self.process.stderr.read() == b""

    async def runs(self, data: bytes) -> dict[str, str]:
        """Says `data`, obeys until the script ends; gives the variables that it set."""
        await self.asterisk.say(data)
        await self.asterisk.obey()
        await self.ends_quietly()
        return {name: self.asterisk.variables[name] for name in self.asterisk.order}


Start = Callable[..., Awaitable[Script]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agi.sock"


@pytest.fixture
async def start(path: Path) -> AsyncIterator[Start]:
    started: list[Script] = []

    async def start(
        name: str, *arguments: str | bytes, first: tuple[str, ...] = (), **environ: str
    ) -> Script:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", *(first or (str(AGI / name),)), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"VIPEX_AGI_SOCKET": str(path), **environ},
        )
        started.append(Script(process))
        return started[-1]

    yield start
    for script in started:
        if script.process.returncode is None:
            script.process.kill()
        script.asterisk.writer.close()
        await script.process.communicate()


@pytest.fixture
def handler() -> FakeHandler:
    return FakeHandler()


@pytest.fixture
async def bridge(path: Path, handler: FakeHandler) -> AsyncIterator[AgiServer]:
    server = AgiServer(Agi(None, 0, path), handler)
    await server.start()
    yield server
    await server.close(0.1)


Spoken = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def pretender(path: Path) -> AsyncIterator[Callable[[Spoken], Awaitable[None]]]:
    """Something that listens where the bridge should."""
    servers: list[asyncio.Server] = []

    async def listen(spoken: Spoken) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\n\n")
            await spoken(reader, writer)
            writer.close()
            await writer.wait_closed()

        servers.append(await asyncio.start_unix_server(serve, path))

    yield listen
    for server in servers:
        server.close()


@pytest.mark.usefixtures("bridge")
async def test_a_lookup_by_script_is_the_same_as_over_tcp(start: Start, handler: FakeHandler) -> None:
    handler.result = LookupResult("NOMATCH", 204, (("VIPEX_BRANCH", 'a "b\\c" Ő'), ("VIPEX_EXTEN", "")))
    script = await start("vipex-lookup", "crm-route", "menu=2=b", "vip")
    script.asterisk.variables |= {"VIPEX_CUSTOM_FIELD": "a\nHANGUP\nb (c)", "VIPEX_CC_CALL": "1"}
    variables = await script.runs(environment("", "crm-route", "menu=2=b", "vip"))
    assert variables == {
        "VIPEX_BRANCH": 'a "b\\c" Ő',
        "VIPEX_EXTEN": "",
        "VIPEX_HTTP_CODE": "204",
        "VIPEX_STATUS": "NOMATCH",
    }
    [(call, client, args)] = handler.asked
    assert (client, args) == ("crm-route", {"menu": "2=b", "vip": ""})
    assert (call.uniqueid, call.linkedid, call.dialled) == ("100.1", "100.0", "3642999408")
    assert call.variables == {"VIPEX_CUSTOM_FIELD": "a\nHANGUP\nb (c)", "VIPEX_CC_CALL": "1"}


@pytest.mark.usefixtures("bridge")
async def test_a_notification_by_script(start: Start, handler: FakeHandler) -> None:
    script = await start("vipex-notify", "crm")
    assert await script.runs(environment("", "crm")) == {"VIPEX_STATUS": "OK"}
    assert handler.asked[0][1] == "crm"


@pytest.mark.usefixtures("bridge")
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
async def test_accents_and_broken_bytes_pass_whatever_the_locale(
    start: Start, handler: FakeHandler, locale: str
) -> None:
    handler.result = LookupResult("OK", 200, (("VIPEX_NAME", "Kovács Ő"),))
    script = await start("vipex-lookup", "crm", "név=Ő".encode(), b"raw=\xff\nagi_x: y", LC_ALL=locale)
    data = environment("", "crm").replace(b"agi_calleridname: unknown", b"agi_calleridname: Kov\xe1cs")
    variables = await script.runs(data)
    assert variables["VIPEX_NAME"] == "Kovács Ő"
    assert handler.asked[0][2] == {"név": "Ő", "raw": "\ufffd agi_x: y"}


@pytest.mark.parametrize("name", ["vipex-lookup", "vipex-notify"])
@pytest.mark.parametrize("there", ["nothing", "dead socket"])
async def test_without_a_bridge_the_call_goes_on_at_once(
    start: Start, path: Path, name: str, there: str
) -> None:
    if there == "dead socket":
        server = await asyncio.start_unix_server(lambda reader, writer: None, path)
        server.close()
    script = await start(name, "crm")
    async with asyncio.timeout(20):
        assert await script.runs(environment("", "crm")) == UNAVAILABLE


async def test_a_bridge_that_dies_before_the_status_is_unavailable(
    start: Start, pretender: Callable[[Spoken], Awaitable[None]]
) -> None:
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'SET VARIABLE "VIPEX_BRANCH" "vip"\n')
        await reader.readline()

    await pretender(dies)
    script = await start("vipex-lookup", "crm")
    assert await script.runs(environment("", "crm")) == {"VIPEX_BRANCH": "vip", **UNAVAILABLE}


@pytest.mark.parametrize("first", [b"", b'SET VARIABLE "VIPEX_BRANCH" "vip"\n'], ids=["at once", "midway"])
async def test_a_bridge_that_hangs_is_unavailable(
    start: Start, pretender: Callable[[Spoken], Awaitable[None]], first: bytes
) -> None:
    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await reader.read()

    await pretender(hangs)
    patient = f"import sys; sys.path.insert(0, {str(AGI)!r}); import vipex_agi as agi\n"
    patient += "agi.FIRST_WORD_S = agi.SILENCE_S = 0.2\nagi.main('lookup')"
    script = await start("vipex-lookup", first=("-c", patient))
    variables = await script.runs(environment("", "crm"))
    assert UNAVAILABLE.items() <= variables.items()


async def test_the_bridge_can_make_asterisk_do_nothing_but_variables(
    start: Start, pretender: Callable[[Spoken], Awaitable[None]]
) -> None:
    forbidden = [
        b"EXEC System id\n",
        b'SET VARIABLE "FILE(/etc/x)" "y"\n',
        b'SET VARIABLE "" "y"\n',
        b'SET VARIABLE "A" "x\rEXEC System id"\n',
        b"HANGUP\n",
        b"\xff\n",
        b"\n",
    ]
    replies: list[bytes] = []

    async def abuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in [*forbidden, b'SET VARIABLE "VIPEX_STATUS" "OK"\n']:
            writer.write(line)
            replies.append(await reader.readline())

    await pretender(abuses)
    script = await start("vipex-lookup", "crm")
    assert await script.runs(environment("", "crm")) == {"VIPEX_STATUS": "OK"}
    assert script.asterisk.commands == ["SET VARIABLE VIPEX_STATUS"]
    assert [reply[:3] for reply in replies] == [b"510"] * len(forbidden) + [b"200"]


@pytest.mark.usefixtures("bridge")
@pytest.mark.parametrize("sign", ["SIGHUP", "end of input"])
async def test_a_caller_who_hangs_up_ends_the_script_quietly_and_the_lookup_with_it(
    start: Start, handler: FakeHandler, sign: str
) -> None:
    handler.release = asyncio.Event()
    script = await start("vipex-lookup", "crm")
    await script.asterisk.say(environment("", "crm"))
    obeying = asyncio.create_task(script.asterisk.obey())
    await handler.started.wait()
    if sign == "SIGHUP":
        script.process.send_signal(signal.SIGHUP)
    else:
        script.asterisk.writer.close()
    await script.ends_quietly()
    await handler.ended.wait()
    assert handler.was_cancelled
    await obeying
    assert script.asterisk.order == []


@pytest.mark.parametrize("data", [b"", b"\n", environment("")[:-1], environment("")])
async def test_an_asterisk_that_goes_away_ends_the_script_quietly(start: Start, data: bytes) -> None:
    script = await start("vipex-lookup", "crm")
    await script.asterisk.say(data)
    script.asterisk.writer.close()
    await script.ends_quietly()


async def test_a_python_without_pyst2_says_so_and_the_call_goes_on(start: Start) -> None:
    script = await start("vipex-lookup", first=("-S", str(AGI / "vipex-lookup"), "crm"))
    await script.asterisk.say(environment("", "crm"))
    await script.asterisk.obey()
    assert {name: script.asterisk.variables[name] for name in script.asterisk.order} == UNAVAILABLE
    assert script.process.stderr is not None
    assert b"let its first line name the bridge's Python" in await script.process.stderr.read()


@pytest.mark.parametrize("name", ["vipex-lookup", "vipex-notify"])
def test_the_scripts_are_ready_to_be_installed(name: str) -> None:
    assert os.access(AGI / name, os.X_OK)
    assert (AGI / name).read_text().startswith("#!/usr/bin/python3 -I\n")
