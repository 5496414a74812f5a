"""Short real-looking calls for tests of faults: a caller arrives and leaves again, as AMI and CDR tell it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from cdr_file import make_table, write_row
from fake_ami import FakeAmi, channel, event
from faulty_server import FaultyServer, Received


class MissedCalls:
    """Plays calls on an AMI that serves already, and writes their rows. Each call has its own caller."""

    def __init__(self, folder: Path, ami: FakeAmi) -> None:
        self.master = folder / "master.db"
        self.callers: list[str] = []
        self._ami = ami
        self._epoch = int(time.time())
        make_table(self.master)

    async def play(self, count: int, *, seen: bool = True) -> list[str]:
        """So many calls, one after the other; the callers' numbers. `seen`: AMI tells of them too."""
        played = []
        for _ in range(count):
            number = len(self.callers) + 1
            caller = f"3630{number:07d}"
            uniqueid = f"{self._epoch}.{number}"
            about = channel(number, CallerIDNum=caller, Uniqueid=uniqueid, Linkedid=uniqueid)
            if seen:
                await self._ami.play(event("Newchannel", {**about, "ChannelState": "4"}))
                await self._ami.play(event("Hangup", about, Cause="16"))
            await asyncio.to_thread(self._write, about, caller, uniqueid)
            self.callers.append(caller)
            played.append(caller)
        return played

    def _write(self, about: dict[str, str], caller: str, uniqueid: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        row = {
            "start": now, "answer": "", "end": now, "src": caller, "dst": "3642999408",
            "channel": about["Channel"], "dcontext": "from-trunk", "duration": 0, "billsec": 0,
            "disposition": "NO ANSWER", "uniqueid": uniqueid, "linkedid": uniqueid,
            "sequence": len(self.callers),
        }  # fmt: skip
        write_row(self.master, row)


def by_caller(server: FaultyServer, path: str) -> dict[str, list[Received]]:
    """What came at a path, by the caller's number in it."""
    found: dict[str, list[Received]] = {}
    for request in list(server.received):
        if request.target.startswith(path):
            caller = request.body.decode().partition('"src": "')[2].partition('"')[0]
            found.setdefault(caller, []).append(request)
    return found
