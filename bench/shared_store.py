"""What a store on PostgreSQL holds: calls a second with 1, 2 and 3 bridges' worth of writers on one server.

    .venv/bin/python bench/shared_store.py [SECONDS]

Starts a PostgreSQL of its own on 127.0.0.1 (every commit on the disk, as by default), and ends it. A writer
does to the store what a bridge does in the life of one call that is told to three clients: four commits while
it lives (three of them with a notification), its CDR row, the telling with two end-of-call deliveries, and a
claim and an outcome for each of the five deliveries. Nothing is sent. Beside it the same with an SQLite file.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from contextlib import closing
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from sql_servers import SqlServer, postgresql
from stored import document, new, row

from vipex_bridge.store.outbox import NewAttempt
from vipex_bridge.store.store import Store

FACTS = "x" * 3000
BODY = '{"sub_cdrs": "' + "y" * 1200 + '"}'
"""A call's journal and an end-of-call document of usual size."""
EVENTS = ("ringing", "answer", "hangup")


def one_call(store: Store, number: int) -> None:
    """The life of one call."""
    now = time.time()
    keys = [f"{int(now)}.{2 * number}", f"{int(now)}.{2 * number + 1}"]
    for event in (None, *EVENTS):
        with store.write(now) as writer:
            call_id = writer.identify(keys, now)
            writer.save_call(call_id, state="live", started_at=now, ended_at=None, facts=FACTS)
            if event is not None:
                writer.queue(new("crm", call_id, event=event, at=now, body='{"src": "3642999425"}'))
        if event is not None:
            _send(store, "crm", now)
    with store.write(now) as writer:
        writer.add_rows([row(keys[0], number)], call_id)
        writer.move_cursor({"rowid": number})
    with store.write(now) as writer:
        writer.tell(call_id, document(), "{}" + " " * 1500)
        for client in ("billing", "archive"):
            writer.queue(new(client, call_id, at=now, body=BODY, dedupe_key=f"call_end/{client}/{call_id}"))
    for client in ("billing", "archive"):
        _send(store, client, now)


def _send(store: Store, client: str, now: float) -> None:
    store.next_due(client)
    with store.write(now) as writer:
        [delivery] = writer.claim(client, 1)
    attempt = NewAttempt(now, 0.01, 200, "delivered", None, '{"stored": true}')
    with store.write(now) as writer:
        writer.record_attempt(delivery.id, attempt, next_attempt_at=None, retry_index=0)
        writer.claim(client, 1)


def bridge(url: str, node: str, ready: Barrier, over: Event, calls: multiprocessing.Queue[int]) -> None:
    """One bridge's worth of calls, one after the other, until it is over."""
    with closing(Store(url, node)) as store:
        ready.wait()
        number = 0
        while not over.is_set():
            number += 1
            one_call(store, number)
        calls.put(number)


def run(url: str, bridges: int, seconds: float) -> tuple[float, int]:
    """Calls a second of all together, and how many calls that were."""
    ready, over = multiprocessing.Barrier(bridges + 1), multiprocessing.Event()
    calls: multiprocessing.Queue[int] = multiprocessing.Queue()
    working = [
        multiprocessing.Process(target=bridge, args=(url, f"pbx{number}", ready, over, calls))
        for number in range(bridges)
    ]
    for process in working:
        process.start()
    ready.wait()
    began = time.perf_counter()
    time.sleep(seconds)
    over.set()
    made = sum(calls.get() for _ in working)
    took_s = time.perf_counter() - began
    for process in working:
        process.join()
    return made / took_s, made


def main() -> None:
    """Prints a line for each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    with tempfile.TemporaryDirectory() as folder:
        per_s, calls = run(f"sqlite:///{folder}/state.db", 1, seconds)
        size = sum(file.stat().st_size for file in Path(folder).glob("state.db*"))
        print(f"SQLite,     1 bridge:  {per_s:6.1f} calls/s, {size / calls / 1024:.1f} KiB a call")
    with postgresql() as server:
        server.stop()
        server.command[server.command.index("fsync=off")] = "fsync=on"
        server.start()
        for bridges in (1, 2, 3):
            with server.database() as url, closing(Store(url, "looking", alone=False)) as store:
                run(url, 1, 1.0)
                empty, cpu_s = store.size_bytes(), _cpu_s(server)
                per_s, calls = run(url, bridges, seconds)
                size, cpu_s = store.size_bytes() - empty, _cpu_s(server) - cpu_s
            print(
                f"PostgreSQL, {bridges} bridges: {per_s:6.1f} calls/s, {size / calls / 1024:.1f} KiB a call, "
                f"{1000 * cpu_s / calls:.1f} ms of the server's processor a call"
            )


def _cpu_s(server: SqlServer) -> float:
    """Processor seconds of the server and of its sessions that have ended."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[place]) for place in (11, 12, 13, 14)) / 100


if __name__ == "__main__":
    main()
