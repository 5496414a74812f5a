"""Recordings: finding the file that Asterisk named, and telling when it has stopped growing.

Asterisk may see the files under another path (another mount, a chroot), so a name is looked for below
our own root by its end. A name comes from a channel variable or a CDR column, which a dialplan may fill
with what a caller sent: nothing outside the root is ever given. What a path leads to may be replaced at
any time, so a file is judged again when it is open, and that open file is the one that is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath

from vipex_bridge.config.settings import Recordings
from vipex_bridge.errors import RecordingError

_HOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""A link put in the recording's place is not followed, and no pipe or device there holds us up."""

_SOUND = (".mp3", ".wav", ".WAV", ".ogg", ".opus", ".m4a", ".gsm")
"""What converters make, and make it of."""

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
        # Not there, no permission, a loop of links, half a surrogate pair.
        except (OSError, RuntimeError, ValueError):
            continue
    return None


def look(root: Path, name: str, now: float) -> FileState:
    """What the recording is like at `now`."""
    path = find(root, name)
    try:
        return FileState(now, path.stat().st_size if path is not None else None)
    except OSError:
        return FileState(now, None)


def chosen(options: Recordings, name: str) -> str:
    """The name of the file that stands for the recording that Asterisk calls `name`.

    What a converter made of it (`recordings.converted`) comes first, then the file itself, then one of the
    same name with another ending: some converters take the first file away. `name` while there is none.
    """
    own = PurePosixPath(name)
    if not own.name.strip("."):
        return name
    converted = [f".{options.converted}"] if options.converted is not None else []
    beside = [str(own.with_suffix(ending)) for ending in (*converted, *_SOUND)]
    for candidate in (*beside[: len(converted)], name, *beside[len(converted) :]):
        if look(options.root, candidate, 0.0).size_bytes:
            return candidate
    return name


def are_whole(options: Recordings, names: Iterable[str], seen: dict[str, FileState], now: float) -> bool:
    """Whether each recording is there, as the converter makes it if there is one, and has stopped growing.

    `seen` keeps what this look found, for the next one.
    """
    whole = True
    for name in names:
        file = chosen(options, name)
        state = look(options.root, file, now)
        is_final = options.converted is None or PurePosixPath(file).suffix == f".{options.converted}"
        whole = whole and is_final and settled(state, seen.get(file))
        seen[file] = earlier_of(state, seen.get(file))
    return whole


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


def opened(options: Recordings | None, name: str) -> FileIO:
    """The recording that Asterisk calls `name`, open for reading.

    Raises RecordingError, with what to do about it, when there is none or when it may not be sent.
    """
    if options is None:
        raise RecordingError("recordings are not configured (asterisk.recordings)")
    path = find(options.root, name)
    if path is None:
        raise RecordingError(
            f"there is no such file below {options.root}: see asterisk.recordings.root, and who may read it"
        )
    return opened_at(options, path)


def opened_at(options: Recordings, path: Path) -> FileIO:
    """What `find` found at `path`, open for reading, if it still is a recording that may be sent.

    Raises RecordingError as `opened`.
    """
    try:
        file = FileIO(path, opener=lambda name, _: os.open(name, _HOW))
    except OSError as error:
        raise RecordingError(f"it cannot be read ({error.strerror}): let the bridge's user read it") from None
    try:
        _check(file.fileno(), options)
    except OSError as error:
        file.close()
        raise RecordingError(f"it cannot be examined ({error.strerror}): see {options.root}") from None
    except RecordingError:
        file.close()
        raise
    return file


def trouble(options: Recordings | None, name: str) -> str | None:
    """Why the recording cannot be sent, with what to do about it; None when it can."""
    try:
        opened(options, name).close()
    except RecordingError as error:
        return str(error)
    return None


def _check(descriptor: int, options: Recordings) -> None:
    about = os.fstat(descriptor)
    # proc(5): where the open file really lies, whatever the path led to meanwhile.
    real = Path(f"/proc/self/fd/{descriptor}").readlink()
    if not real.is_relative_to(options.root.resolve(strict=True)):
        raise RecordingError(f"it lies outside {options.root}: it, or a folder above it, was replaced")
    if not stat.S_ISREG(about.st_mode):
        raise RecordingError("it is no regular file, and only those are sent")
    if about.st_size == 0:
        raise RecordingError("it is empty: Asterisk recorded no sound, or has not written it yet")
    if about.st_size > options.max_size_bytes:
        raise RecordingError(
            f"it has {about.st_size} bytes, more than asterisk.recordings.max_size ({options.max_size_bytes})"
        )


def _candidates(root: Path, name: Path) -> Iterator[Path]:
    if name.is_absolute() and name.is_relative_to(root):
        yield name
    parts = name.parts[1:] if name.is_absolute() else name.parts
    for skipped in range(len(parts)):
        yield root.joinpath(*parts[skipped:])
