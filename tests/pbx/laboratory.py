"""A real Asterisk on loopback, with the shipped configuration, started in under a second.

The machine's own Asterisk serves if it has one; else the root that `setup.sh` made, entered by chroot.
Phones are told apart by their address on 127.0.0.0/8, so nothing registers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "etc" / "asterisk"
SCRIPTS = HERE.parents[1] / "agi"
ROOT = Path(os.environ.get("VIPEX_LAB_ROOT", "/var/lib/vipex-lab/asterisk"))
OLD_ROOT = Path(os.environ.get("VIPEX_LAB_OLD_ROOT", "/var/lib/vipex-lab/asterisk16"))
"""Where `setup.sh` made an Asterisk 16."""
SECRET = "laboratory"
TIME_ZONE = "Europe/Budapest"

HOSTS = {"trunk": 2, "trunk2": 3, "200": 20, "221": 21, "251": 51, "252": 52, "1102": 102}
"""Who is who by the last part of the address: two trunks, five extensions."""
OTHERS = {"trunk3": 4, "trunk4": 5, "trunk5": 6, "701": 71} | {
    str(number): number for number in range(201, 250) if str(number) not in HOSTS
}
"""Addresses of those that only a laboratory with more trunks and telephones has."""


class LaboratoryError(RuntimeError):
    """The laboratory could not do what it should; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where things listen on 127.0.0.1, and the phones' own network; SIPp's media ports follow from `media`.

    Two laboratories at once need different numbers throughout.
    """

    sip: int = 5060
    ami: int = 5038
    agi: int = 4573
    rtp: int = 10_000
    media: int = 20_000
    phones: str = "127.0.0"

    def address(self, name: str) -> str:
        """Where a phone of `HOSTS` or `OTHERS` is."""
        return f"{self.phones}.{(HOSTS | OTHERS)[name]}"


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_OFFSET = int(os.environ.get("VIPEX_LAB_PORT_OFFSET", "0")) + 250 * _WORKER
DEFAULT_PORTS = Ports(
    sip=5060 + _OFFSET,
    ami=5038 + _OFFSET,
    agi=4573 + _OFFSET,
    rtp=10_000 + 10 * _OFFSET,
    phones=f"127.{_OFFSET // 256}.{_OFFSET % 256}",
)
"""Shifted by VIPEX_LAB_PORT_OFFSET (to 500) and by pytest's worker: laboratories run beside each other."""


SECOND_PORTS = Ports(
    sip=DEFAULT_PORTS.sip + 120,
    ami=DEFAULT_PORTS.ami + 120,
    agi=DEFAULT_PORTS.agi + 120,
    rtp=DEFAULT_PORTS.rtp + 1_200,
    phones=f"127.{100 + _OFFSET // 256}.{_OFFSET % 256}",
)
"""For a second laboratory of the same worker."""

THIRD_PORTS = Ports(
    sip=DEFAULT_PORTS.sip + 60,
    ami=DEFAULT_PORTS.ami + 60,
    agi=DEFAULT_PORTS.agi + 60,
    rtp=DEFAULT_PORTS.rtp + 600,
    phones=f"127.{200 + _OFFSET // 256}.{_OFFSET % 256}",
)
"""For a third."""

FOURTH_PORTS = Ports(
    sip=DEFAULT_PORTS.sip + 180,
    ami=DEFAULT_PORTS.ami + 180,
    agi=DEFAULT_PORTS.agi + 180,
    rtp=DEFAULT_PORTS.rtp + 1_800,
    phones=f"127.{150 + _OFFSET // 256}.{_OFFSET % 256}",
)
"""For a fourth."""


