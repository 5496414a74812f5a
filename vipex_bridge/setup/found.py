"""What Asterisk there is, by what its files say. Pure: files are asked for through `Files` and `Machine`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from vipex_bridge.errors import BridgeError
from vipex_bridge.setup.conf import Category, Conf, Files, is_true, read

ASTERISK_CONF = "/etc/asterisk/asterisk.conf"
OLDEST, NEWEST = 16, 22
"""The versions of Asterisk that the bridge is made for."""

_FOLDERS = {
    "astetcdir": "/etc/asterisk",
    "astmoddir": "/usr/lib/asterisk/modules",
    "astvarlibdir": "/var/lib/asterisk",
    "astspooldir": "/var/spool/asterisk",
    "astlogdir": "/var/log/asterisk",
}
"""Asterisk's own defaults, where asterisk.conf is silent."""

AMI_USER = "manager.d/vipex.conf"
OURS = re.compile(r"vipex_\w+\.conf|extensions_vipex\.conf|manager\.d/vipex\.conf")
"""Our own files in Asterisk's folder, beside those that are shipped under Asterisk's own names."""

READ = (
    "manager.conf", "extensions.conf", "modules.conf", "cdr.conf", "cel.conf", "cdr_sqlite3_custom.conf",
    "cel_sqlite3_custom.conf", "pjsip.conf", "sip.conf",
)  # fmt: skip
"""The files that are looked at, beside those of the back ends."""

_BACK_ENDS: Mapping[str, tuple[str, str | None, str | None]] = {
    "cdr_csv": ("cdr.conf", "csv", None),
    "cdr_custom": ("cdr_custom.conf", "mappings", None),
    "cdr_manager": ("cdr_manager.conf", "general", "enabled"),
    "cdr_sqlite3_custom": ("cdr_sqlite3_custom.conf", None, None),
    "cdr_adaptive_odbc": ("cdr_adaptive_odbc.conf", None, None),
    "cdr_odbc": ("cdr_odbc.conf", "global", None),
    "cdr_mysql": ("cdr_mysql.conf", "global", None),
    "cdr_pgsql": ("cdr_pgsql.conf", "global", None),
    "cdr_tds": ("cdr_tds.conf", "global", None),
    "cdr_syslog": ("cdr_syslog.conf", "cdr", None),
    "cdr_beanstalkd": ("cdr_beanstalkd.conf", "general", "enabled"),
    "cdr_radius": ("cdr.conf", "radius", None),
}
"""A back end's file, the section that must have something in it (None: any), the key that must be true."""

_CHANNELS = {"pjsip.conf": ("PJSIP", ("endpoint",)), "sip.conf": ("SIP", ("peer", "friend"))}
_DEVICE_AND_USER = re.compile(r"(?m)^AMPEXTENSIONS\s*=\s*deviceanduser\s*$")
_EXTENSION = re.compile(r"\d{2,6}")
_MOST_TRUNKS = 20


class _Theirs:
    """The files without ours, so that what is found does not change when ours are written."""

    def __init__(self, files: Files, etc: str, shipped: Mapping[str, str]) -> None:
        self._files = files
        self._etc = f"{etc}/"
        self._shipped = shipped

    def text(self, path: str) -> str | None:
        """What the file holds, if it is not ours."""
        name = path.removeprefix(self._etc)
        text = self._files.text(path)
        return None if OURS.fullmatch(name) or text == self._shipped.get(name) else text

    def matching(self, pattern: str) -> list[str]:
        """The files of that name that are not ours."""
        return [path for path in self._files.matching(pattern) if self.text(path) is not None]


class Machine(Files, Protocol):
    """Files, and what else is asked of the machine that they are on."""

    def names(self, folder: str) -> frozenset[str]:
        """The names in a folder."""

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""

    def is_link(self, path: str) -> bool:
        """Whether the path itself is a symbolic link."""

    def version(self) -> str | None:
        """Asterisk's version."""

    def zone(self) -> str | None:
        """The time zone."""


@dataclass(frozen=True, slots=True)
class Found:
    """An Asterisk as its files describe it; paths are as it sees them."""

    etc: str
    modules_folder: str
    agi_bin: str
    log: str
    spool: str
    version: str | None
    zone: str | None
    is_freepbx: bool
    has_devices: bool
    """FreePBX's device-and-user mode: telephones bear other names than the extensions at them."""
    confs: Mapping[str, Conf]
    linked: frozenset[str]
    """Those of its files that are links: what they lead to is somebody else's."""
    modules: frozenset[str]
    """The modules that are there, without `.so`."""
    loaded: frozenset[str]
    """Those of them that modules.conf has loaded."""
    back_ends: tuple[str, ...]
    """CDR back ends in use."""
    trunks: tuple[str, ...]
    extension_lengths: tuple[int, ...]
    ami_user: Conf
    """The file of our own AMI user, where there is one already."""

    @property
    def is_supported(self) -> bool:
        """Whether the bridge is made for this version; an unknown one may be."""
        major = re.match(r"\d+", self.version or "")
        return major is None or OLDEST <= int(major[0]) <= NEWEST


