"""The bridge as the shipped unit restricts it, with a real call: everything it must do still works.

The machine has no systemd to start it, so `confined.py` applies the unit's directives by mount namespace,
setpriv, prlimit and seccomp:

- applied: User, Group, SupplementaryGroups (numbers of their own), UMask, NoNewPrivileges,
  CapabilityBoundingSet, AmbientCapabilities, StateDirectory, RuntimeDirectory and their modes,
  ProtectSystem, ProtectHome, PrivateTmp, PrivateDevices, PrivateMounts, ProtectProc, ProcSubset,
  ProtectKernelTunables, ProtectKernelModules, ProtectKernelLogs, ProtectControlGroups, ProtectClock,
  ProtectHostname, RestrictSUIDSGID, RestrictAddressFamilies, RestrictNamespaces, RestrictRealtime,
  LockPersonality, MemoryDenyWriteExecute, SystemCallArchitectures, SystemCallFilter,
  SystemCallErrorNumber, LimitNOFILE, and TasksMax as a limit of the user's processes;
- Asterisk runs as a user and group of its own as well, and leaves what it writes readable to its group;
- not applied, as systemd itself or a control group would be needed: MemoryMax, KeyringMode, RemoveIPC,
  Type, NotifyAccess, WatchdogSec, Restart and the like.

The two folders that systemd would make in /var/lib and /run are made elsewhere, and the program, its
configuration and its interpreter may lie where the unit hides everything else (/tmp, /root).
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from confined import DEEDS, LEFT_OUT, PRIVATE, SHARED_MEMORY, read_unit
from house import House
from laboratory import SECOND_PORTS
from phones import caller, extension
from played import check_arithmetic, played

pytestmark = pytest.mark.pbx

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
UNIT = CHECKOUT / "systemd/vipex-bridge.service"
USER, PBX, ASTERISK, STRANGER = 60_101, 60_102, 60_103, 60_104
"""Numbers that no account has: the bridge's user and group, Asterisk's user, Asterisk's group, neither."""
CALLER = "3642999425"

PROBE = """
import ctypes, errno, json, mmap, os, socket, sys

def tried(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def writes(path):
    def what():
        with open(path, "a") as file:
            file.write("x")
    return what

def calls(name, *arguments):
    def what():
        libc = ctypes.CDLL(None, use_errno=True)
        if getattr(libc, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)
    return what

paths = json.loads(sys.argv[1])
said = {name: tried(writes(path)) for name, path in paths.items()}
said["packet socket"] = tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
said["netlink socket"] = tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
said["unix socket"] = tried(lambda: socket.socket(socket.AF_UNIX).close())
said["namespace"] = tried(calls("unshare", 0x10000000))
said["mount"] = tried(calls("mount", b"none", b"/tmp", b"tmpfs", 0, None))
said["host name"] = tried(calls("sethostname", b"x", 1))
said["personality"] = tried(calls("personality", 0x0040000))
said["code of its own"] = tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC))
said["root again"] = tried(lambda: os.setuid(0))
said["suid file"] = tried(lambda: os.chmod(paths["state"], 0o4755))
said["priority"] = tried(lambda: os.setpriority(os.PRIO_PROCESS, 0, 5))
said["processes"] = sorted(
    name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()
)
said["homes"] = sorted(os.listdir("/home"))
print(json.dumps(said))
"""


def launcher(house: House) -> list[str]:
    """What Asterisk writes is closed to all but its group; then how to start the bridge."""
    asterisk = house.asterisk
    asterisk.folder.chmod(0o755)
    for folder in (asterisk.folder / "log", asterisk.folder / "spool", asterisk.recordings):
        folder.chmod(0o2750)
    asterisk.cdr_database.chmod(0o640)
    house.bridge.folder.chmod(0o755)
    for file in house.bridge.folder.glob("*.*"):
        os.chown(file, 0, USER)
        file.chmod(0o640)
    keep = [CHECKOUT, Path(sys.prefix), Path(sysconfig.get_config_var("prefix")), house.bridge.folder]
    return [
        "unshare", "--mount", "--uts", "--propagation", "private", "--",
        sys.executable, str(HERE / "confined.py"), str(UNIT),
        "--state", str(house.bridge.folder / "state"), "--runtime", str(house.asterisk.agi_socket.parent),
        *(f"--id={name}={number}" for name, number in
          (("vipex-bridge", USER), ("asterisk", ASTERISK))),
        *(f"--keep={path}" for path in keep), "--",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def confined() -> Iterator[House]:
    """The whole house, its bridge restricted and its Asterisk's files closed to others."""
    before = os.umask(0o027)
    try:
        with House(SECOND_PORTS, launched_by=launcher, asterisk_runs_as=(PBX, ASTERISK)) as running:
            yield running
    finally:
        os.umask(before)


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_every_directive_is_accounted_for() -> None:
    assert set(read_unit(UNIT)) == set(DEEDS) | set(LEFT_OUT)


def test_a_recorded_call_is_told_in_full(confined: House) -> None:
    call = played(
        confined,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999415").is_answered().talks(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("answer", "251"), ("hangup", None)]
    assert any(request.path == "/route" for request in call.requests)
    assert (document["exten"], document["direction"], document["billsec"]) == ("251", 1, 2)
    assert base64.b64decode(document["monitor_file"]).startswith(b"RIFF")
    [recording] = confined.asterisk.recordings.rglob(document["monitor_file_name"])
    for file in (recording, confined.asterisk.cdr_database):
        found = file.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, PBX, ASTERISK), file


def test_lookup_and_notification_through_its_unix_socket(confined: House) -> None:
    socket = confined.asterisk.agi_socket
    assert (stat.S_IMODE(socket.stat().st_mode), socket.stat().st_gid) == (0o660, ASTERISK)
    call = played(
        confined,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999418").is_answered().talks(1).hangs_up(),
        ],
    )
    assert confined.asterisk.cdr_rows()[-1]["userfield"] == "OK 251"
    [told] = [request for request in call.requests if request.path == "/menu"]
    assert dict(told.query)["point"] == "script"


