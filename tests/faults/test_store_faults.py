"""The disk under the store is full, read-only, held or broken: no call is lost, and it is said plainly."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from agi_call import agi
from bridge_process import BridgeProcess
from delivering import wait_until
from fake_ami import FakeAmi
from faulty_server import FaultyServer
from free_ports import free_port
from missed_calls import MissedCalls, by_caller

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  ami: {{port: {ami}, username: vipex, secret: labsecret}}
  agi: {{listen: '127.0.0.1:{agi}', socket: null}}
  cdr: {{source: 'sqlite:///{folder}/master.db', poll: 200ms, settle: 200ms}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{store}/state.db'
clients:
  route: {{kind: lookup, url: 'http://127.0.0.1:{http}/route', response: {{set: {{VIPEX_BRANCH: branch}}}}}}
  crm: {{kind: notify, url: 'http://127.0.0.1:{http}/notify', on: [arrival], expires: 1h}}
  dialled: {{kind: notify, url: 'http://127.0.0.1:{http}/dialled'}}
  billing: {{kind: call_end, url: 'http://127.0.0.1:{http}/cdr', retry: [500ms, 500ms, 500ms, 1m, 1h]}}
"""


class Premises:
    """A bridge, what it listens to, and whom it tells; the store in a folder of its own."""

    def __init__(self, folder: Path, store: Path, ami: FakeAmi, server: FaultyServer) -> None:
        self.store = store
        self.ami = ami
        self.server = server
        self.agi_port = free_port()
        self.calls = MissedCalls(folder, ami)
        server.answer = server.replies(200, b'{"branch": "vip"}')
        text = CONFIGURATION.format(
            folder=folder, store=store, ami=ami.port, agi=self.agi_port, http=server.port
        )
        self.bridge = BridgeProcess(folder, text)

    async def start(self) -> None:
        await asyncio.to_thread(self.bridge.start)
        # A row has been read before: what comes from now on is this bridge's to tell.
        await asyncio.to_thread(self.bridge.wait_for, "reconcile.done")

    def next_progress(self) -> None:
        """Waits until the bridge has written down how far it has come."""
        written = self.store / "state.db.progress"
        before = written.stat().st_mtime_ns
        wait_until(lambda: written.stat().st_mtime_ns != before, 20.0)

    async def lookup(self) -> dict[str, str]:
        return await asyncio.to_thread(agi, self.agi_port, "lookup", "route")

    async def notify(self, client: str) -> str:
        """What the dialplan is told of a notification of its own."""
        return (await asyncio.to_thread(agi, self.agi_port, "notify", client))["VIPEX_STATUS"]

    async def log_says(self, event: str) -> dict[str, object]:
        return await asyncio.to_thread(self.bridge.wait_for, event, 30.0)

    async def all_told(self, path: str, callers: list[str], within_s: float = 40.0) -> None:
        """Waits until each of these calls has reached the receiver at that path."""
        wanted = set(callers)

        def waited() -> bool:
            with self.server.arrived:
                return self.server.arrived.wait_for(
                    lambda: wanted <= set(by_caller(self.server, path)), within_s
                )

        assert await asyncio.to_thread(waited), (
            f"not told at {path}: {sorted(wanted - set(by_caller(self.server, path)))}\n{self.bridge.log()}"
        )


@pytest.fixture
async def ami() -> AsyncIterator[FakeAmi]:
    async with FakeAmi() as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB, of memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=12m", "vipex", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


async def test_a_full_disk_delays_and_loses_nothing_and_lookups_go_on(
    tmp_path: Path, small_disk: Path, ami: FakeAmi, server: FaultyServer
) -> None:
    premises = Premises(tmp_path, small_disk, ami, server)
    await premises.start()
    await premises.all_told("/cdr", await premises.calls.play(3))
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    await premises.calls.play(40)
    said = await premises.log_says("store.commit_failed")
    assert "the disk is full: make room" in str(said["error"])
    assert await premises.lookup() == {"VIPEX_STATUS": "OK", "VIPEX_HTTP_CODE": "200", "VIPEX_BRANCH": "vip"}
    filler.unlink()
    await premises.all_told("/cdr", premises.calls.callers)
    await premises.all_told("/notify", premises.calls.callers)
    await asyncio.to_thread(premises.bridge.stop)
    assert {len(told) for told in by_caller(server, "/cdr").values()} == {1}
    assert {len(told) for told in by_caller(server, "/notify").values()} == {1}