def look(machine: Machine, shipped: Mapping[str, str], asterisk_conf: str = ASTERISK_CONF) -> Found:
    """What there is but for what we wrote ourselves: files of our own, and what still is as it was shipped.

    Raises BridgeError where there is no asterisk.conf, or a file may not be read.
    """
    if machine.text(asterisk_conf) is None:
        raise BridgeError(
            f"there is no Asterisk here: {asterisk_conf} is not there. "
            "Name another with --asterisk-conf, the root that it lives in with --root"
        )
    main = read(asterisk_conf, _FOLDERS["astetcdir"], machine)
    folders = _folders(main)
    etc = folders["astetcdir"]
    names = {*READ, *(file for file, _, _ in _BACK_ENDS.values())}
    theirs = _Theirs(machine, etc, shipped)
    confs = {name: read(f"{etc}/{name}", etc, theirs) for name in sorted(names)}
    modules = frozenset(
        name.removesuffix(".so") for name in machine.names(folders["astmoddir"]) if name.endswith(".so")
    )
    loaded = frozenset(_loaded(modules, confs["modules.conf"]))
    trunks, lengths = _endpoints(confs)
    return Found(
        etc=etc,
        modules_folder=folders["astmoddir"],
        agi_bin=folders.get("astagidir") or f"{folders['astvarlibdir']}/agi-bin",
        log=folders["astlogdir"],
        spool=folders["astspooldir"],
        version=machine.version(),
        zone=machine.zone(),
        is_freepbx=any(
            machine.text(f"/etc/{name}") is not None for name in ("freepbx.conf", "amportal.conf")
        ),
        has_devices=_DEVICE_AND_USER.search(machine.text("/etc/amportal.conf") or "") is not None,
        confs=confs,
        linked=frozenset(conf.path for conf in confs.values() if machine.is_link(conf.path)),
        modules=modules,
        loaded=loaded,
        back_ends=tuple(name for name in _BACK_ENDS if name in loaded and _is_used(name, confs)),
        trunks=trunks,
        extension_lengths=lengths,
        ami_user=read(f"{etc}/{AMI_USER}", etc, machine),
    )


def manager_conf(machine: Machine, asterisk_conf: str = ASTERISK_CONF) -> Conf | None:
    """manager.conf with all that it includes, ours too; None without an Asterisk. Raises BridgeError."""
    if machine.text(asterisk_conf) is None:
        return None
    etc = _folders(read(asterisk_conf, _FOLDERS["astetcdir"], machine))["astetcdir"]
    conf = read(f"{etc}/manager.conf", etc, machine)
    return conf if conf.exists else None


def _folders(main: Conf) -> dict[str, str]:
    """The folders of asterisk.conf; a template there states what this Asterisk was built with."""
    folders = dict(_FOLDERS)
    named = [category for category in main.categories if category.name.lower() == "directories"]
    for category in sorted(named, key=lambda category: not category.is_template):
        for setting in category.settings:
            folders[setting.key.lower()] = setting.value.rstrip("/") or "/"
    return folders


def _loaded(modules: frozenset[str], conf: Conf) -> Iterator[str]:
    """Asterisk's rule: what is named is loaded; with autoload the rest as well, but for `noload`."""
    named: dict[str, set[str]] = {"load": set(), "noload": set()}
    for setting in conf.settings("modules"):
        key = setting.key.lower()
        kind = "noload" if key == "noload" else "load"
        if key in ("load", "noload", "preload", "require", "preload-require"):
            named[kind].add(setting.value.removesuffix(".so"))
    autoloads = is_true(conf.value("modules", "autoload"))
    for module in sorted(modules):
        if module not in named["noload"] and (autoloads or module in named["load"]):
            yield module


def _is_used(name: str, confs: Mapping[str, Conf]) -> bool:
    file, section, key = _BACK_ENDS[name]
    conf = confs[file]
    if key is not None and section is not None:
        return is_true(conf.value(section, key))
    if section is not None:
        return any(True for _ in conf.settings(section))
    return any(category.settings for category in conf.categories if not category.is_template)


def _endpoints(confs: Mapping[str, Conf]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Outside lines as `numbers.trunks` has them, and how many digits extensions have.

    An endpoint whose name is a short number is an extension, any other is taken for a line.
    """
    trunks: list[str] = []
    lengths: set[int] = set()
    for file, (technology, kinds) in _CHANNELS.items():
        for category in confs[file].categories:
            if not category.is_template and _kind(confs[file], category) in kinds:
                if _EXTENSION.fullmatch(category.name):
                    lengths.add(len(category.name))
                elif f"{technology}/{category.name}" not in trunks:
                    trunks.append(f"{technology}/{category.name}")
    return tuple(trunks[:_MOST_TRUNKS]), tuple(sorted(lengths))


def _kind(conf: Conf, category: Category) -> str:
    said = [setting.value.lower() for setting in conf.all_of(category) if setting.key.lower() == "type"]
    return said[-1] if said else ""
