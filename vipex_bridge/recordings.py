"""Recordings: finding the file that Asterisk named, and telling when it has stopped growing.

Asterisk may see the files under another path (another mount, a chroot), so a name is looked for below
our own root by its end. A name comes from a channel variable or a CDR column, which a dialplan may fill
with what a caller sent: nothing outside the root is ever given.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

QUIET_S = 1.0
"""How long a file keeps its size before it counts as complete."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What a recording's file was like at one look. `size_bytes` is None when there was none."""

    at: float
    size_bytes: int | None


def find(root: Path, name: str) -> Path | None:
    """The recording that Asterisk calls `name`, as a real path; None when there is none.

    An absolute name below `root` is that file; any other is looked for below `root` by its whole path,
    then by ever shorter ends of it. Only a regular file that lies inside `root`, links resolved, counts.
    """
    if not name or "\0" in name or ".." in Path(name).parts:
        return None
    try:
        inside = root.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    for candidate in _candidates(root, Path(name)):
        try:
            real = candidate.resolve(strict=True)
            if real.is_relative_to(inside) and stat.S_ISREG(real.stat().st_mode):
                return real
        except (OSError, RuntimeError):  # not there, no permission, a loop of links
            continue
    return None


def look(root: Path, name: str, now: float) -> FileState:
    """What the recording is like at `now`."""
    path = find(root, name)
    try:
        return FileState(now, path.stat().st_size if path is not None else None)
    except OSError:
        return FileState(now, None)


def settled(state: FileState, earlier: FileState | None) -> bool:
    """Whether the file has something in it, and kept its size for `QUIET_S` since `earlier`. Pure."""
    return (
        bool(state.size_bytes)
        and earlier is not None
        and earlier.size_bytes == state.size_bytes
        and state.at - earlier.at >= QUIET_S
    )


def earlier_of(state: FileState, earlier: FileState | None) -> FileState:
    """What the next look is to be compared with: the first look at which the file had its size. Pure."""
    unchanged = earlier is not None and earlier.size_bytes == state.size_bytes and earlier.at <= state.at
    return earlier if unchanged and earlier is not None else state


def trouble(root: Path, name: str, max_size_bytes: int) -> str | None:
    """Why the recording cannot be sent, with what to do about it; None when it can."""
    path = find(root, name)
    if path is None:
        return f"there is no such file below {root}: see asterisk.recordings.root, and who may read it"
    try:
        size = path.stat().st_size
    except OSError as error:
        return f"it cannot be read ({error.strerror}): let the bridge's user read it"
    if not os.access(path, os.R_OK):
        return "it cannot be read: let the bridge's user read it"
    if size == 0:
        return "it is empty: Asterisk recorded no sound, or has not written it yet"
    if size > max_size_bytes:
        return f"it has {size} bytes, more than asterisk.recordings.max_size ({max_size_bytes})"
    return None


def _candidates(root: Path, name: Path) -> Iterator[Path]:
    if name.is_absolute() and name.is_relative_to(root):
        yield name
    parts = name.parts[1:] if name.is_absolute() else name.parts
    for skipped in range(len(parts)):
        yield root.joinpath(*parts[skipped:])
