"""The file system that an Asterisk lives in: this machine's, or a folder that is its root. Reads only."""

from __future__ import annotations

import glob
import os
import subprocess
from importlib import resources
from pathlib import Path, PurePosixPath
from zoneinfo import available_timezones

from vipex_bridge.errors import BridgeError

_MOST_LINKS = 40
"""Linux' own limit of links on the way to a file."""
_ZONES = "/usr/share/zoneinfo"
_SAYS_WITHIN_S = 10.0


class Tree:
    """Files by the paths that Asterisk sees; links lead nowhere but inside the root."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @property
    def is_this_machine(self) -> bool:
        """Whether Asterisk's root is this machine's own."""
        return self.root == Path("/")

    def real(self, path: str) -> Path:
        """Where this machine has the file that Asterisk sees at `path`, links followed as Asterisk would."""
        done, waiting = PurePosixPath("/"), list(reversed(PurePosixPath(path).parts[1:]))
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                done = done.parent
                continue
            place = self._below(done / part)
            if place.is_symlink() and links < _MOST_LINKS:
                links += 1
                target = PurePosixPath(os.readlink(place))  # noqa: PTH115 -- as it is written
                if target.is_absolute():
                    done = PurePosixPath("/")
                waiting += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            else:
                done = done / part
        return self._below(done)

    def text(self, path: str) -> str | None:
        """What the file holds, bytes that are no UTF-8 kept as surrogates. Raises BridgeError."""
        try:
            return self.real(path).read_bytes().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise BridgeError(f"{path} cannot be read ({error.strerror}): run this as root") from None

    def matching(self, pattern: str) -> list[str]:
        """The files that a glob names, in order of their names; a plain name is one."""
        if not glob.has_magic(pattern):
            return [pattern] if self.real(pattern).is_file() else []
        folder, name = str(PurePosixPath(pattern).parent), PurePosixPath(pattern).name
        real = self.real(folder)
        found = sorted(file.name for file in real.glob(name) if not file.name.startswith("."))
        return [f"{folder}/{each}" for each in found if self.real(f"{folder}/{each}").is_file()]

    def names(self, folder: str) -> frozenset[str]:
        """The names in a folder; none when there is none."""
        try:
            return frozenset(file.name for file in self.real(folder).iterdir())
        except OSError:
            return frozenset()

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""
        return self.real(path).is_dir()

    def is_link(self, path: str) -> bool:
        """Whether the path itself is a symbolic link."""
        parts = PurePosixPath(path)
        return (self.real(str(parts.parent)) / parts.name).is_symlink()

    def zone(self) -> str | None:
        """The time zone, by its IANA name; None where /etc does not say it."""
        named = (self.text("/etc/timezone") or "").strip()
        place = self._below(PurePosixPath("/etc/localtime"))
        linked = str(place.readlink()).partition("/zoneinfo/")[2] if place.is_symlink() else ""
        known = available_timezones()
        for name in (linked, named):
            if name in known:
                return name
        return self._zone_of_copy(place)

    def version(self) -> str | None:
        """What version of Asterisk this is: as it says itself, else by Debian's list of packages."""
        if not self.is_this_machine:
            return packaged_version(self.text("/var/lib/dpkg/status") or "")
        try:
            done = subprocess.run(
                ["asterisk", "-V"],  # noqa: S607 -- wherever the machine has it
                capture_output=True,
                text=True,
                timeout=_SAYS_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip().removeprefix("Asterisk ") or None

    def _zone_of_copy(self, place: Path) -> str | None:
        """The zone whose rules /etc/localtime is a copy of."""
        try:
            copied = place.read_bytes()
        except OSError:
            return None
        names = sorted(available_timezones(), key=lambda name: ("/" not in name, name))
        for folder in (self.real(_ZONES), Path(str(resources.files("tzdata"))) / "zoneinfo"):
            for name in names:
                file = folder / name
                if file.is_file() and file.read_bytes() == copied:
                    return name
        return None

    def _below(self, path: PurePosixPath) -> Path:
        return self.root.joinpath(*path.parts[1:])


def packaged_version(status: str) -> str | None:
    """The version of the package asterisk in dpkg's list, without epoch and revision. Pure."""
    for paragraph in status.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in paragraph.splitlines() if ": " in line)
        if fields.get("Package") == "asterisk" and fields.get("Status", "").endswith(" installed"):
            return fields.get("Version", "").rpartition(":")[2].partition("+")[0].partition("-")[0] or None
    return None
