"""Asterisk, bridge and receiver side by side, and many calls at once: what the measurements with calls share.

The laboratory is that of tests/pbx; VIPEX_LAB_PORT_OFFSET moves its ports.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/pbx"))

from laboratory import DEFAULT_PORTS, SECRET, Asterisk
from phones import Phone, caller, extension
from receiver import Receiving, receiving

AGI_URL = f"agi://127.0.0.1:{DEFAULT_PORTS.agi}"
"""Where the dialplan reaches the bridge."""
CONFIGURATION = """
node: bench
timezone: {zone}
asterisk:
  ami: {{host: 127.0.0.1, port: {ports.ami}, username: vipex, secret: {secret}}}
  agi: {{listen: '127.0.0.1:{ports.agi}', socket: {socket}}}
  cdr: {{source: 'sqlite:///{cdr}'}}
numbers:
  trunks: ['PJSIP/trunk*']
  extensions: '^\\d{{3,4}}$'
store: sqlite:///{state}/state.db
clients:
"""
MANAGER = """
[bench]
secret = laboratory
permit = 127.0.0.1/255.255.255.255
read = call,user
write = call
eventfilter = ^Event: (DialState|UserEvent)[[:cntrl:]]
"""
"""A user of the measurement's own, who hears of ringing and of what the dialplan tells."""
BOOTED_WITHIN_S = 60.0
TOLD_WITHIN_S = 15.0
"""By Asterisk's manager, after the phones have hung up."""


class BenchError(RuntimeError):
    """A measurement could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class House:
    """All that runs."""

    asterisk: Asterisk
    receiver: Receiving
    bridge: Process
    log: Path
    """The bridge's."""

    @property
    def asterisk_process(self) -> Process:
        """Asterisk's own."""
        return Process(int((self.asterisk.folder / "pid").read_text()))


@dataclass(frozen=True, slots=True)
class Process:
    """A running process, as /proc tells of it."""

    pid: int

    def cpu_s(self) -> float:
        """Processor seconds of it and of its children that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[place]) for place in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Its resident memory."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def lookup(name: str, path: str) -> str:
    """A lookup client's configuration, whose answer sets two variables."""
    return (
        f"  {name}:\n    kind: lookup\n    url: {{url}}{path}\n    timeout: 2s\n"
        "    response: {set: {VIPEX_BRANCH: route.branch, VIPEX_EXTEN: agent.extension}}\n"
    )


