"""Starts a program under the restrictions of a systemd unit, where systemd itself does not run.

    confined.py UNIT --state DIR --runtime DIR --id NAME=NUMBER ... --keep DIR ... -- PROGRAM ...

As root. First the file system, in a mount namespace of its own that `unshare` made; then setpriv and
prlimit for who it is; then, without any privilege, seccomp; then the program, all under one process id.
`DEEDS` says which directive is done by what.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from confined_calls import Filter, system_calls

Unit = Mapping[str, list[str]]

DEEDS = {
    "ExecStart": "another path to the same program",
    "User": "setpriv", "Group": "setpriv", "SupplementaryGroups": "setpriv", "NoNewPrivileges": "setpriv",
    "CapabilityBoundingSet": "setpriv", "AmbientCapabilities": "setpriv", "UMask": "umask",
    "StateDirectory": "mount", "StateDirectoryMode": "mount", "RuntimeDirectory": "mount",
    "RuntimeDirectoryMode": "mount", "ProtectSystem": "mount", "ProtectHome": "mount", "PrivateTmp": "mount",
    "PrivateDevices": "mount", "PrivateMounts": "mount", "ProtectProc": "mount", "ProcSubset": "mount",
    "ProtectKernelModules": "mount, seccomp", "ProtectKernelTunables": "mount",
    "ProtectControlGroups": "mount", "ProtectKernelLogs": "mount, seccomp",
    "ProtectHostname": "a UTS namespace, seccomp", "ProtectClock": "mount, seccomp",
    "RestrictSUIDSGID": "seccomp", "RestrictAddressFamilies": "seccomp", "RestrictNamespaces": "seccomp",
    "RestrictRealtime": "seccomp", "LockPersonality": "seccomp", "MemoryDenyWriteExecute": "seccomp",
    "SystemCallArchitectures": "seccomp", "SystemCallFilter": "seccomp", "SystemCallErrorNumber": "seccomp",
    "TasksMax": "prlimit (of the user, not of the service)",
    "LimitNOFILE": "prlimit",
}  # fmt: skip
"""Directives that are applied, and by what."""

LEFT_OUT = {
    "Type": "systemd's", "NotifyAccess": "systemd's", "ExecReload": "systemd's", "Restart": "systemd's",
    "RestartSec": "systemd's", "WatchdogSec": "systemd's", "TimeoutStopSec": "systemd's",
    "RemoveIPC": "done by systemd after the end", "KeyringMode": "done by systemd at login",
    "MemoryMax": "needs a control group",
}  # fmt: skip
"""Directives that need systemd itself, or control groups."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_STAGE = Path("/mnt")
PRIVATE = ("/tmp", "/var/tmp")
SHARED_MEMORY = "/dev/shm"


def read_unit(path: Path) -> Unit:
    """The directives of `[Service]`, each with its values in order; an empty one resets."""
    service = path.read_text("utf-8").partition("[Service]\n")[2].partition("\n[")[0]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"(?m)^(\w+)=(.*)$", service):
        found.setdefault(name, []).append(value.strip())
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("unit", type=Path)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--id", action="append", default=[], help="NAME=NUMBER of a user or group")
    parser.add_argument("--keep", action="append", default=[], type=Path, help="stays to be read")
    parser.add_argument("--last", action="store_true", help="all but seccomp is done")
    parser.add_argument("program", nargs="+")
    arguments = parser.parse_args()
    unit = read_unit(arguments.unit)
    if not arguments.last:
        numbers = {name: int(number) for name, _, number in (pair.partition("=") for pair in arguments.id)}
        _settle(unit, arguments.state, arguments.runtime, numbers, arguments.keep)
        again = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]]
        again.insert(2, "--last")
        os.execvp("prlimit", [*_limits(unit), *_identity(unit, numbers), *again])
    os.umask(int(unit["UMask"][-1], 8))
    for make in _filters(unit):
        make().load()
    os.execvp(arguments.program[0], arguments.program)


def _identity(unit: Unit, numbers: Mapping[str, int]) -> list[str]:
    groups = ",".join(str(numbers[name]) for name in unit["SupplementaryGroups"][-1].split())
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == [""]
    assert unit["NoNewPrivileges"] == ["yes"]
    return [
        "setpriv", f"--reuid={numbers[unit['User'][-1]]}", f"--regid={numbers[unit['Group'][-1]]}",
        f"--groups={groups}", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
        "--ambient-caps=-all",
    ]  # fmt: skip


