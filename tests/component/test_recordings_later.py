"""Recordings that come after their call: waited for, converted, or told in a delivery of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from api_bench import TOKEN, Server
from bridge_process import BridgeProcess
from cdr_file import make_table, write_ended_call
from delivering import wait_until
from ending_bench import START, Bench, body
from faulty_server import FaultyServer
from story import inbound_example

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', preset: sqlite3_custom, poll: 100ms, settle: 100ms}}
  recordings: {{root: {folder}/monitor, max_size: 200MB, {recordings}}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
http: {{listen: '127.0.0.1:0', tokens: [{token}]}}
clients:
  billing: {{kind: call_end, url: '{url}', timeout: 60s, retry: [100ms]}}
  plain: {{kind: call_end, url: '{url}/plain', parameters: [id, src]}}
"""
MIB = 1 << 20


class Company:
    """A bridge that is told of calls by the CDR alone."""

    def __init__(self, folder: Path, url: str, recordings: str) -> None:
        self.folder = folder
        self.monitor = folder / "monitor"
        self.monitor.mkdir()
        make_table(folder / "master.db")
        text = CONFIGURATION.format(folder=folder, url=url, recordings=recordings, token=TOKEN)
        self.bridge = BridgeProcess(folder, text)
        self._calls = 0

    def ends(self, recording: str) -> None:
        """A call ends that was recorded."""
        self._calls += 1
        write_ended_call(self.folder / "master.db", self._calls, recordingfile=recording)


def told(server: FaultyServer, path: str = "/api") -> list[dict[str, Any]]:
    return [
        json.loads(r.body) | {"key": r.header("Idempotency-Key")} for r in server.received if r.target == path
    ]


def sound(document: dict[str, Any]) -> bytes | None:
    data = document["monitor_file"]
    return None if data is None else base64.b64decode(data)