@pytest.mark.parametrize(("user", "group", "may"), [(PBX, ASTERISK, True), (STRANGER, STRANGER, False)])
def test_the_socket_is_for_asterisks_user_alone(confined: House, user: int, group: int, may: bool) -> None:
    words = ["test", "-w", str(confined.asterisk.agi_socket)]
    done = subprocess.run(words, user=user, group=group, extra_groups=[], check=False)
    assert done.returncode == (0 if may else 1)


def test_it_has_no_privilege(confined: House) -> None:
    said = status(confined.bridge.pid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(said[name], 16) == 0, name
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")
    assert said["Uid"].split() == [str(USER)] * 4
    assert said["Gid"].split() == [str(ASTERISK)] * 4
    assert sorted(said["Groups"].split()) == [str(USER), str(ASTERISK)]
    assert said["Umask"] == "0077"
    limits = Path(f"/proc/{confined.bridge.pid}/limits").read_text()
    most = read_unit(UNIT)["LimitNOFILE"][-1]
    assert re.search(rf"(?m)^Max open files +{most} +{most} ", limits), limits


def test_it_sees_nothing_to_write_to_but_its_own(confined: House) -> None:
    mounts = Path(f"/proc/{confined.bridge.pid}/mountinfo").read_text().splitlines()
    writable = {line.split()[4] for line in mounts if "rw" in line.split()[5].split(",")}
    own = {str(confined.bridge.folder / "state"), str(confined.asterisk.agi_socket.parent)}
    assert own <= writable
    assert writable - own <= {*PRIVATE, SHARED_MEMORY, "/proc"}
    state = confined.bridge.folder / "state/state.db"
    assert (stat.S_IMODE(state.stat().st_mode), state.stat().st_uid) == (0o600, USER)


def test_what_it_must_not_do_is_refused_from_inside(confined: House) -> None:
    asterisk = confined.asterisk
    [recording, *_] = [path for path in asterisk.recordings.rglob("*") if path.is_file()]
    temporary = Path(PRIVATE[0], "vipex-probe")
    paths = {
        "cdr": asterisk.cdr_database, "recording": recording, "asterisk": asterisk.folder / "etc/x",
        "etc": Path("/etc/x"), "program": CHECKOUT / "vipex_bridge/x",
        "configuration": confined.bridge.config,
        "var": Path("/var/lib/x"), "sys": Path("/sys/kernel/x"), "dev": Path("/dev/x"),
        "state": confined.bridge.folder / "state/probe", "runtime": asterisk.agi_socket.parent / "probe",
        "temporary": temporary,
    }  # fmt: skip
    words = [*launcher(confined), sys.executable, "-c", PROBE]
    words.append(json.dumps({name: str(path) for name, path in paths.items()}))
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert not temporary.exists(), "its /tmp is its own"
    written = {name for name in paths if said[name] == "done"}
    assert written == {"state", "runtime", "temporary"}
    assert {name: said[name] for name in said if name not in paths} == {
        "packet socket": "EAFNOSUPPORT", "netlink socket": "EAFNOSUPPORT", "unix socket": "done",
        "namespace": "EPERM", "mount": "EPERM", "host name": "EPERM", "personality": "EPERM",
        "code of its own": "EPERM", "root again": "EPERM", "suid file": "EPERM", "priority": "EPERM",
        "processes": [str(confined.bridge.pid)], "homes": [],
    }  # fmt: skip
