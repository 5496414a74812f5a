"""The AGI port of a real bridge, crowded and shouted at: lookups go on, memory and files stay bounded."""

from __future__ import annotations

import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import reliability
from agi_call import agi
from bridge_process import BridgeProcess
from delivering import wait_until
from fake_asterisk import environment
from faulty_server import FaultyServer, running
from free_ports import free_port

CONFIGURATION = """
asterisk:
  agi: {{listen: '127.0.0.1:{port}', socket: null, allow: [{allow}]}}
store: 'sqlite:///{folder}/state.db'
clients:
  route: {{kind: lookup, url: '{url}', response: {{set: {{VIPEX_BRANCH: branch}}}}}}
  hanging: {{kind: lookup, url: '{hanging}', timeout: 20s}}
"""
CROWD = """
import socket, sys
port, count = map(int, sys.argv[1:])
held = [socket.socket() for _ in range(count)]
for each in held:
    each.setblocking(False)
    each.connect_ex(("127.0.0.1", port))
sys.stdin.read()
"""
KEPT_SILENT = 1_000
"""Of the connections that say nothing; the README says so."""
GIB = 1 << 30
MIB = 1 << 20
TAKEN_BYTES = 16 * MIB
"""More than both kernels' buffers and what the bridge reads of one peer."""
GROWN_BYTES = 64 * MIB
"""By how much the bridge may grow, whatever its peers do."""
SOFT_FILES = 256


class Port:
    """A bridge that may open few files until it says otherwise, and what can be seen of it."""

    def __init__(self, folder: Path, server: FaultyServer, slow: FaultyServer) -> None:
        self.port = free_port()
        self._configuration = CONFIGURATION.replace("{port}", str(self.port))
        self._known = {"folder": folder, "url": server.url, "hanging": slow.url}
        self.bridge = BridgeProcess(folder, self.configuration("127.0.0.1"))

    def configuration(self, allow: str) -> str:
        return self._configuration.format(allow=allow, **self._known)

    def pid(self) -> int:
        return int(self.bridge.wait_for("bridge.started")["pid"])

    def peak_bytes(self) -> int:
        """The most memory that it ever had, by proc(5)."""
        status = Path(f"/proc/{self.pid()}/status").read_text("ascii", "replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.pid()}/fd").iterdir()))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def lookup(self) -> tuple[str, float]:
        """The status of one lookup, and the seconds it took."""
        began = time.monotonic()
        try:
            status = agi(self.port, "lookup", "route").get("VIPEX_STATUS", "")
        except OSError as error:
            status = str(error)
        return status, time.monotonic() - began

    @contextmanager
    def crowded(self, connections: int) -> Iterator[None]:
        """So many connections are opened at once, by a process of their own, and say nothing."""
        command = [sys.executable, "-c", CROWD, str(self.port), str(connections)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as crowd:
            yield
            crowd.communicate(timeout=30)
            assert crowd.returncode == 0

    @contextmanager
    def looking_up(self) -> Iterator[list[tuple[str, float]]]:
        """Callers come one after the other meanwhile."""
        stop, done = threading.Event(), list[tuple[str, float]]()

        def ask() -> None:
            while not stop.is_set():
                done.append(self.lookup())

        asking = [threading.Thread(target=ask) for _ in range(2)]
        for thread in asking:
            thread.start()
        try:
            yield done
        finally:
            stop.set()
            for thread in asking:
                thread.join(30)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running() as server, running() as slow:
        server.answer = server.replies(200, b'{"branch": "vip"}')
        slow.answer = slow.hangs()
        port = Port(tmp_path, server, slow)
        resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT_FILES, hard))
        try:
            with port.bridge:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
                yield port
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _times(lookups: list[tuple[str, float]]) -> str:
    took = [seconds for _, seconds in lookups]
    return f"lookups: median {statistics.median(took) * 1000:.0f} ms, longest {max(took) * 1000:.0f} ms"


