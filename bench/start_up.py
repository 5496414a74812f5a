"""From the start of `vipex-bridge run` to AMI logged in: `bench/start_up.py [--short]`.

The real process against a played exchange's AMI, with an empty store and with one of 100,000 rows (told calls
and what was delivered of them, half each); the two alternate. Python's start and imports are part of both.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from bridge_process import BridgeProcess
from figures import Figure, add_arguments, tell
from played_pbx import PlayedPbx

from vipex_bridge.store.store import Store

GOAL = 1.5
CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  ami: {{port: {ami}, username: vipex, secret: labsecret}}
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/{store}.db'
clients:
  billing: {{kind: call_end, url: 'http://127.0.0.1:9/cdr'}}
"""
_SEQUENCE = "WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < :rows)"
_FILL = (
    f"""INSERT INTO calls (id, node, key, state, started_at, ended_at, told_at, direction, src, dst, facts,
    document) {_SEQUENCE} SELECT n, 'pbx1', '1700000000.' || n, 'told', :now - n, :now - n, :now - n, 1,
    '36305551001', '3642999408', printf('%.*c', 1500, 'f'), printf('%.*c', 1000, 'd') FROM seq""",
    f"""INSERT INTO deliveries (idempotency_key, node, client, kind, call_id, event, created_at, status,
    attempts, retry_index, next_attempt_at, finished_at, request, own_files) {_SEQUENCE}
    SELECT 'done' || n, 'pbx1', 'billing', 'call_end', n, 'call_end', :now - n, 'delivered', 1, 0, :now - n,
    :now - n, printf('%.*c', 1000, 'r'), 0 FROM seq""",
    "UPDATE meta SET value = :rows + 1 WHERE key = 'next_id'",
)


def make_store(path: Path, rows: int) -> None:
    """A store of that many rows, as a bridge leaves it when it is stopped."""
    with closing(Store(f"sqlite:///{path}", "pbx1")):
        pass
    with closing(sqlite3.connect(path)) as filling:
        for statement in _FILL if rows else ():
            filling.execute(statement, {"rows": rows // 2, "now": time.time()})
        filling.commit()
        filling.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def measure(rows: int, rounds: int) -> Figure:
    """Seconds to AMI logged in, the full store against the empty one."""
    taken: dict[str, list[float]] = {"empty": [], "full": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_store(folder / "empty.db", 0)
        make_store(folder / "full.db", rows)
        with PlayedPbx(folder) as pbx:
            for number in range(rounds):
                for store in sorted(taken, reverse=number % 2 == 1):
                    text = CONFIGURATION.format(ami=pbx.ami.port, folder=folder, store=store)
                    bridge = BridgeProcess(folder, text)
                    began = time.perf_counter()
                    bridge.launch()
                    try:
                        bridge.wait_for("ami.connected", 60.0)
                        taken[store].append(time.perf_counter() - began)
                    finally:
                        bridge.stop()
    full_s, empty_s = (statistics.median(taken[store]) for store in ("full", "empty"))
    return Figure(
        "P10",
        f"start-up to AMI logged in, {rows:,} rows in the store",
        f"{full_s:.2f} s",
        f"empty store: {empty_s:.2f} s",
        full_s / empty_s,
        f"< {GOAL}",
        full_s / empty_s < GOAL,
    )


def main() -> None:
    """Prints the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_arguments(parser)
    arguments = parser.parse_args()
    short = arguments.short
    tell([measure(10_000 if short else 100_000, 1 if short else 5)], arguments)


if __name__ == "__main__":
    main()
