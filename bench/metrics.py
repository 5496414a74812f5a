"""How long `/metrics` takes with thousands of clients, and what the dialplan notices of it.

    .venv/bin/python bench/metrics.py [CLIENTS]

A bridge with so many clients, one in five a lookup; two of them have something to tell. Printed: how long
Prometheus waits for its answer, and how long lookups take (their server answers at once) while it asks
without a pause, and while it does not.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from agi_call import agi
from bridge_process import BridgeProcess
from faulty_server import running
from free_ports import free_port

TOKEN = "a-token-that-is-long-enough"
CONFIGURATION = """
asterisk: {{agi: {{listen: '127.0.0.1:{agi}', socket: null}}}}
store: 'sqlite:///{folder}/state.db'
http: {{listen: '127.0.0.1:{http}', tokens: [{token}]}}
clients:
"""
SCRAPES, LOOKUPS = 30, 200


def main(clients: int) -> None:
    with tempfile.TemporaryDirectory() as name, running() as server:
        server.answer = server.replies(200, b'{"branch": "vip"}')
        agi_port, http_port, folder = free_port(), free_port(), Path(name)
        text = CONFIGURATION.format(agi=agi_port, http=http_port, folder=folder, token=TOKEN)
        for number in range(clients):
            options = f"kind: notify, on: [ringing], url: '{server.url}'"
            if number % 5 == 0:
                options = f"kind: lookup, url: '{server.url}', response: {{set: {{VIPEX_BRANCH: branch}}}}"
            text += f"  customer{number:05}: {{{options}}}\n"
        text += f"  dialled: {{kind: notify, url: '{server.url}'}}\n"
        with BridgeProcess(folder, text):
            agi(agi_port, "notify", "dialled")
            quiet = [_lookup(agi_port) for _ in range(LOOKUPS)]
            scrapes = [_scrape(http_port) for _ in range(SCRAPES)]
            stop = threading.Event()
            asking = threading.Thread(target=_ask_on, args=(http_port, stop))
            asking.start()
            asked = [_lookup(agi_port) for _ in range(LOOKUPS)]
            stop.set()
            asking.join()
    print(f"{clients} clients")
    print(f"/metrics: {_times(scrapes)}")
    print(f"lookups: {_times(quiet)}; while /metrics is asked without a pause: {_times(asked)}")


def _scrape(port: int) -> float:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    assert b"vipex_queue_deliveries" in answer.read() and answer.status == 200
    connection.close()
    return time.perf_counter() - began


def _lookup(port: int) -> float:
    began = time.perf_counter()
    assert agi(port, "lookup", "customer00000")["VIPEX_BRANCH"] == "vip"
    return time.perf_counter() - began


def _ask_on(port: int, stop: threading.Event) -> None:
    while not stop.is_set():
        _scrape(port)


def _times(took_s: list[float]) -> str:
    return f"median {statistics.median(took_s) * 1000:.1f} ms, longest {max(took_s) * 1000:.1f} ms"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6_000)
