"""A Debian with nothing but Python in it, below a folder: the package is installed there as if anew."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

BASE = Path(os.environ.get("VIPEX_LAB_ROOT", "/var/lib/vipex-lab/asterisk")).parent / "fresh.tar"
"""What tests/pbx/setup.sh made."""
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
_DPKGS_OWN = (
    "/var/lib/dpkg",
    "/var/log",
    "/var/cache",
    "/run/adduser",
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
)
"""What dpkg and the passwd tools write down about their own work."""


@dataclass(frozen=True, slots=True)
class FreshDebian:
    """One such machine. Its programs see `root` as `/`, and this machine's network."""

    root: Path

    @classmethod
    def unpacked(cls, root: Path) -> FreshDebian:
        """A new one in that folder, which must be empty."""
        # Its user must pass: pytest's own folders are closed to others.
        for folder in (root, *root.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
        subprocess.run(["tar", "-C", root, "-xpf", BASE], check=True)
        return cls(root)

    def run(self, *words: str, user: str = "root", text: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a program there, with `text` to read; whether it went well is for the caller to see."""
        return subprocess.run(
            ["chroot", f"--userspec={user}", self.root, *words],
            input=text, capture_output=True, text=True, timeout=300, check=False, env=_ENVIRONMENT,
        )  # fmt: skip

    def well(self, *words: str, user: str = "root", text: str = "") -> str:
        """The same for one that must go well; what it wrote."""
        done = self.run(*words, user=user, text=text)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def install(self, package: Path, *options: str) -> None:
        """Installs or upgrades to a package."""
        inside = self.root / "package.deb"
        inside.write_bytes(package.read_bytes())
        try:
            # Not each file flushed to the disk: no power cut is of any concern here.
            self.well("dpkg", "--force-unsafe-io", *options, "-i", f"/{inside.name}")
        finally:
            inside.unlink()

    def path(self, name: str) -> Path:
        """A file of its own, as this machine sees it."""
        return self.root / name.lstrip("/")

    def owner_and_mode(self, name: str) -> str:
        """`user:group mode` as its own stat says."""
        return self.well("stat", "-c", "%U:%G %a", name).strip()

    def files(self) -> dict[str, tuple[int, int, int, int]]:
        """Every file but dpkg's own books: kind and mode, user, group, and the size of what is no folder."""
        found = {}
        for folder, names, others in os.walk(self.root):
            for name in (*names, *others):
                path = Path(folder) / name
                inside = f"/{path.relative_to(self.root)}"
                if not inside.startswith(_DPKGS_OWN):
                    about = path.lstat()
                    size = 0 if stat.S_ISDIR(about.st_mode) else about.st_size
                    found[inside] = (about.st_mode, about.st_uid, about.st_gid, size)
        return found