def _limits(unit: Unit) -> list[str]:
    return ["prlimit", f"--nproc={unit['TasksMax'][-1]}", f"--nofile={unit['LimitNOFILE'][-1]}"]


def _settle(unit: Unit, state: Path, runtime: Path, numbers: Mapping[str, int], keep: list[Path]) -> None:
    """The file system as the service sees it."""
    os.umask(0o022)
    for folder, mode in ((state, unit["StateDirectoryMode"]), (runtime, unit["RuntimeDirectoryMode"])):
        folder.mkdir(exist_ok=True)
        os.chown(folder, numbers[unit["User"][-1]], numbers[unit["Group"][-1]])
        folder.chmod(int(mode[-1], 8))
    assert unit["PrivateTmp"] == unit["ProtectHome"] == unit["PrivateDevices"] == ["yes"]
    kept = [path.resolve() for path in [*keep, state, runtime]]
    for hidden in ("/root", "/home", "/run/user", "/usr/lib/modules"):
        if Path(hidden).exists():
            _hide(Path(hidden), kept, "mode=755,size=1m")
    for private in PRIVATE:
        _hide(Path(private), kept, "mode=1777")
    _own_devices()
    assert (unit["ProtectProc"], unit["ProcSubset"]) == (["invisible"], ["pid"])
    _mount("-t", "proc", "-o", "nosuid,nodev,noexec,hidepid=invisible,subset=pid", "proc", "/proc")
    assert unit["ProtectSystem"] == ["strict"]
    for writable in (state, runtime):
        _mount("--bind", str(writable), str(writable))
    free = {str(path.resolve()) for path in (state, runtime)} | {*PRIVATE, SHARED_MEMORY, "/proc"}
    for place in _mounted():
        if place not in free:
            _mount("-o", "remount,bind,ro", place)


def _hide(folder: Path, kept: Iterable[Path], options: str) -> None:
    """An empty folder in its place, but for what is kept of it."""
    _mount("-t", "tmpfs", "-o", f"nosuid,nodev,{options}", "tmpfs", str(_STAGE))
    for path in sorted({path for path in kept if path.is_relative_to(folder)}):
        inside = _STAGE / path.relative_to(folder)
        if not inside.exists():
            inside.mkdir(parents=True)
            _mount("--bind", str(path), str(inside))
    _mount("--move", str(_STAGE), str(folder))


def _own_devices() -> None:
    _mount("-t", "tmpfs", "-o", "nosuid,noexec,mode=755,size=1m", "tmpfs", str(_STAGE))
    for name in _DEVICES:
        (_STAGE / name).touch()
        _mount("--bind", f"/dev/{name}", str(_STAGE / name))
    (_STAGE / "shm").mkdir()
    _mount("-t", "tmpfs", "-o", "nosuid,nodev,mode=1777", "tmpfs", str(_STAGE / "shm"))
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (_STAGE / name).symlink_to(f"/proc/self/{target}")
    subprocess.run(["umount", "--recursive", "--lazy", "/dev"], check=True)
    _mount("--move", str(_STAGE), "/dev")


def _mounted() -> list[str]:
    """Every mount that can be seen, outermost first."""
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    plain = [place.encode().decode("unicode_escape") for place in places]
    return sorted({place for place in plain if Path(place).exists()})


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", "--no-mtab", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def _filters(unit: Unit) -> list[Callable[[], Filter]]:
    """The system calls' filters; the list of what is allowed comes last, as it forbids more of them."""
    for name in ("RestrictSUIDSGID", "RestrictNamespaces", "RestrictRealtime", "LockPersonality"):
        assert unit[name] == ["yes"]
    assert unit["MemoryDenyWriteExecute"] == ["yes"]
    assert (unit["SystemCallArchitectures"], unit["SystemCallErrorNumber"]) == (["native"], ["EPERM"])
    families = unit["RestrictAddressFamilies"][-1].split()
    allowed = system_calls(unit["SystemCallFilter"])
    return [
        lambda: Filter.address_families(families),
        Filter.write_or_execute,
        Filter.no_suid,
        Filter.no_namespaces,
        Filter.one_personality,
        lambda: Filter.only(allowed),
    ]


if __name__ == "__main__":
    for tool in ("setpriv", "prlimit", "systemd-analyze"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed: run tests/pbx/setup.sh")
    main()
