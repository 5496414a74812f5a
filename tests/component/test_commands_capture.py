"""`capture`, as an operator runs it, and `simulate` of what it recorded."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from captured_rows import CAPTURES
from fake_ami import FakeAmi, channel, event

from vipex_bridge.cli.main import main

CONFIGURATION = """
timezone: UTC
asterisk: {{ami: {{host: 127.0.0.1, port: {port}, username: vipex, secret: {secret}}}}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: sqlite:///{folder}/state.db
clients:
  crm:
    kind: notify
    on: [arrival, ringing, answer, hangup]
    url: http://127.0.0.1:9/calls
  billing: {{kind: call_end, url: http://127.0.0.1:9/cdr}}
"""


def configured(folder: Path, port: int, secret: str = "labsecret") -> Path:
    path = folder / "config.yaml"
    path.write_text(CONFIGURATION.format(port=port, folder=folder, secret=secret), "utf-8")
    return path


@asynccontextmanager
async def capturing(config: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`vipex-bridge capture` while entered; ended by SIGTERM if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vipex_bridge.cli.main", "capture", "--config", str(config), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def written(file: Path, data: bytes) -> None:
    async with asyncio.timeout(20):
        while not (file.exists() and data in file.read_bytes()):  # noqa: ASYNC110, ASYNC240  # another process's
            await asyncio.sleep(0.02)


async def synchronised(server: FakeAmi) -> None:
    await server.until(lambda server: server.count("CoreShowChannels") > 0 and server.count("Ping") > 1)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(20):
        out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


def simulated(config: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["simulate", "--config", str(config), str(capture)]) == 0
    return capsys.readouterr().out


async def recorded(folder: Path, data: bytes, name: str, *options: str, how: int = signal.SIGTERM) -> Path:
    """A capture of that stream, ended by a signal."""
    file = folder / name
    async with FakeAmi() as server:
        config = configured(folder, server.port)
        async with capturing(config, str(file), *options) as process:
            await synchronised(server)
            await server.play(data)
            if file.suffix == ".gz":
                pings = server.count("Ping")
                await server.until(lambda server: server.count("Ping") > pings)
            else:
                await written(file, data)
            process.send_signal(how)
            code, out, _ = await ended(process)
    assert code == 0
    assert out.startswith(f"{file}: ")
    return file


def call_played(case: str) -> bytes:
    """A call's events as recorded, without the recorder's own log-in."""
    data = gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())
    return data[data.index(b"Event: Newchannel") :]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_what_was_received_is_in_the_file_and_the_secret_is_not(
    tmp_path: Path, how: int, capsys: pytest.CaptureFixture[str]
) -> None:
    data = call_played("b_inbound_simple")
    file = await recorded(tmp_path, data, "bug.log", how=how)
    kept = file.read_bytes()
    assert kept.startswith(b"Asterisk Call Manager/11.0.0\r\nResponse: Success\r\n")
    assert kept.index(b"CoreShowChannelsComplete") < kept.index(data)
    assert b"labsecret" not in kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = simulated(tmp_path / "config.yaml", file, capsys)
    whole = simulated(tmp_path / "config.yaml", CAPTURES / "b_inbound_simple" / "ami.log.gz", capsys)
    assert shown == whole
    assert "billing: call_end of call 1" in shown


async def test_a_compressed_and_anonymised_one_tells_the_same_call_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = call_played("e1_blind_refer")
    file = await recorded(tmp_path, data, "bug.log.gz", "--anonymise")
    kept = gzip.decompress(file.read_bytes())
    assert b"3642999" not in kept
    shown = simulated(tmp_path / "config.yaml", file, capsys)
    whole = simulated(tmp_path / "config.yaml", CAPTURES / "e1_blind_refer" / "ami.log.gz", capsys)
    assert "3642999" in whole
    assert "3642999" not in shown
    heads = [line for line in shown.splitlines() if line.startswith("== ")]
    assert heads == [line for line in whole.splitlines() if line.startswith("== ")]


async def test_a_call_that_was_up_already_is_known_to_the_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "middle.log"
    async with FakeAmi() as server:
        server.channels = [channel(7)]
        config = configured(tmp_path, server.port)
        async with capturing(config, str(file), "--seconds", "30") as process:
            await synchronised(server)
            await written(file, b"CoreShowChannelsComplete")
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0
    capsys.readouterr()
    assert main(["simulate", "--config", str(config), str(file)]) == 0
    shown = capsys.readouterr()
    assert shown.out == "nothing is told to anybody\n"
    assert f"call {channel(7)['Uniqueid']} was still up when the recording ended" in shown.err


async def test_it_ends_by_itself_after_the_given_time(tmp_path: Path) -> None:
    async with FakeAmi() as server:
        config = configured(tmp_path, server.port)
        async with capturing(config, str(tmp_path / "a.log"), "--seconds", "0.5") as process:
            code, out, _ = await ended(process)
    assert (code, "bytes received" in out) == (0, True)


async def test_a_connection_that_ends_leaves_what_came_until_then(tmp_path: Path) -> None:
    file = tmp_path / "a.log.gz"
    async with FakeAmi() as server:
        config = configured(tmp_path, server.port)
        async with capturing(config, str(file)) as process:
            await synchronised(server)
            await server.play(event("Newchannel", channel(1)))
            await server.stop()
            code, _, errors = await ended(process)
    assert code == 1
    assert errors.splitlines()[-1].endswith(f"; what came until then is in {file}")
    assert b"Event: Newchannel" in gzip.decompress(file.read_bytes())


async def test_a_refused_log_in_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    async with FakeAmi() as server:
        config = configured(tmp_path, server.port, secret="planted-wrong")
        async with capturing(config, str(file)) as process:
            code, _, errors = await ended(process)
    assert code == 1
    assert "log-in refused" in errors.splitlines()[-1]
    assert "planted-wrong" not in errors
    assert "Traceback" not in errors
    assert not file.exists()


async def test_nobody_there_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    async with FakeAmi() as server:
        config = configured(tmp_path, server.port)
    async with capturing(config, str(tmp_path / "a.log")) as process:
        code, _, errors = await ended(process)
    assert code == 1
    assert "check `asterisk.ami`" in errors.splitlines()[-1]
    assert not (tmp_path / "a.log").exists()


def test_a_file_that_is_there_is_kept_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(tmp_path, 9)
    file = tmp_path / "a.log"
    file.write_text("precious")
    assert main(["capture", "--config", str(config), str(file)]) == 1
    assert "--force" in capsys.readouterr().err
    assert file.read_text() == "precious"


@pytest.mark.parametrize("options", [["--seconds", "0"], ["--seconds", "soon"], []])
def test_wrong_usage_ends_with_two(tmp_path: Path, options: list[str]) -> None:
    file: list[Any] = [str(tmp_path / "a.log")] if options else []
    with pytest.raises(SystemExit) as wrong:
        main(["capture", "--config", str(configured(tmp_path, 9)), *file, *options])
    assert wrong.value.code == 2


async def test_a_disk_that_is_full_is_one_line(tmp_path: Path) -> None:
    async with FakeAmi() as server:
        config = configured(tmp_path, server.port)
        async with capturing(config, "/dev/full", "--force") as process:
            code, _, errors = await ended(process)
    assert code == 1
    assert errors.splitlines()[-1] == "vipex-bridge: /dev/full: cannot be written: No space left on device"
