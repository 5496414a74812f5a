"""A call of two hours, through the whole bridge: a recorded one whose talk is stretched, time passed in.

AMI over a real socket, the store, the CDR database, the delivery workers and a receiving server are real;
nobody can wait for two hours.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from captured_rows import CAPTURES
from fake_ami import FakeAmi

from vipex_bridge.ami.session import Session
from vipex_bridge.bridge.ending import Ending
from vipex_bridge.bridge.live import Live
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.config.load import load_text
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.receive.server import Receiver
from vipex_bridge.recordings import opened
from vipex_bridge.store.store import Store

CASE = "e2_blind_code"
"""251 answers, sends the caller to 252, who talks for 2 s: here for 2 h and 2 s."""
LONGER_S = 7200
RETENTION_S = 600.0
"""Much shorter than the call: what is retired goes by its end, not by its beginning."""
CONFIGURATION = """
node: test
timezone: UTC
asterisk:
  ami: {{host: 127.0.0.1, port: {port}, username: vipex, secret: labsecret}}
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
clients:
  crm: {{kind: notify, on: [arrival, ringing, answer, hangup], url: '{url}/calls'}}
  billing: {{kind: call_end, url: '{url}/cdr'}}
"""
_TIMESTAMP = re.compile(rb"^Timestamp: (\d+)\.", re.MULTILINE)


def stretched() -> tuple[bytes, bytes, list[dict[str, Any]]]:
    """The stream up to the middle of the last talk, the rest of it two hours later, and the CDR rows."""
    blocks = gzip.decompress((CAPTURES / CASE / "ami.log.gz").read_bytes()).split(b"\r\n\r\n")
    last = max(number for number, block in enumerate(blocks) if b"Event: BridgeEnter" in block)
    before, after = (b"\r\n\r\n".join(part) for part in (blocks[: last + 1], blocks[last + 1 :]))
    later = _TIMESTAMP.sub(lambda found: b"Timestamp: %d." % (int(found[1]) + LONGER_S), after)
    lines = (CAPTURES / CASE / "cdr.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows[-1]["end"] = str(datetime.fromisoformat(rows[-1]["end"]) + timedelta(seconds=LONGER_S))
    for length in ("duration", "billsec"):
        rows[-1][length] = str(int(rows[-1][length]) + LONGER_S)
    return before + b"\r\n\r\n", later, rows


class Rooms:
    """The whole bridge, with a clock that is moved by hand and starts with the call."""

    def __init__(self, folder: Path, url: str, port: int, rows: list[dict[str, Any]]) -> None:
        self.now = float(rows[0]["uniqueid"])
        self._database = folder / "master.db"
        with closing(sqlite3.connect(self._database)) as database:
            database.execute(f"CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, {', '.join(list(rows[0])[1:])})")
            database.commit()
        text = CONFIGURATION.format(folder=folder, url=url, port=port)
        settings = load_text(text, Path("config.yaml"), {}).settings
        assert settings.ami is not None and settings.cdr is not None
        self.store = Store(f"sqlite:///{folder}/state.db", "test")
        self.tracker = Tracker(numbering_of(settings.numbers))
        self.transport = Transport()
        telling = Telling(settings)
        self.deliveries = Deliveries(
            self.store,
            settings,
            self.transport,
            open_recording=partial(opened, None),
            clock=self.clock,
            uptime=self.clock,
        )
        self.live = Live(
            self.tracker,
            self.store,
            telling,
            on_ended=lambda call_id, record: self.ending.on_ended(call_id, record),
            claiming=self.deliveries.claiming,
            clock=self.clock,
        )
        self.session = Session(settings.ami, self.live.on_events, clock=self.clock)
        self.ending = Ending(
            settings,
            self.tracker,
            self.store,
            telling,
            Poller(settings.cdr, settings.timezone, self.store.cursor(), clock=self.clock),
            ami_connected=lambda: self.session.connected,
            claiming=self.deliveries.claiming,
            clock=self.clock,
            monotonic=self.clock,
        )

    def clock(self) -> float:
        return self.now

    def writes(self, row: dict[str, Any]) -> None:
        """Asterisk writes a CDR row."""
        with closing(sqlite3.connect(self._database)) as database:
            marks = ", ".join("?" for _ in row)
            database.execute(f"INSERT INTO cdr VALUES ({marks})", list(row.values()))
            database.commit()

    async def lets_pass(self, seconds: int) -> None:
        """Time goes on, with a round of every task each half minute of it."""
        for _ in range(0, seconds, 30):
            self.now += 30
            assert await self.live.commit()
            await self.ending.step()
            self.store.retire(RETENTION_S, self.now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.ending.step()
        self.deliveries.start()
        task = asyncio.create_task(self.session.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.deliveries.close(5)
            self.transport.close()
            self.store.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # a record has nothing to wait for
            await asyncio.sleep(0.005)


def told(receiver: Receiver, path: str) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.requests_received() if request.path == path]


async def test_a_call_of_two_hours_is_told_once_when_it_is_over(tmp_path: Path) -> None:
    before, after, rows = stretched()
    with Receiver() as receiver:
        async with FakeAmi() as server:
            rooms = Rooms(tmp_path, receiver.url, server.port, rows)
            async with rooms.running():
                await server.until(lambda ami: ami.count("CoreShowChannels") == 1)
                await server.play(before)
                await until(lambda: any(len(record.answered) == 2 for record in rooms.tracker.calls()))
                assert await rooms.live.commit()
                await asyncio.to_thread(receiver.wait_for, 5, 20)
                rooms.writes(rows[0])
                await rooms.lets_pass(LONGER_S)
                assert [notice.get("exten") for notice in told(receiver, "/calls")] == [
                    None, "251", "251", "252", "252",
                ]  # fmt: skip
                assert told(receiver, "/cdr") == [], "nothing ends the call but its end"
                await server.play(after)
                await until(lambda: all(record.is_over() for record in rooms.tracker.calls()))
                assert await rooms.live.commit()
                await asyncio.to_thread(receiver.wait_for, 6, 20)
                rooms.writes(rows[1])
                await rooms.lets_pass(60)
                await asyncio.to_thread(receiver.wait_for, 7, 20)
                await rooms.lets_pass(LONGER_S // 4)
    [document] = told(receiver, "/cdr")
    assert len(told(receiver, "/calls")) == 6
    legs = [(p["exten"], p["direction"], p["ringtime"], p["billsec"]) for p in document["sub_cdrs"]]
    assert legs == [("251", 1, 1, 3), ("252", 1, 2, LONGER_S + 2)]
    assert (document["duration"], document["billsec"]) == (LONGER_S + 8, LONGER_S + 7)
    assert {notice["id"] for notice in told(receiver, "/calls")} == {document["id"]}
    assert (document["start_time"], document["hangup_time"]) == ("2026-11-23 12:01:28", "2026-11-23 14:01:36")
    assert rooms.session.reconnects == 0