@pytest.mark.parametrize("crowd", [1_000, 5_000])
def test_a_crowd_that_says_nothing_does_no_harm(port: Port, crowd: int) -> None:
    before, files, began = port.peak_bytes(), port.files(), time.monotonic()
    with port.looking_up() as lookups, port.crowded(crowd):
        wait_until(lambda: port.files() > files + KEPT_SILENT // 2, 30.0)
        mark = len(lookups)
        wait_until(lambda: len(lookups) >= mark + 20, 30.0)
        assert port.files() <= files + KEPT_SILENT + 100
        wait_until(lambda: port.files() <= files + 20, 60.0)
    assert lookups
    grown = port.peak_bytes() - before
    failed = [status for status, _ in lookups if status != "OK"]
    reliability.record(
        f"{crowd} connections at the AGI port that say nothing",
        rounds=1,
        calls=len(lookups),
        lost=len(failed),
        duplicates=0,
        note=f"{_times(lookups)}; grew by {grown / MIB:.0f} MiB",
    )
    print(f"{crowd}: {len(lookups)} lookups, {_times(lookups)}; grew by {grown / MIB:.1f} MiB")
    assert not failed
    assert grown < GROWN_BYTES
    dropped = [line for line in port.bridge.lines if line["event"] == "agi.peer_dropped"]
    assert 1 <= len(dropped) <= 1 + (time.monotonic() - began) // 60


BEGUN = environment("lookup", "hanging")
CONTEXT = b"200 result=1 (" + b"\x1f" * 6 + b")\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"", b"\xff\x00" * 32_768),
        (BEGUN, b"\n" * 65_536),
        (BEGUN, b"200 result=1 (" + b"x" * 65_000),
        (BEGUN + CONTEXT, b"200 result=1\n" * 5_000),
        (BEGUN + CONTEXT, b"HANGUP?\n" * 8_000),
    ],
    ids=["noise", "line breaks", "a long reply", "replies", "odd lines"],
)
def test_ten_peers_that_send_a_gibibyte_each_keep_no_lookup_away(
    port: Port, begin: bytes, more: bytes
) -> None:
    assert port.lookup()[0] == "OK"
    before, sent, began = port.peak_bytes(), [0] * 10, time.monotonic()

    def shout(number: int) -> None:
        with port.connect() as peer, suppress(ConnectionError):
            peer.sendall(begin)
            while sent[number] < GIB:
                sent[number] += peer.send(more)

    shouting = [threading.Thread(target=shout, args=(number,)) for number in range(len(sent))]
    with port.looking_up() as lookups:
        for thread in shouting:
            thread.start()
        for thread in shouting:
            thread.join(60)
            assert not thread.is_alive()
        wait_until(lambda: len(lookups) >= 10, 30.0)
    took, grown = time.monotonic() - began, port.peak_bytes() - before
    print(
        f"at most {max(sent) / MIB:.1f} MiB, {took:.2f} s; {_times(lookups)}; grew by {grown / MIB:.1f} MiB"
    )
    assert max(sent) < TAKEN_BYTES
    assert grown < GROWN_BYTES
    assert {status for status, _ in lookups} == {"OK"}


@pytest.mark.parametrize("data", [b"", b"a", b"agi_network: yes\n"], ids=["nothing", "letters", "lines"])
def test_a_peer_that_drips_is_dropped_soon(port: Port, data: bytes) -> None:
    tick, began = threading.Event(), time.monotonic()
    with port.connect() as peer:
        peer.settimeout(0.1)
        ended = False
        while not ended and time.monotonic() - began < 30:
            with suppress(TimeoutError):
                try:
                    peer.sendall(data)
                    ended = peer.recv(1) == b""
                except ConnectionError:
                    ended = True
            tick.wait(0.1)
    assert ended
    print(f"dropped after {time.monotonic() - began:.1f} s")
    assert port.lookup()[0] == "OK"


def test_a_peer_from_elsewhere_is_refused_until_a_reload_allows_it(port: Port) -> None:
    bridge = port.bridge
    bridge.config.write_text(port.configuration("10.0.0.0/8, '::1'"), encoding="utf-8")
    bridge.signal(signal.SIGHUP)
    bridge.wait_for("configuration.reloaded")
    for _ in range(50):
        with port.connect() as peer, suppress(ConnectionError):
            assert peer.recv(1) == b""
    mark = bridge.mark()
    bridge.config.write_text(port.configuration("127.0.0.0/8"), encoding="utf-8")
    bridge.signal(signal.SIGHUP)
    bridge.wait_for("configuration.reloaded", after=mark)
    assert port.lookup()[0] == "OK"
    [line] = [line for line in bridge.lines if line["event"] == "agi.peer_refused"]
    assert line["peer"] == "127.0.0.1"
