"""Filters of system calls as systemd sets them, by the libseccomp that it brings along."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
from collections.abc import Collection, Iterable, Sequence
from typing import Self

_ALLOW = 0x7FFF0000
_NE, _GT, _MASKED = 1, 6, 7
_WRITE, _EXECUTE = 2, 4
_SHARED_EXECUTE = 0o100000
_MOST_FAMILIES = 64
_S_ISUID, _S_ISGID = 0o4000, 0o2000
_SPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEW*: mnt, cgroup, uts, ipc, user, pid, net."""


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class Filter:
    """One filter of system calls, in force from `load` on, and for whatever is executed then."""

    def __init__(self, otherwise: int = _ALLOW) -> None:
        self._lib = ctypes.CDLL("libseccomp.so.2")
        self._lib.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._lib.seccomp_init(ctypes.c_uint32(otherwise)))

    @classmethod
    def only(cls, names: Collection[str]) -> Self:
        """Nothing but these calls; the others fail with EPERM."""
        made = cls(_refused(errno.EPERM))
        for name in sorted(names):
            made._rule(_ALLOW, name)
        return made

    @classmethod
    def address_families(cls, names: Iterable[str]) -> Self:
        """Sockets of these families alone."""
        made = cls()
        kept = {int(getattr(socket, name)) for name in names}
        refused = _refused(errno.EAFNOSUPPORT)
        for family in set(range(_MOST_FAMILIES)) - kept:
            made._rule(refused, "socket", (0, 4, family, 0))
        made._rule(refused, "socket", (0, _GT, _MOST_FAMILIES - 1, 0))
        return made

    @classmethod
    def write_or_execute(cls) -> Self:
        """No memory that can be written and executed, and none that becomes executable."""
        made = cls()
        both = _WRITE | _EXECUTE
        made._rule(_refused(errno.EPERM), "mmap", (2, _MASKED, both, both))
        for name in ("mprotect", "pkey_mprotect"):
            made._rule(_refused(errno.EPERM), name, (2, _MASKED, _EXECUTE, _EXECUTE))
        made._rule(_refused(errno.EPERM), "shmat", (2, _MASKED, _SHARED_EXECUTE, _SHARED_EXECUTE))
        return made

    @classmethod
    def no_suid(cls) -> Self:
        """No file that runs as its owner or group."""
        made = cls()
        places = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2}
        for name, place in {**places, "creat": 1, "open": 2, "openat": 3}.items():
            for bit in (_S_ISUID, _S_ISGID):
                made._rule(_refused(errno.EPERM), name, (place, _MASKED, bit, bit))
        made._rule(_refused(errno.ENOSYS), "openat2")
        return made

    @classmethod
    def no_namespaces(cls) -> Self:
        """No namespace is made or entered; clone3 hides its flags, and its callers fall back to clone."""
        made = cls()
        for space in _SPACES:
            made._rule(_refused(errno.EPERM), "unshare", (0, _MASKED, space, space))
            made._rule(_refused(errno.EPERM), "clone", (0, _MASKED, space, space))
        made._rule(_refused(errno.EPERM), "setns")
        made._rule(_refused(errno.ENOSYS), "clone3")
        return made

    @classmethod
    def one_personality(cls) -> Self:
        """The machine's own behaviour and no other one's."""
        made = cls()
        made._rule(_refused(errno.EPERM), "personality", (0, _NE, 0, 0))
        return made

    def load(self) -> None:
        """Puts it in force for this process; needs no privilege once there can be no new ones."""
        _well(self._lib.seccomp_load(self._context), "seccomp_load")

    def _rule(self, action: int, name: str, comparison: tuple[int, int, int, int] | None = None) -> None:
        number = self._lib.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            return
        compared = (_Comparison * 1)(_Comparison(*comparison)) if comparison is not None else None
        count = 1 if comparison is not None else 0
        done = self._lib.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, ctypes.c_uint(count), compared
        )
        _well(done, name)


def system_calls(lines: Sequence[str]) -> set[str]:
    """What lines of `SystemCallFilter=` come to; the first one lists what is allowed."""
    kept = _members(("@default", "execve"))
    for line in lines:
        if line.startswith("~"):
            kept -= _members(line[1:].split())
        else:
            kept |= _members(line.split())
    return kept


def _members(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        if name.startswith("@"):
            listed = subprocess.run(
                ["systemd-analyze", "--no-pager", "syscall-filter", name],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            lines = [line.strip() for line in listed.splitlines() if line.startswith("    ")]
            found |= _members(line for line in lines if not line.startswith("#"))
        else:
            found.add(name)
    return found


def _refused(number: int) -> int:
    return 0x00050000 | number


def _well(done: int, what: str) -> None:
    if done < 0:
        raise OSError(-done, os.strerror(-done), what)
