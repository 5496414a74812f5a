"""The real process while its CDR file is rotated and its receiver fails: every call arrives."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from bridge_process import BridgeProcess
from cdr_file import make_table, write_row
from delivering import wait_until
from faulty_server import Answer, FaultyServer, running
from reliability import record

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  cdr: {{source: 'sqlite:///{folder}/master.db', poll: 200ms, settle: 200ms}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
clients:
  billing: {{kind: call_end, url: '{url}', timeout: 1s, retry: [100ms, 100ms, 100ms, 100ms, 1s, 1h]}}
"""


def _write(master: Path, *numbers: int) -> None:
    for number in numbers:
        row = {
            "start": "2026-11-23 04:50:30", "answer": "2026-11-23 04:50:42", "end": "2026-11-23 04:50:46",
            "src": str(number), "dst": "3642999408", "channel": f"PJSIP/trunk-{number:08x}",
            "dstchannel": f"PJSIP/251-{number:08x}", "duration": 16, "billsec": 4,
            "disposition": "ANSWERED", "uniqueid": f"1795409430.{number}", "sequence": number,
            "linkedid": f"1795409430.{number}",
        }  # fmt: skip
        write_row(master, row)


def _callers(server: FaultyServer) -> dict[str, set[str | None]]:
    """The keys under which each caller's call arrived."""
    found: dict[str, set[str | None]] = {}
    for request in list(server.received):
        caller = str(json.loads(request.body)["src"])
        found.setdefault(caller, set()).add(request.header("Idempotency-Key"))
    return found


def test_a_rotation_a_stop_and_a_receiver_that_fails_in_every_way(tmp_path: Path) -> None:
    master = tmp_path / "master.db"
    make_table(master)
    with running() as server:
        ways: list[Answer] = [
            server.replies(500),
            server.resets(),
            server.hangs(),
            server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{"),
            server.replies(301, Location="/"),
            server.sends(b"220 smtp ready\r\n"),
        ]
        server.queue = [*ways, *ways]
        bridge = BridgeProcess(tmp_path, CONFIGURATION.format(folder=tmp_path, url=server.url))
        with bridge:
            bridge.wait_for("reconcile.done")
            _write(master, 1, 2)
            wait_until(lambda: _read_up_to(tmp_path) >= 2)
        _write(master, 3, 4)
        master.rename(tmp_path / "master.db.1")
        make_table(master)
        _write(master, 5)
        with bridge:
            for number in range(1, 6):
                bridge.wait_for("delivery.sent", timeout_s=60, call=number)
            server.wait_for(len(ways) * 2 + 5)
        assert {caller: len(keys) for caller, keys in _callers(server).items()} == {
            str(number): 1 for number in range(1, 6)
        }
        repeats = len(server.received) - 5
    record(
        "CDR file rotated while the bridge is away, receiver that fails in six ways (real process)",
        rounds=1,
        calls=5,
        lost=0,
        duplicates=repeats,
        note="every repeat under the same Idempotency-Key",
    )


def _read_up_to(folder: Path) -> int:
    """How far the bridge has read the CDR."""
    with closing(sqlite3.connect(folder / "state.db")) as database:
        row = database.execute("SELECT cursor FROM cdr_cursor").fetchone()
    return int(json.loads(row[0])["id"]) if row else 0