@contextmanager
def house(clients: str, dialplan: str, modules: Sequence[str] = ()) -> Iterator[House]:
    """Everything up: `clients` are the bridge's, with {url} the receiver's; `dialplan` is added."""

    def prepare(folder: Path) -> None:
        etc = folder / "etc"
        for name, more in (("extensions.conf", dialplan), ("manager.conf", MANAGER)):
            with (etc / name).open("a", encoding="utf-8") as file:
                file.write(more)
        with (etc / "modules.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"load => {name}.so\n" for name in modules)
        # With CDR and CEL in one SQLite file Asterisk itself drops CDR rows under load: "database is locked".
        (etc / "cel.conf").write_text("[general]\nenable = no\n", "utf-8")

    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        asterisk = stack.enter_context(Asterisk(DEFAULT_PORTS, prepare=prepare))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vipex-bench-")))
        text = CONFIGURATION.format(
            zone=asterisk.time_zone,
            ports=DEFAULT_PORTS,
            secret=SECRET,
            socket=asterisk.agi_socket,
            cdr=asterisk.cdr_database,
            state=folder,
        )
        (folder / "config.yaml").write_text(text + clients.replace("{url}", receiver.url("")), "utf-8")
        log = folder / "log"
        bridge = stack.enter_context(_bridge(folder / "config.yaml", log))
        yield House(asterisk, receiver, bridge, log)


@contextmanager
def _bridge(config: Path, log: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "vipex_bridge.cli.main", "run", "--config", str(config)]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file, stdin=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + BOOTED_WITHIN_S
            while "ami.connected" not in log.read_text("utf-8", "replace"):
                if process.poll() is not None or time.monotonic() > until:
                    raise BenchError(f"the bridge did not come up:\n{log.read_text('utf-8', 'replace')}")
                time.sleep(0.02)
            yield Process(process.pid)
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Calls:
    """So many calls on the trunk, `rate` a second; caller number `prefix` and a count from 1."""

    count: int
    rate: float
    prefix: str
    dialled: str
    rings_s: float = 0.3
    talks_s: float = 1.0
    answered_by: str | None = "252"
    """Who is rung; None: the dialplan itself answers, and hangs up."""
    within_s: float = 60.0
    """After the last call began."""

    def callers(self) -> Phone:
        """The side that calls."""
        # SIPp itself puts the count there.
        phone = caller(f"{self.prefix}[call_number]").named(self.prefix).dials(self.dialled).is_answered()
        return phone.waits_for_bye() if self.answered_by is None else phone.talks(self.talks_s).hangs_up()

    def number(self, count: int) -> str:
        """Whose call that is."""
        return f"{self.prefix}{count}"


@contextmanager
def calling(asterisk: Asterisk, calls: Calls) -> Iterator[subprocess.Popen[bytes]]:
    """The calls begin; whoever wants to know that they are over waits for the process that is given."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vipex-phones-")))
        if calls.answered_by is not None:
            called = extension(calls.answered_by).rings(calls.rings_s).answers().waits_for_bye()
            stack.enter_context(_sipp(asterisk, folder, called, "-nd"))
            time.sleep(0.3)
        wanted = ("-m", str(calls.count), "-r", f"{calls.rate:g}", "-l", "3000")
        yield stack.enter_context(_sipp(asterisk, folder, calls.callers(), *wanted))


def call(asterisk: Asterisk, calls: Calls) -> None:
    """Makes the calls, and waits until the phones have hung up. Raises BenchError when any failed."""
    with calling(asterisk, calls) as process:
        wait_for_end(process, calls)


def wait_for_end(process: subprocess.Popen[bytes], calls: Calls) -> None:
    """Raises BenchError when the calls failed, or last too long."""
    try:
        code = process.wait(calls.count / calls.rate + calls.within_s)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{calls.count} calls at {calls.rate:g}/s were not over in time") from None
    if code != 0:
        raise BenchError(f"of {calls.count} calls at {calls.rate:g}/s some failed at the phones")


@contextmanager
def _sipp(asterisk: Asterisk, folder: Path, phone: Phone, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    scenario = folder / f"{phone.where}.xml"
    # Without sound: SIPp would need more processor time than Asterisk.
    phone.steps = [step for step in phone.steps if "rtp_stream" not in step]
    scenario.write_text(phone.scenario(), "utf-8")
    address = asterisk.ports.address(phone.where)
    command = [
        "sipp", "-sf", str(scenario), "-i", address, "-p", "5060", "-mi", address, "-nostdin",
        "-key", "shown", phone.name or phone.number, *options, f"127.0.0.1:{asterisk.ports.sip}",
    ]  # fmt: skip
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


class Listening:
    """An AMI connection of the measurement's own; each event with Asterisk's time of it."""

    def __init__(self, asterisk: Asterisk) -> None:
        self.events: list[dict[str, str]] = []
        self._heard = threading.Condition()
        self._socket = socket.create_connection(("127.0.0.1", asterisk.ports.ami), timeout=10)
        self._socket.sendall(b"Action: Login\r\nUsername: bench\r\nSecret: laboratory\r\n\r\n")
        self._thread = threading.Thread(target=self._read)
        self._socket.settimeout(None)
        self._thread.start()

    def those(self, name: str, value: str, count: int) -> list[dict[str, str]]:
        """The events whose `name` is `value`, once `count` of them were told; fewer when time has passed.

        Asterisk's manager tells of a busy moment after the phones have hung up.
        """

        def found() -> list[dict[str, str]]:
            return [event for event in self.events if event.get(name) == value]

        with self._heard:
            self._heard.wait_for(lambda: len(found()) >= count, TOLD_WITHIN_S)
            return found()

    def close(self) -> None:
        """Ends the connection, as soon as Asterisk has said what it was saying."""
        # Closed for reading as well, what Asterisk still says would be answered by a reset.
        self._socket.shutdown(socket.SHUT_WR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        unread = b""
        while data := self._socket.recv(65_536):
            *blocks, unread = (unread + data).split(b"\r\n\r\n")
            with self._heard:
                for block in blocks:
                    lines = block.decode("utf-8", "replace").splitlines()
                    self.events.append(dict(line.partition(": ")[::2] for line in lines))
                self._heard.notify()


@contextmanager
def listening(asterisk: Asterisk) -> Iterator[Listening]:
    """Hears of the calls from now on."""
    heard = Listening(asterisk)
    try:
        yield heard
    finally:
        heard.close()


def percentile(values: Iterable[float], hundredth: int) -> float:
    """The 50th, the 99th. Raises BenchError when there is next to nothing to go by."""
    sample = list(values)
    if len(sample) < 2:
        raise BenchError(f"only {len(sample)} values were measured")
    return statistics.quantiles(sample, n=100, method="inclusive")[hundredth - 1]


def ms(seconds: float) -> str:
    """For a reader."""
    return f"{seconds * 1000:.2f} ms"