def test_the_data_go_at_once_and_the_recording_once_it_is_there(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    company = Company(tmp_path, faulty_server.url, "when: separate, wait: 60s")
    with company.bridge as bridge:
        bridge.wait_for("reconcile.done")
        company.ends("call.wav")
        wait_until(lambda: len(told(faulty_server)) == 1, 20)
        (company.monitor / "call.wav").write_bytes(b"RIFF of the call")
        wait_until(lambda: len(told(faulty_server)) == 2, 20)
        first, second = told(faulty_server)
        assert (first["monitor_file_name"], sound(first)) == ("call.wav", None)
        assert sound(second) == b"RIFF of the call"
        unlike = {name for name in first if first[name] != second[name]}
        assert unlike == {"monitor_file", "key"}, "the second has all of the first"
        assert first["main_reference_id"] is not None
        server = Server(bridge.wait_for("http.listening")["port"], faulty_server)
        fetched = server.ask(f"/api/v1/recordings/{first['main_reference_id']}")
        assert (fetched.status, fetched.body) == (200, b"RIFF of the call")
        assert fetched.headers["cross-origin-resource-policy"] == "cross-origin", (
            "a page elsewhere may play it"
        )
        events = [d["event"] for d in server.ask("/api/v1/deliveries?client=billing").json["deliveries"]]
        assert sorted(events) == ["call_end", "recording"]
        assert len(told(faulty_server, "/api/plain")) == 1, "who wants no sound is told once"


def test_a_recording_that_never_comes_is_told_as_none(tmp_path: Path, faulty_server: FaultyServer) -> None:
    company = Company(tmp_path, faulty_server.url, "when: separate, wait: 1s")
    with company.bridge as bridge:
        bridge.wait_for("reconcile.done")
        company.ends("call.wav")
        left_out = bridge.wait_for("recording.left_out", client="billing")
        wait_until(lambda: len(told(faulty_server)) == 2, 20)
        assert [sound(document) for document in told(faulty_server)] == [None, None]
        server = Server(bridge.wait_for("http.listening")["port"], faulty_server)
        bridge.wait_for("delivery.sent", delivery=left_out["delivery"])
        delivery = server.ask(f"/api/v1/deliveries/{left_out['delivery']}").json
        [note] = [attempt["error"] for attempt in delivery["tries"]]
        assert note.startswith("without recording call.wav: there is no such file below")


def test_a_restart_forgets_no_recording_that_is_to_follow(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    company = Company(tmp_path, faulty_server.url, "when: separate, wait: 1h, converted: mp3")
    with company.bridge as bridge:
        bridge.wait_for("reconcile.done")
        company.ends("call.wav")
        (company.monitor / "call.wav").write_bytes(b"RIFF of the call")
        bridge.wait_for("delivery.sent", client="billing")
        bridge.kill()
        # The converter takes the first file away.
        (company.monitor / "call.mp3").write_bytes(b"ID3 of the call")
        (company.monitor / "call.wav").unlink()
        bridge.start()
        wait_until(lambda: len(told(faulty_server)) == 2, 20)
        first, second = told(faulty_server)
        assert (second["monitor_file_name"], sound(second)) == ("call.mp3", b"ID3 of the call")
        ports = [line["port"] for line in bridge.lines if line.get("event") == "http.listening"]
        server = Server(ports[-1], faulty_server)
        fetched = server.ask(f"/api/v1/recordings/{first['main_reference_id']}")
        assert (fetched.body, fetched.headers["content-type"]) == (b"ID3 of the call", "audio/mpeg")


@pytest.fixture
def converting(tmp_path: Path) -> Iterator[Bench]:
    """A call is over whose recording Asterisk has written, and a converter is expected to take."""
    bench = Bench(tmp_path, recordings="wait: 30s, converted: mp3")
    with closing(bench.store):
        bench.happens(inbound_example(START))
        bench.row()
        (bench.folder / "monitor" / "91064.wav").write_bytes(b"RIFF")
        bench.step(1)
        yield bench


def test_a_converter_is_waited_for(converting: Bench) -> None:
    bench = converting
    bench.step(12)
    assert bench.told() == []
    (bench.folder / "monitor" / "91064.mp3").write_bytes(b"ID3")
    bench.step(1)
    bench.step(1)
    [delivery] = bench.told()
    assert '"monitor_file_name": "91064.mp3"' in body(delivery)


def test_a_converter_that_fails_keeps_no_call(converting: Bench) -> None:
    bench = converting
    bench.step(5)
    assert bench.told() == []
    bench.step(31)
    [delivery] = bench.told()
    assert '"monitor_file_name": "91064.wav"' in body(delivery)


class Drain(BaseHTTPRequestHandler):
    """Takes a body piece by piece and keeps its length and digest alone."""

    taken: ClassVar[list[tuple[int, str]]] = []

    def do_POST(self) -> None:
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        length = left
        while left:
            piece = self.rfile.read(min(left, MIB))
            digest.update(piece)
            left -= len(piece)
        self.taken.append((length, digest.hexdigest()))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_hundred_megabytes_take_no_memory(tmp_path: Path) -> None:
    Drain.taken = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Drain)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        company = Company(tmp_path, f"http://127.0.0.1:{server.server_port}", "wait: 5s")
        (company.monitor / "small.wav").write_bytes(os.urandom(1000))
        (company.monitor / "large.wav").write_bytes(os.urandom(MIB) * 100)
        with company.bridge as bridge:
            bridge.wait_for("reconcile.done")
            company.ends("small.wav")
            bridge.wait_for("delivery.sent", client="billing")
            before_kib = bridge.peak_memory_kib()
            mark = bridge.mark()
            company.ends("large.wav")
            bridge.wait_for("delivery.sent", timeout_s=60, after=mark, client="billing")
            grown_kib = bridge.peak_memory_kib() - before_kib
        length = max(length for length, _ in Drain.taken)
        assert length > 100 * MIB * 4 // 3
        print(f"100 MiB sent as base64: {grown_kib} KiB more resident memory at most")
        assert grown_kib <= 20 * 1024
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
