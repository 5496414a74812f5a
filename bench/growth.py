"""What grows with the number of rows and clients, and what does not: `bench/growth.py [--short] [--full]`.

The outbox with 1,000, 100,000 and 1,000,000 deliveries that are done, 20 waiting for each of ten clients
besides: the time of one claim, on the disk. Whom a call is told to, with 9 and 6,000 clients. A look at a
CDR table of 10,000 and 1,000,000 rows in an SQLite file; with `--full` of 10,000,000, and on MariaDB and
PostgreSQL as well. Each goal is the largest against the smallest; rounds alternate. Every table is filled by
one statement.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import match
from cdr_file import make_table
from figures import Figure, add_arguments, tell
from long_table import fill
from server_table import ServerTable
from sql_servers import mariadb, postgresql
from stored import new

from vipex_bridge.cdr.poller import Poller
from vipex_bridge.config.presets import CDR_PRESETS
from vipex_bridge.config.settings import Cdr, Secret
from vipex_bridge.render.match import Matcher, traits_of_view
from vipex_bridge.store.store import Store

GOAL = 1.2
CLIENTS = 10
WAITING = 20
BODY = '{"sub_cdrs": "' + "y" * 300 + '"}'
_DONE = f"""
INSERT INTO deliveries (idempotency_key, node, client, kind, call_id, event, created_at, status, attempts,
    retry_index, next_attempt_at, finished_at, request, own_files)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < :rows)
SELECT 'done' || n, 'pbx1', 'client' || (n % {CLIENTS}), 'call_end', n, 'call_end', 1700000000.0 + n,
    'delivered', 1, 0, 1700000000.0 + n, 1700000001.0 + n, '{BODY}', 0 FROM seq
"""
_CALLS = """
INSERT INTO cdr (start, answer, end, src, dst, channel, dstchannel, lastapp, duration, billsec, disposition,
    uniqueid, linkedid, sequence)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < :rows)
SELECT '2026-11-23 04:00:00', '2026-11-23 04:00:04', '2026-11-23 04:00:09', '36305551001', '3642999408',
    'PJSIP/trunk-' || n, 'PJSIP/251-' || n, 'Dial', 9, 5, 'ANSWERED', '1795392000.' || n,
    '1795392000.' || n, n FROM seq
"""


def compared(what: str, sides: Mapping[int, Callable[[], float]], rounds: int, remark: str = "") -> Figure:
    """The largest against the smallest; each side gives seconds of one run."""
    taken: dict[int, list[float]] = {size: [] for size in sides}
    for number in range(rounds):
        for size in sorted(sides, reverse=number % 2 == 1):
            taken[size].append(sides[size]())
    median_us = {size: statistics.median(runs) * 1e6 for size, runs in taken.items()}
    smallest, *between, largest = sorted(sides)
    middle = "".join(f" ({size:,}: {median_us[size]:.0f} µs)" for size in between)
    ratio = median_us[largest] / median_us[smallest]
    return Figure(
        "P8",
        f"{what}, {largest:,}",
        f"{median_us[largest]:.0f} µs",
        f"{smallest:,}: {median_us[smallest]:.0f} µs{middle}",
        ratio,
        f"<= {GOAL}",
        ratio <= GOAL,
        remark,
    )


def outbox(sizes: list[int], rounds: int) -> Figure:
    """A claim beside so many deliveries that are done."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        sides = {}
        for size in sizes:
            path = Path(folder) / f"{size}.db"
            with closing(Store(f"sqlite:///{path}", "pbx1")):
                pass
            with closing(sqlite3.connect(path)) as filling:
                filling.execute(_DONE, {"rows": size})
                filling.execute("ANALYZE")
                filling.commit()
                filling.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            store = stack.enter_context(closing(Store(f"sqlite:///{path}", "pbx1")))
            sides[size] = _claims(store)
        return compared("one claim from the outbox, on the disk, deliveries done", sides, rounds)


def _claims(store: Store) -> Callable[[], float]:
    calls = iter(range(10**8, 10**9))

    def refill() -> None:
        now = time.time()
        with store.write(now) as writer:
            for number in range(CLIENTS * WAITING):
                writer.queue(new(f"client{number % CLIENTS}", next(calls), at=now, body=BODY))

    refill()
    left = [CLIENTS * WAITING]

    def one() -> float:
        if not left[0]:
            refill()
            left[0] = CLIENTS * WAITING
        left[0] -= 1
        began = time.perf_counter()
        with store.write(time.time()) as writer:
            claimed = writer.claim(f"client{left[0] % CLIENTS}", 1)
        took_s = time.perf_counter() - began
        assert len(claimed) == 1
        return took_s

    return one


def clients(sizes: list[int], rounds: int) -> Figure:
    """Finding whom a call is told to, each customer with three clients."""

    def side(customers: int) -> Callable[[], float]:
        made = [client for number in range(customers) for client in match.of_customer(number)]
        matcher = Matcher(made)
        views = [match.view(number % customers) for number in range(500)]

        def one() -> float:
            began = time.perf_counter()
            for view in views:
                matcher.of(traits_of_view(view, "251"))
            return (time.perf_counter() - began) / len(views)

        return one

    sides = {size: side(size // 3) for size in sizes}
    return compared("finding whom a call is told to, clients", sides, rounds)


def cdr_file(sizes: list[int], rounds: int) -> Figure:
    """A look at Asterisk's CDR table in an SQLite file in which nothing is new."""
    with tempfile.TemporaryDirectory() as folder:
        sides = {}
        for size in sizes:
            path = Path(folder) / f"{size}.db"
            make_table(path)
            with closing(sqlite3.connect(path)) as filling:
                filling.execute(_CALLS, {"rows": size})
                filling.commit()
            sides[size] = _looks(f"sqlite:///{path}", "sqlite3_custom")
        return compared("a look at the CDR table in SQLite, rows", sides, rounds)


def _looks(url: str, preset: str) -> Callable[[], float]:
    shape = CDR_PRESETS[preset]
    return _looks_of(Cdr(Secret(url), preset, shape.table, shape.columns, shape.time_format))


def _looks_of(settings: Cdr) -> Callable[[], float]:
    poller = Poller(settings, ZoneInfo("UTC"), None)
    for _ in range(3):
        poller.poll()

    def one() -> float:
        began = time.perf_counter()
        poller.poll()
        return time.perf_counter() - began

    return one


def cdr_servers(sizes: list[int], rounds: int) -> Iterator[Figure]:
    """The same on servers, each with both tables at a time."""
    for begin in (mariadb, postgresql):
        with ExitStack() as stack:
            sides = {}
            for size in sizes:
                server = stack.enter_context(begin())
                table = ServerTable(server, "freepbx")
                fill(server, size)
                sides[size] = _looks_of(table.settings)
            yield compared(f"a look at the CDR table on {begin.__name__}, rows", sides, rounds)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--full", action="store_true", help="10,000,000 CDR rows, and servers: minutes")
    add_arguments(parser)
    arguments = parser.parse_args()
    short, full = arguments.short, arguments.full
    tell([outbox([1000, 20_000] if short else [1000, 100_000, 1_000_000], 50 if short else 400)], arguments)
    tell([clients([9, 6000], 3 if short else 25)], arguments)
    largest = 50_000 if short else 10_000_000 if full else 1_000_000
    tell([cdr_file([10_000, largest], 20 if short else 200)], arguments)
    if full:
        tell(cdr_servers([10_000, 10_000_000], 200), arguments)


if __name__ == "__main__":
    main()