class Asterisk:
    """One running Asterisk; a context manager. `runs_as`: its user and group, by number; default: root.

    `prepare` may change its files, below the folder that it is given, before it boots.
    """

    def __init__(
        self,
        ports: Ports = DEFAULT_PORTS,
        runs_as: tuple[int, int] | None = None,
        prepare: Callable[[Path], None] = lambda folder: None,
        root: Path | None = None,
    ) -> None:
        """`root`: where another Asterisk is than the usual one."""
        self.ports = ports
        self._prepare = prepare
        self._runs_as = runs_as
        self._own = shutil.which("asterisk") if root is None else None
        self.root = root or (Path("/") if self._own else ROOT)
        if not self._own and not (self.root / "usr/sbin/asterisk").exists():
            raise LaboratoryError(f"there is no Asterisk in {self.root}: run tests/pbx/setup.sh")
        self._base = (
            f"/lab-{ports.sip}" if not self._own else f"{tempfile.gettempdir()}/vipex-lab-{ports.sip}"
        )
        self.folder = self.root / self._base.lstrip("/")
        self._process: subprocess.Popen[bytes] | None = None
        self._claim: int | None = None

    @property
    def time_zone(self) -> str:
        """Of the times in CDR and CEL."""
        return (
            str(Path("/etc/localtime").resolve().relative_to("/usr/share/zoneinfo"))
            if self._own
            else TIME_ZONE
        )

    @property
    def cdr_database(self) -> Path:
        """The database of `cdr_sqlite3_custom`."""
        return self.folder / "log/master.db"

    @property
    def main_file(self) -> str:
        """Its asterisk.conf, as it sees it."""
        return f"{self._base}/etc/asterisk.conf"

    @property
    def agi_socket(self) -> Path:
        """Where the scripts in `agi-bin` look for the bridge, as this machine sees it."""
        return self.folder / "run/agi.sock"

    @property
    def recordings(self) -> Path:
        """The folder of the recordings, as this machine sees it."""
        return self.folder / "spool/monitor"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, anew: bool = True) -> None:
        """Boots it; `anew` forgets what an earlier run wrote.

        Raises `LaboratoryError` when another laboratory has these ports, or Asterisk does not boot.
        """
        self._claim_ports()
        if anew:
            self._end_leftover()
            shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("etc", "run", "log", "spool/monitor", "db/keys", "agi-bin"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        self._prepare(self.folder)
        if not self._own:
            self._set_time_zone()
            self._mount_proc()
        with (self.folder / "log/console").open("wb") as console:
            self._process = subprocess.Popen(
                self._started(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    "TZ": f"{self._base}/etc/zone",
                    "ODBCINI": f"{self._base}/etc/odbc.ini",
                    "VIPEX_AGI_SOCKET": f"{self._base}/run/agi.sock",
                },
            )
        (self.folder / "pid").write_text(str(self._process.pid))
        for _ in range(400):
            if "fully booted" in self.cli("core waitfullybooted"):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.025)
        raise LaboratoryError(f"Asterisk did not boot: see {self.folder}/log/console and log/messages")

    def stop(self) -> None:
        """Ends it as `core stop now` would."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._give_up_ports()

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._give_up_ports()

    def cli(self, command: str) -> str:
        """What Asterisk's console answers to a command."""
        done = subprocess.run(self._command("-rx", command), capture_output=True, text=True, check=False)
        return done.stdout

    def originate(self, channel: str, exten: str, **headers: str) -> None:
        """Click to call: rings `channel`, then has it dial `exten`, as a CRM's button does.

        Raises `LaboratoryError` when Asterisk refuses.
        """
        wanted = {
            "Action": "Originate", "Channel": channel, "Context": "from-internal", "Exten": exten,
            "Priority": "1", "Async": "true", "Timeout": "30000", **headers,
        }  # fmt: skip
        login = {"Action": "Login", "Username": "laboratory", "Secret": SECRET, "Events": "off"}
        said = ""
        with socket.create_connection(("127.0.0.1", self.ports.ami), timeout=5) as connection:
            for action in (login, wanted):
                text = "".join(f"{name}: {value}\r\n" for name, value in action.items())
                connection.sendall(f"{text}\r\n".encode())
            while said.count("Response: ") < 2:
                data = connection.recv(4096)
                if not data:
                    break
                said += data.decode("utf-8", "replace")
        if said.count("Response: Success") < 2:
            raise LaboratoryError(f"Originate was refused: {said}")

    def messages(self) -> str:
        """Its log: notices, warnings, errors."""
        return (self.folder / "log/messages").read_text("utf-8", "replace")

    def cdr_rows(self) -> list[dict[str, Any]]:
        """All rows of the CDR table."""
        with sqlite3.connect(f"file:{self.cdr_database}?mode=ro", uri=True, timeout=5) as connection:
            connection.row_factory = sqlite3.Row
            rows = [dict(row) for row in connection.execute("SELECT * FROM cdr ORDER BY AcctId")]
        connection.close()
        return rows

    def _command(self, *arguments: str) -> list[str]:
        asterisk = [self._own or "/usr/sbin/asterisk", "-C", f"{self._base}/etc/asterisk.conf", *arguments]
        return asterisk if self._own else ["chroot", str(self.root), *asterisk]

    def _started(self) -> list[str]:
        """The command that starts it, as its own user if it has one, to whom its folder belongs then."""
        if self._runs_as is None:
            return self._command("-f")
        user, group = self._runs_as
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, user, group)
        asterisk = self._command("-f") if self.root != Path("/") else ["chroot", "/", *self._command("-f")]
        return [asterisk[0], f"--userspec=+{user}:+{group}", "--groups=", *asterisk[1:]]

    def _claim_ports(self) -> None:
        """By a lock, which ends with whoever holds it. Raises `LaboratoryError` when another does."""
        lock = Path(tempfile.gettempdir(), f"vipex-lab-{self.ports.sip}.lock")
        claim = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claim)
            raise LaboratoryError(
                f"another laboratory uses these ports (SIP {self.ports.sip}): give it Ports of its own, "
                "or set VIPEX_LAB_PORT_OFFSET"
            ) from None
        self._claim = claim

    def _give_up_ports(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _end_leftover(self) -> None:
        """Ends an Asterisk that a run which died left behind, known by its pid file and its folder."""
        try:
            pid = int((self.folder / "pid").read_text())
            is_ours = f"{self._base}/etc/asterisk.conf" in Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError):
            return
        if is_ours:
            os.kill(pid, signal.SIGKILL)

    def _write_configuration(self) -> None:
        etc = self.folder / "etc"
        values = {
            "@AMI@": str(self.ports.ami), "@AGI@": str(self.ports.agi), "@RTP@": str(self.ports.rtp),
            "@RTP_END@": str(self.ports.rtp + 2_000),
        }  # fmt: skip
        for source in (HERE / "etc").iterdir():
            text = source.read_text("utf-8")
            for token, value in values.items():
                text = text.replace(token, value)
            if self._is_old() and source.name == "extensions.conf":
                # Up to Asterisk 20, Queue() takes a macro before the gosub.
                text = text.replace(",,vipex-record)", ",,,vipex-record)")
            (etc / source.name).write_text(text, "utf-8")
        for name in ("cdr.conf", "cdr_sqlite3_custom.conf", "cel.conf", "cel_sqlite3_custom.conf"):
            shutil.copy(SHIPPED / name, etc)
        shutil.copy(SHIPPED / "extensions_vipex.conf", etc)
        (etc / "manager.d").mkdir(exist_ok=True)
        user = (SHIPPED / "manager.d/vipex.conf").read_text("utf-8")
        (etc / "manager.d/vipex.conf").write_text(user.replace("change-me", SECRET), "utf-8")
        self._install_scripts()
        (etc / "asterisk.conf").write_text(self._asterisk_conf(), "utf-8")
        (etc / "modules.conf").write_text(self._modules_conf(), "utf-8")
        (etc / "pjsip.conf").write_text(_pjsip_conf(self.ports), "utf-8")

    def _mount_proc(self) -> None:
        """Once, by whoever comes first: other laboratories are in the same root."""
        with (self.root / "etc/mounting.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not (self.root / "proc/self").exists():
                subprocess.run(["mount", "-t", "proc", "proc", str(self.root / "proc")], check=True)

    def _set_time_zone(self) -> None:
        """A bare root has no zone files, and Asterisk goes by /etc/localtime alone."""
        zone = resources.files("tzdata").joinpath("zoneinfo", TIME_ZONE).read_bytes()
        new = self.root / f"etc/localtime.{self.ports.sip}"
        new.write_bytes(zone)
        new.replace(self.root / "etc/localtime")

    def _install_scripts(self) -> None:
        """The scripts as their own docstring says, with pyst2 beside them: the root has no environment."""
        agi_bin = self.folder / "agi-bin"
        for name in ("vipex-lookup", "vipex-notify", "vipex_agi.py"):
            text = (SCRIPTS / name).read_text("utf-8")
            first, _, rest = text.partition("\n")
            (agi_bin / name).write_text(
                "#!/usr/bin/python3\n" + rest if first.startswith("#!") else text, "utf-8"
            )
            (agi_bin / name).chmod(0o755)
        for package in ("asterisk", "six"):
            found = find_spec(package)
            if found is None or found.origin is None:
                raise LaboratoryError(f"{package} is not installed: run tests/pbx/setup.sh")
            origin = Path(found.origin)
            if origin.name == "__init__.py":
                shutil.copytree(origin.parent, agi_bin / package, dirs_exist_ok=True)
            else:
                shutil.copy(origin, agi_bin)

    def _is_old(self) -> bool:
        """Whether it still has macros."""
        return (self.root / self._module_folder().lstrip("/") / "app_macro.so").exists()

    def _module_folder(self) -> str:
        for folder in ("usr/lib/x86_64-linux-gnu/asterisk/modules", "usr/lib/asterisk/modules"):
            if (self.root / folder / "chan_pjsip.so").exists():
                return f"/{folder}"
        found = next((self.root / "usr/lib").glob("*/asterisk/modules/chan_pjsip.so"), None)
        if found is None:
            raise LaboratoryError("this Asterisk has no chan_pjsip")
        return "/" + str(found.parent.relative_to(self.root))

    def _asterisk_conf(self) -> str:
        folders = {
            "astetcdir": "etc", "astvarlibdir": "db", "astdbdir": "db", "astkeydir": "db",
            "astspooldir": "spool", "astrundir": "run", "astlogdir": "log", "astagidir": "agi-bin",
        }  # fmt: skip
        lines = [f"{name} => {self._base}/{folder}" for name, folder in folders.items()]
        return "\n".join(
            ["[directories]", *lines, f"astmoddir => {self._module_folder()}",
             "astdatadir => /usr/share/asterisk", "[options]", "documentation_language = en_US", ""]
        )  # fmt: skip

    def _modules_conf(self) -> str:
        here = {path.name for path in (self.root / self._module_folder().lstrip("/")).glob("*.so")}
        wanted = (HERE / "modules.txt").read_text("utf-8").split()
        lines = [f"load => {name}.so" for name in wanted if f"{name}.so" in here]
        if "res_cdrel_custom.so" in here:
            lines.insert(0, "preload => res_cdrel_custom.so")
        return "\n".join(["[modules]", "autoload = no", *lines, ""])


def _pjsip_conf(ports: Ports) -> str:
    parts = [
        # Else a busy machine's Asterisk passes over a new call without a word.
        "[global]\ntype = global\nendpoint_identifier_order = ip\ntaskprocessor_overload_trigger = none\n",
        f"[udp]\ntype = transport\nprotocol = udp\nbind = 127.0.0.1:{ports.sip}\n",
    ]
    return "\n".join([*parts, *(endpoint_conf(ports, name) for name in HOSTS)])


def endpoint_conf(ports: Ports, name: str, group: int = 1) -> str:
    """The sections of pjsip.conf for a trunk or a telephone, whose group may take each other's calls."""
    address = ports.address(name)
    is_trunk = name.startswith("trunk")
    own = "context = from-trunk" if is_trunk else (
        f'context = from-internal\ncallerid = "Ext {name}" <{name}>\n'
        f"call_group = {group}\npickup_group = {group}"
    )  # fmt: skip
    user = "" if is_trunk else f"{name}@"
    return (
        f"[{name}]\ntype = endpoint\ntransport = udp\ndisallow = all\nallow = ulaw\ndirect_media = no\n"
        f"dtmf_mode = info\ntimers = no\nsend_pai = no\nsend_connected_line = no\naors = {name}\n"
        f"media_address = 127.0.0.1\nbind_rtp_to_media_address = yes\n{own}\n"
        f"[{name}]\ntype = aor\ncontact = sip:{user}{address}:5060\nqualify_frequency = 0\n"
        f"[{name}]\ntype = identify\nendpoint = {name}\nmatch = {address}\n"
    )
