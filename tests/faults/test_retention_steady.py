"""Ten days of steady load with a retention of two: the store stays as large as two days are.

The days are passed in. A day's calls are put in as the bridge leaves them, and it is asked for its time.
"""

from __future__ import annotations

import json
import statistics
import threading
import time as real_time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from sqlite3 import Connection, connect
from typing import Any

import pytest
from reliability import record, rounds
from stored import NOW, claimed, found, new, open_in, queued, row
from stored import record as record_try

from vipex_bridge.render.request import Request
from vipex_bridge.store.store import Store

DAY_S = 86_400.0
DAYS, KEPT_DAYS = 10, 2
PARTS = 12
"""How often a day the store is made to forget. The bridge does it every ten minutes."""
BODY = json.dumps({"id": 1, "src": "3642999425", "sub_cdr": [{"exten": "251", "billsec": 4}] * 12})
FACTS = json.dumps({"channels": ["PJSIP/trunk-00000001"] * 60})
LOG_BYTES = 32 * 1024 * 1024
"""What the write-ahead log may take: its limit, and the transaction that is under way."""
WITHOUT_LIMIT_S = 3000


@dataclass
class Day:
    """What the store was like at the end of a day."""

    rows: int
    file_bytes: int
    log_bytes: int
    took_s: dict[str, float] = field(default_factory=dict)
    """Medians of what the bridge does all the time."""


@dataclass
class Load:
    """A store under a steady load."""

    folder: Path
    store: Store
    a_day: int
    next_id: int = 1_000_000

    def day(self, number: int) -> Day:
        """One day's calls, and forgetting in between."""
        part = self.a_day // PARTS
        for hours in range(PARTS):
            begun = NOW + number * DAY_S + hours * DAY_S / PARTS
            with closing(connect(self.folder / "state.db", timeout=30)) as database:
                self._calls(database, begun, part)
            self.store.retire(KEPT_DAYS * DAY_S, begun + DAY_S / PARTS)
        return self._looked_at(NOW + (number + 1) * DAY_S)

    def _calls(self, database: Connection, begun: float, count: int) -> None:
        """Calls that were told to two clients: all their rows as the bridge writes them."""
        request = json.dumps(Request("POST", "http://127.0.0.1:9/", (), BODY).to_dict())
        ids = range(self.next_id, self.next_id + count)
        self.next_id += count
        last = database.execute("SELECT coalesce(max(id), 0) FROM deliveries").fetchone()[0]
        for table, values in _rows_of(begun, ids, last + 1, request):
            names = list(values[0])
            marks = ", ".join("?" for _ in names)
            statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
            database.executemany(statement, ([one[name] for name in names] for one in values))
        database.commit()

    def _looked_at(self, now: float) -> Day:
        took_s = self._times(now)
        tables = ("calls", "call_keys", "cdr_rows", "deliveries", "attempts", "recordings")
        with closing(connect(self.folder / "state.db")) as database:
            rows = sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
        log = self.folder / "state.db-wal"
        return Day(rows, (self.folder / "state.db").stat().st_size, log.stat().st_size, took_s)

    def _times(self, now: float) -> dict[str, float]:
        """How long the bridge's everyday work takes with all that is there."""
        took: dict[str, list[float]] = {"identify": [], "queue": [], "next_due": [], "claim": []}

        def timed(name: str, started: float) -> None:
            took[name].append(real_time.perf_counter() - started)

        for number in range(50):
            started = real_time.perf_counter()
            with self.store.write(now) as writer:
                call_id = writer.identify([f"{now:.0f}.{number}"], now)
            timed("identify", started)
            started = real_time.perf_counter()
            queued(self.store, new("crm", call_id, at=now), now=now)
            timed("queue", started)
            started = real_time.perf_counter()
            assert self.store.next_due("crm") == now
            timed("next_due", started)
            started = real_time.perf_counter()
            [delivery] = claimed(self.store, "crm", now=now)
            timed("claim", started)
            record_try(self.store, delivery.id, "delivered", now=now)
            with self.store.write(now) as writer:
                writer.close_call(call_id, state="ignored")
        return {name: statistics.median(times) for name, times in took.items()}


