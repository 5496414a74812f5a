"""What init wrote, on disk beside the configuration: so that it can all be taken back, also after a crash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vipex_bridge.errors import BridgeError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of ours."""

    path: Path
    sha256: str
    backup: str = ""
    """The name of the copy of what it replaced; '' of a file that was not there."""


@dataclass(frozen=True, slots=True)
class WrittenBlock:
    """A marked block at the end of a file."""

    path: Path
    lines: tuple[str, ...]
    text: str
    existed: bool
    size_before: int
    sha256_before: str
    backup: str
    """The name of the copy as it was; '' of a file that was not there."""


@dataclass(slots=True)
class Journal:
    """Everything written and not taken back. `folders` are those that were made, outermost first."""

    folder: Path
    """Where the journal and the copies are kept."""
    files: dict[Path, WrittenFile] = field(default_factory=dict)
    blocks: dict[Path, WrittenBlock] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there to be taken back."""
        return not (self.files or self.blocks or self.folders)

    @property
    def file(self) -> Path:
        """The journal itself."""
        return self.folder / "journal.json"

    def save(self) -> None:
        """Puts it on the disk, whole or not at all."""
        content = {
            "version": _VERSION,
            "files": [_plain(asdict(file)) for file in self.files.values()],
            "blocks": [_plain(asdict(block)) for block in self.blocks.values()],
            "folders": [str(folder) for folder in self.folders],
        }
        replace_file(self.file, (json.dumps(content, indent=1) + "\n").encode(), 0o600)

    def backup(self, name: str) -> Path:
        """Where a copy is kept."""
        return self.folder / name


def load(folder: Path) -> Journal:
    """The journal kept in a folder; an empty one where there is none. Raises BridgeError."""
    journal = Journal(folder)
    try:
        content = json.loads(journal.file.read_text("utf-8"))
        if content["version"] != _VERSION:
            raise ValueError(content["version"])
        journal.files = {f.path: f for f in (WrittenFile(**_typed(file)) for file in content["files"])}
        journal.blocks = {b.path: b for b in (WrittenBlock(**_typed(block)) for block in content["blocks"])}
        journal.folders = [Path(path) for path in content["folders"]]
    except (FileNotFoundError, NotADirectoryError):
        return journal
    except OSError as error:
        raise BridgeError(f"{journal.file} cannot be read ({error.strerror}): run this as root") from None
    except (ValueError, KeyError, TypeError):
        raise BridgeError(
            f"{journal.file} is damaged: what init wrote is marked `vipex-bridge`, and the files "
            "as they were before are beside it"
        ) from None
    return journal


def sha256(data: bytes) -> str:
    """The digest by which a file is known again."""
    return hashlib.sha256(data).hexdigest()


def replace_file(path: Path, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Puts a file at `path` in one step: whoever reads it sees all of it or nothing."""
    # No name that a glob such as *.conf would take.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            if owner is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), *owner)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    typed = {**values, "path": Path(values["path"])}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in typed.items()}
