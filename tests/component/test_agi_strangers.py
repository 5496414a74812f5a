"""The real process's AGI port under strangers: who may connect, and what those who may can do to it."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from bridge_process import BridgeProcess
from fake_asterisk import FakeAsterisk, environment
from faulty_server import FaultyServer
from free_ports import free_port

GIBIBYTE = 1 << 30
READ_OF_A_FLOOD_BYTES = 32 * 1024 * 1024
"""What the kernel's own buffers on both sides take before a connection that is dropped is known to be."""
GROWTH_KIB = 48 * 1024

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  agi: {{listen: '127.0.0.1:{agi}', socket: null, allow: {allow}}}
store: 'sqlite:///{folder}/state.db'
clients:
  crm:
    kind: lookup
    url: 'http://127.0.0.1:{http}/route'
    timeout: 20s
    response: {{set: {{VIPEX_BRANCH: branch}}}}
"""


@contextmanager
def few_open_files(count: int) -> Iterator[None]:
    """What is started meanwhile has this soft limit, as most systems' services have 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Port:
    """A running bridge with an AGI port."""

    def __init__(self, bridge: BridgeProcess, number: int) -> None:
        self.bridge = bridge
        self.number = number
        self.pid = int(bridge.wait_for("bridge.started")["pid"])

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.number), timeout=30, source_address=(source, 0))

    async def lookup(self, source: str = "127.0.0.1") -> dict[str, str]:
        """A call's lookup; the variables that it set."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number, local_addr=(source, 0))
        asterisk = FakeAsterisk(reader, writer)
        await asterisk.say(environment("lookup", "crm"))
        await asterisk.obey()
        return {name: asterisk.variables[name] for name in asterisk.order}

    def memory_kib(self) -> int:
        """The most resident memory that the process ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@pytest.fixture
def start(tmp_path: Path, faulty_server: FaultyServer) -> Iterator[Callable[..., Port]]:
    faulty_server.answer = faulty_server.replies(200, b'{"branch": "vip"}')
    with ExitStack() as running:

        def start(allow: str = "[127.0.0.0/8]") -> Port:
            number = free_port()
            text = CONFIGURATION.format(agi=number, http=faulty_server.port, folder=tmp_path, allow=allow)
            bridge = BridgeProcess(tmp_path, text)
            with few_open_files(128):
                running.enter_context(bridge)
            return Port(bridge, number)

        yield start


def ended(connection: socket.socket) -> bytes:
    """What the other side still said before it ended the connection."""
    said = b""
    try:
        while data := connection.recv(65_536):
            said += data
    except ConnectionResetError:
        pass
    return said


async def test_who_is_not_allowed_is_dropped_at_once_and_logged_once(start: Callable[..., Port]) -> None:
    port = start("[127.0.0.1, 10.0.0.0/8]")
    for _ in range(20):
        with port.connect("127.0.0.7") as stranger:
            assert ended(stranger) == b""
    with port.connect("127.0.0.8") as stranger:
        assert ended(stranger) == b""
    assert (await port.lookup())["VIPEX_STATUS"] == "OK"
    refused = [line for line in port.bridge.lines if line["event"] == "agi.peer_refused"]
    assert [(line["peer"], line["untold"]) for line in refused] == [("127.0.0.7", 0), ("127.0.0.8", 19)]
    assert "asterisk.agi.allow" in refused[0]["reason"]


async def test_thousands_of_idle_connections_keep_no_lookup_away(start: Callable[..., Port]) -> None:
    port = start()
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1_000
    idle: list[socket.socket] = []
    with ExitStack() as opened:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        before_kib = port.memory_kib()
        for number in range(min(5_000, room)):
            idle.append(opened.enter_context(port.connect()))
            if number % 7 == 0:
                idle[-1].sendall(b"agi_network: yes\n")
            if number % 500 == 0:
                assert (await port.lookup())["VIPEX_STATUS"] == "OK"
        began = time.monotonic()
        statuses = await asyncio.gather(*(port.lookup() for _ in range(20)))
        elapsed_s = time.monotonic() - began
        assert {status["VIPEX_BRANCH"] for status in statuses} == {"vip"}
        assert port.open_files() < 1_200
        growth_kib = port.memory_kib() - before_kib
        assert growth_kib < GROWTH_KIB
        assert ended(idle[0]) == b""
    told = [line for line in port.bridge.lines if line["event"].startswith("agi.peer_")]
    assert len(told) <= 2, "a flood of connections is none of log lines"
    print(f"\n{len(idle)} idle connections: 20 lookups in {elapsed_s:.2f} s, {growth_kib} KiB more memory")


FLOODS = {
    "no line": b"x" * 65_536,
    "an endless environment": b"agi_a: 1\n" + b"agi_x: " + b"y" * 1_000 + b"\n",
    "zero bytes": bytes(65_536),
    "empty lines": b"\n" * 65_536,
    "replies that nobody asked for": b"200 result=1\n" * 5_000,
    "hang-ups": b"HANGUP\n" * 5_000,
    "an endless value": b"200 result=1 (" + b"z\n" * 30_000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_a_peer_that_pours_out_a_gibibyte_is_dropped_after_little_of_it(
    start: Callable[..., Port], faulty_server: FaultyServer, flood: bytes
) -> None:
    port = start()
    before_kib = port.memory_kib()
    with port.connect() as stranger:
        if flood.startswith((b"200", b"HANGUP")):
            stranger.sendall(environment("lookup", "crm"))
        sent = 0
        try:
            while sent < GIBIBYTE:
                stranger.sendall(flood)
                sent += len(flood)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < READ_OF_A_FLOOD_BYTES
    assert (await port.lookup())["VIPEX_STATUS"] == "OK"
    assert port.memory_kib() - before_kib < GROWTH_KIB


async def test_a_flood_while_the_lookup_goes_on_ends_it_and_harms_no_other(
    start: Callable[..., Port], faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.hangs()
    port = start()
    before_kib = port.memory_kib()
    with port.connect() as stranger:
        stranger.sendall(environment("lookup", "crm"))
        assert b"GET FULL VARIABLE" in stranger.recv(65_536)
        stranger.sendall(b"200 result=1 (1.1)\n")
        with faulty_server.arrived:
            assert faulty_server.arrived.wait_for(lambda: len(faulty_server.received) == 1, 20)
        faulty_server.answer = faulty_server.replies(200, b'{"branch": "vip"}')
        sent = 0
        try:
            while sent < GIBIBYTE:
                stranger.sendall(b"200 result=1\n" * 5_000)
                sent += 65_000
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < READ_OF_A_FLOOD_BYTES
    assert (await port.lookup())["VIPEX_STATUS"] == "OK"
    assert port.memory_kib() - before_kib < GROWTH_KIB