def _rows_of(
    begun: float, ids: range, first_delivery: int, request: str
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Table by table, the rows of calls that were told one after the other."""
    step = DAY_S / PARTS / len(ids)
    moments = {call: begun + place * step for place, call in enumerate(ids)}
    first = {call: first_delivery + 2 * place for place, call in enumerate(ids)}
    yield "calls", [
        {
            "id": call, "node": "pbx1", "key": f"{at:.0f}.{call}", "state": "told", "started_at": at,
            "ended_at": at + 30, "told_at": at + 33, "direction": 1, "src": "3642999425", "dst": "3642999408",
            "exten": "251", "facts": FACTS, "document": BODY,
        }
        for call, at in moments.items()
    ]  # fmt: skip
    yield (
        "call_keys",
        [
            {"node": "pbx1", "key": f"{at:.0f}.{call}{tail}", "call_id": call}
            for call, at in moments.items()
            for tail in ("", ";1")
        ],
    )
    yield "cdr_rows", [
        {
            "node": "pbx1", "uniqueid": f"{at:.0f}.{call}", "sequence": call, "dstchannel": "PJSIP/251-1",
            "start": at, "row": json.dumps(asdict(row())), "call_id": call, "seen_at": at,
        }
        for call, at in moments.items()
    ]  # fmt: skip
    yield "deliveries", [
        {
            "id": first[call] + number, "idempotency_key": f"{call}-{client}", "node": "pbx1",
            "client": client,
            "kind": "call_end", "call_id": call, "event": "call_end", "created_at": at + 33,
            "status": "delivered", "attempts": 1, "retry_index": 0, "next_attempt_at": at + 33,
            "finished_at": at + 34, "request": request,
        }
        for call, at in moments.items()
        for number, client in enumerate(("billing", "crm"))
    ]  # fmt: skip
    yield "attempts", [
        {
            "delivery_id": first[call] + number, "started_at": at + 33, "elapsed_s": 0.1, "status_code": 200,
            "outcome": "delivered", "answer": '{"ok": true}',
        }
        for call, at in moments.items()
        for number in range(2)
    ]  # fmt: skip


@pytest.mark.timeout(WITHOUT_LIMIT_S)
def test_ten_days_are_no_larger_than_two(tmp_path: Path) -> None:
    a_day = rounds(480, 50_000)
    with open_in(tmp_path) as store:
        [waiting] = queued(store, new("gone", call_id=1, at=NOW))
        load = Load(tmp_path, store, a_day)
        days = [load.day(number) for number in range(DAYS)]
        assert found(store, waiting).status == "queued", "what was not delivered is never forgotten"
    # The first is the last day before anything is forgotten, with its part of a day more.
    full, last = days[KEPT_DAYS + 1], days[-1]
    ratios = {name: last.took_s[name] / full.took_s[name] for name in last.took_s}
    shown = ", ".join(
        f"{name} {full.took_s[name] * 1000:.2f} -> {last.took_s[name] * 1000:.2f} ms ({ratio:.2f} x)"
        for name, ratio in ratios.items()
    )
    record(
        "retention: ten simulated days, two kept",
        rounds=DAYS,
        calls=a_day * DAYS,
        lost=0,
        duplicates=0,
        note=f"file {full.file_bytes / 1e6:.0f} -> {last.file_bytes / 1e6:.0f} MB, write-ahead log "
        f"{last.log_bytes / 1e6:.1f} MB; from day {KEPT_DAYS + 2} to day {DAYS}: {shown}",
    )
    print(shown)
    assert last.rows <= full.rows
    assert last.rows < 8.5 * a_day * (KEPT_DAYS + 1 / PARTS) + 600 * (KEPT_DAYS + 1)
    assert last.file_bytes <= 1.05 * full.file_bytes
    assert last.log_bytes <= LOG_BYTES


def test_others_get_their_turn_while_much_is_forgotten(tmp_path: Path) -> None:
    """After a month without retention, or a shorter one: calls go on meanwhile."""
    with open_in(tmp_path) as store:
        load = Load(tmp_path, store, 3000)
        with closing(connect(tmp_path / "state.db")) as database:
            load._calls(database, NOW, 3000)
        over = threading.Event()
        written: list[int] = []

        def calls_go_on() -> None:
            while not over.is_set():
                written.extend(queued(store, new("crm", call_id=5 + len(written)), now=NOW + 9 * DAY_S))

        other = threading.Thread(target=calls_go_on)
        other.start()
        gone = store.retire(KEPT_DAYS * DAY_S, NOW + 9 * DAY_S)
        meanwhile = len(written)
        over.set()
        other.join(20)
        assert gone == 3 * 3000
        assert meanwhile >= 3000 // 100, "at least one in every pause"
        assert len(store.deliveries(status="queued", limit=100_000)) == len(written)
