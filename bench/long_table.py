"""How long a look at a CDR table takes, empty and of ten million rows: `bench/long_table.py [ROWS]`.

Starts a MariaDB and a PostgreSQL of its own on 127.0.0.1, fills them by SQL, and ends them.
"""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import structlog
from server_table import BEGAN, ServerTable
from sql_servers import SqlServer, mariadb, postgresql

from vipex_bridge.cdr import server_source
from vipex_bridge.cdr.poller import Poller

LOOKS = 100
EVERY_S = 8
"""From one call's start to the next one's: ten million of them are two and a half years."""


def fill(server: SqlServer, rows: int) -> None:
    """Writes that many calls by one statement, the last of which began on 2026-11-23."""
    first = BEGAN - timedelta(seconds=EVERY_S * rows)
    names = "calldate, duration, billsec, channel, dstchannel, disposition, uniqueid, linkedid"
    if server.kind == "mariadb":
        start, source = f"'{first}' + INTERVAL {EVERY_S} * seq SECOND", f"seq_1_to_{rows}"
    else:
        start, source = (
            f"timestamp '{first}' + interval '{EVERY_S} s' * seq",
            f"generate_series(1, {rows}) AS seq",
        )
    ident = "CONCAT('1795392000.', seq)"
    server.run(
        f"INSERT INTO cdr ({names}) SELECT {start}, 9, 4, CONCAT('PJSIP/trunk-', seq), 'PJSIP/200-1', "
        f"'ANSWERED', {ident}, {ident} FROM {source}",
        "ANALYZE TABLE cdr" if server.kind == "mariadb" else "ANALYZE cdr",
    )


def looks(table: ServerTable) -> tuple[float, float, float]:
    """Milliseconds of the first look of all, of an ordinary one, and of one over the last day."""
    poller = Poller(table.settings, ZoneInfo("UTC"), None)
    began = time.perf_counter()
    poller.poll()
    first = time.perf_counter() - began
    poller.poll()
    taken = []
    for every_s in (1e9, 0.0):
        server_source.WIDE_EVERY_S = every_s
        each = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            poller.poll()
            each.append(time.perf_counter() - began)
        taken.append(median(each))
    return first * 1000, taken[0] * 1000, taken[1] * 1000


def main() -> None:
    """Measures both servers."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    for begin in (mariadb, postgresql):
        with begin() as server:
            table = ServerTable(server, "freepbx")
            for count in (0, rows):
                if count:
                    fill(server, count)
                first, near, far = looks(table)
                print(
                    f"{server.kind}, {count} rows: first look {first:.1f} ms, "
                    f"look {near:.2f} ms, look over the last day {far:.2f} ms"
                )


if __name__ == "__main__":
    main()
