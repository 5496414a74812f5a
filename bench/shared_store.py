"""What a store on PostgreSQL holds: calls a second with 1, 2 and 3 bridges' worth of writers on one server.

    .venv/bin/python bench/shared_store.py [SECONDS]

Starts a PostgreSQL of its own on 127.0.0.1 (every commit on the disk, as by default), and ends it. A writer
does to the store what a bridge does in the life of one call that is told to three clients: four commits while
it lives (three of them with a notification, claimed at once), its CDR row, the telling with two end-of-call
deliveries, and an outcome for each of the five deliveries. Nothing is sent. Beside it the same with SQLite.
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

from vipex_bridge.store.outbox import Delivery, NewAttempt
from vipex_bridge.store.results import Result
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
        claimed = []
        with store.write(now) as writer:
            call_id = writer.identify(keys, now)
            writer.save_call(call_id, state="live", started_at=now, ended_at=None, facts=FACTS)
            if event is not None:
                writer.queue(new("crm", call_id, event=event, at=now, body='{"src": "3642999425"}'))
                claimed = writer.claim("crm", 1)
        for delivery in claimed:
            _sent(store, delivery, now)
    with store.write(now) as writer:
        writer.add_rows([row(keys[0], number)], call_id)
        writer.move_cursor({"rowid": number})
    claimed = []
    with store.write(now) as writer:
        writer.tell(call_id, document(), "{}" + " " * 1500)
        for client in ("billing", "archive"):
            writer.queue(new(client, call_id, at=now, body=BODY, dedupe_key=f"call_end/{client}/{call_id}"))
            claimed += writer.claim(client, 1)
    for delivery in claimed:
        _sent(store, delivery, now)


def _sent(store: Store, delivery: Delivery, now: float) -> None:
    attempt = NewAttempt(now, 0.01, 200, "delivered", None, '{"stored": true}')
    with store.write(now) as writer:
        writer.record([Result(delivery.id, attempt, None, 0)])
        writer.claim(delivery.client, 1)


def bridge(
    url: str, node: str, ready: Barrier, over: Event, calls: multiprocessing.Queue[tuple[int, float]]
) -> None:
    """One bridge's worth of calls, one after the other, until it is over."""
    with closing(Store(url, node)) as store:
        ready.wait()
        number, cpu_s = 0, time.process_time()
        while not over.is_set():
            number += 1
            one_call(store, number)
        calls.put((number, time.process_time() - cpu_s))


def run(url: str, bridges: int, seconds: float) -> tuple[float, int, float]:
    """Calls a second of all together, how many calls that were, and ms of a bridge's processor for each."""
    ready, over = multiprocessing.Barrier(bridges + 1), multiprocessing.Event()
    calls: multiprocessing.Queue[tuple[int, float]] = multiprocessing.Queue()
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
    done = [calls.get() for _ in working]
    made, cpu_s = sum(number for number, _ in done), sum(used_s for _, used_s in done)
    took_s = time.perf_counter() - began
    for process in working:
        process.join()
    return made / took_s, made, 1000 * cpu_s / made


def main() -> None:
    """Prints a line for each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    with tempfile.TemporaryDirectory() as folder:
        per_s, calls, own_ms = run(f"sqlite:///{folder}/state.db", 1, seconds)
        size = sum(file.stat().st_size for file in Path(folder).glob("state.db*"))
        print(
            f"SQLite,     1 bridge:  {per_s:6.1f} calls/s, {size / calls / 1024:.1f} KiB a call, "
            f"{own_ms:.1f} ms of the bridge's processor"
        )
    with postgresql() as server:
        server.stop()
        server.command[server.command.index("fsync=off")] = "fsync=on"
        server.start()
        for bridges in (1, 2, 3):
            with server.database() as url, closing(Store(url, "looking", alone=False)) as store:
                run(url, 1, 1.0)
                empty, cpu_s = store.size_bytes(), _cpu_s(server)
                per_s, calls, own_ms = run(url, bridges, seconds)
                size, cpu_s = store.size_bytes() - empty, _cpu_s(server) - cpu_s
            print(
                f"PostgreSQL, {bridges} bridges: {per_s:6.1f} calls/s, {size / calls / 1024:.1f} KiB a call, "
                f"{own_ms:.1f} ms of the bridge's processor, {1000 * cpu_s / calls:.1f} ms of the server's"
            )


def _cpu_s(server: SqlServer) -> float:
    """Processor seconds of the server and of its sessions that have ended."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[place]) for place in (11, 12, 13, 14)) / 100


if __name__ == "__main__":
    main()