async def test_a_store_that_another_program_holds_is_waited_for(
    tmp_path: Path, ami: FakeAmi, server: FaultyServer
) -> None:
    premises = Premises(tmp_path, tmp_path, ami, server)
    await premises.start()
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        await premises.calls.play(10)
        said = await premises.log_says("store.commit_failed")
        assert "another program has held it for 5 s" in str(said["error"])
        assert (await premises.lookup())["VIPEX_STATUS"] == "OK"
        assert await premises.notify("dialled") == "UNAVAILABLE"
        await premises.log_says("notify.not_queued_in_time")
        holder.execute("ROLLBACK")
    await premises.all_told("/cdr", premises.calls.callers)
    await premises.all_told("/notify", premises.calls.callers)
    await asyncio.to_thread(premises.bridge.stop)
    assert {len(told) for told in by_caller(server, "/cdr").values()} == {1}


async def test_a_read_only_folder_is_refused_in_a_line_and_taken_when_it_can_be_written(
    tmp_path: Path, small_disk: Path, ami: FakeAmi, server: FaultyServer
) -> None:
    premises = Premises(tmp_path, small_disk, ami, server)
    await premises.start()
    await premises.all_told("/cdr", await premises.calls.play(3))
    await asyncio.to_thread(premises.bridge.stop)
    mount("-o", "remount,ro", str(small_disk))
    await premises.calls.play(3, seen=False)
    refused = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "vipex_bridge.cli.main", "run", "--config", str(premises.bridge.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    last = refused.stderr.strip().splitlines()[-1]
    assert "read-only file system" in last and str(small_disk) in last and "Traceback" not in refused.stderr
    mount("-o", "remount,rw", str(small_disk))
    await premises.start()
    await premises.all_told("/cdr", premises.calls.callers)
    await asyncio.to_thread(premises.bridge.stop)
    assert {len(told) for told in by_caller(server, "/cdr").values()} == {1}


def damage(path: Path) -> None:
    """Half of the file becomes something else."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(8192)
        file.write(b"\xa5" * (size - 8192))


@pytest.mark.parametrize("how", ["damaged between two runs", "damaged in use", "an old copy"])
async def test_the_calls_of_a_store_that_is_lost_are_told_from_the_cdr(
    tmp_path: Path, ami: FakeAmi, server: FaultyServer, how: str
) -> None:
    premises = Premises(tmp_path, tmp_path, ami, server)
    await premises.start()
    delivered = await premises.calls.play(3)
    await premises.all_told("/cdr", delivered)
    files = [tmp_path / name for name in ("state.db", "state.db-wal", "state.db-shm")]
    with closing(sqlite3.connect(files[0], timeout=10)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    older = files[0].read_bytes()
    well, server.answer = server.answer, server.replies(500)
    undelivered = await premises.calls.play(5)
    await premises.all_told("/cdr", undelivered)
    # What a lost store leaves behind is written every ten seconds: so long it takes to be told of.
    await asyncio.to_thread(premises.next_progress)
    if how == "damaged in use":
        with closing(sqlite3.connect(files[0], timeout=10)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(files[0])
        assert await asyncio.to_thread(premises.bridge.ends_by_itself) != 0
        await premises.log_says("bridge.task_ended")
    else:
        await asyncio.to_thread(premises.bridge.kill)
        for file in files[1:]:
            file.unlink()
        files[0].write_bytes(older)
        if how == "damaged between two runs":
            damage(files[0])
    missed = await premises.calls.play(2, seen=False)
    server.answer = well
    first_tries = by_caller(server, "/cdr")
    count = len(server.received)
    await premises.start()
    said = await premises.log_says("store.lost")
    assert said["level"] == "critical"
    aside = [file.name for file in files[0].parent.iterdir() if "damaged" in file.name]
    assert bool(aside) == (how != "an old copy")
    server.received[:] = server.received[count:]
    await premises.all_told("/cdr", [*undelivered, *missed])
    await asyncio.to_thread(premises.bridge.stop)
    for caller, again in by_caller(server, "/cdr").items():
        tries = [*first_tries.get(caller, []), *again]
        assert len({request.header("Idempotency-Key") for request in tries}) == 1, caller
