"""A plan onto the disk: what would change, then files, blocks, copies of what was there before."""

from __future__ import annotations

import contextlib
import grp
import os
import py_compile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vipex_bridge.errors import BridgeError
from vipex_bridge.setup.journal import Journal, WrittenBlock, WrittenFile, replace_file, sha256
from vipex_bridge.setup.plan import Own, Plan, block, without

BRIDGES_GROUP = "vipex-bridge"
_NOT_OURS = "is there already, and not from init"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One of our own files; `state`: `new`, `newer` (ours, of another version), `same`, `left` (theirs)."""

    path: Path
    data: bytes = field(repr=False)
    mode: int
    owner: tuple[int, int]
    what: str
    state: str
    why_left: str = ""
    replaced: bytes | None = field(default=None, repr=False)
    """What stands there now and is not init's, but may be replaced."""


@dataclass(frozen=True, slots=True)
class BlockChange:
    """Lines at the end of one of Asterisk's files. `before` is the file without a block of ours."""

    path: Path
    before: bytes | None = field(repr=False)
    lines: tuple[str, ...]
    owner: tuple[int, int]
    mode: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying a plan does; nothing where everything is as it should be."""

    files: tuple[FileChange, ...]
    blocks: tuple[BlockChange, ...]

    @property
    def due(self) -> int:
        """How many files are to be written."""
        return sum(1 for file in self.files if file.state in ("new", "newer")) + len(self.blocks)


def changes(plan: Plan, journal: Journal, real: Callable[[str], Path], model: Path) -> Changes:
    """What `plan` would change. `real` says where Asterisk's paths are; `model` is asterisk.conf, whose owner
    our files beside it get. Raises BridgeError for a file that may not be read.
    """
    try:
        asterisk = _owner(model)
        files = tuple(_file(own, journal, real, asterisk) for own in plan.own)
        blocks = tuple(_block(real(a.path), a.lines, journal, model) for a in plan.additions)
    except OSError as error:
        raise BridgeError(f"{error.filename}: {error.strerror}: run this as root") from None
    return Changes(files, blocks)


def apply(due: Changes, journal: Journal, *, compiles: bool, step: Callable[[Path], None]) -> None:
    """Writes it: the journal first, then our own files, then the lines that include them.

    `step` hears of each file that is written. Raises BridgeError; what was written until then is in the
    journal and can be taken back.
    """
    try:
        written = [file for file in due.files if file.state in ("new", "newer")]
        _begin(journal)
        for file in written:
            journal.files[file.path] = WrittenFile(file.path, sha256(file.data), _copy_of(file, journal))
        for each in due.blocks:
            journal.blocks[each.path] = _noted(each, journal)
        journal.save()
        for each in due.blocks:
            _keep(each, journal)
        for file in written:
            if file.replaced is not None:
                _keep_copy(journal.files[file.path].backup, file.replaced, journal)
            _make_folder(file.path.parent, journal, file.owner, 0o750 if _is_secret(file) else 0o755)
            replace_file(file.path, file.data, file.mode, file.owner)
            if compiles and file.path.suffix == ".py":
                _compile(file.path, journal)
            step(file.path)
        for each in due.blocks:
            _append(each, journal.blocks[each.path])
            step(each.path)
        journal.save()
    except OSError as error:
        raise BridgeError(
            f"{error.filename}: cannot be written ({error.strerror}): run this as root, or make room; "
            "`init --undo` takes back what was written"
        ) from None


def bridges_group() -> int | None:
    """The group of the bridge's user, where it was made already."""
    try:
        return grp.getgrnam(BRIDGES_GROUP).gr_gid
    except KeyError:
        return None


# -- what would change ------------------------------------------------------------------------


def _file(own: Own, journal: Journal, real: Callable[[str], Path], asterisk: tuple[int, int]) -> FileChange:
    path = Path(own.path) if own.is_bridges else real(own.path)
    data = own.text.encode("utf-8", "surrogateescape")
    owner = _bridges_owner() if own.is_bridges else asterisk
    if own.instead_of and _bytes(path) == own.instead_of.encode("utf-8", "surrogateescape") != data:
        # As it is readable now, so that it can be put back as it was.
        return FileChange(path, data, _mode(path), _owner(path), own.what, "newer", "", _bytes(path))
    state, why = _state(path, data, journal)
    advice = f": {own.if_left}" if why == _NOT_OURS and own.if_left else ""
    return FileChange(path, data, own.mode, owner, own.what, state, f"{why}{advice}")


def _bridges_owner() -> tuple[int, int]:
    group = bridges_group()
    return os.geteuid(), os.getegid() if group is None else group


def _state(path: Path, data: bytes, journal: Journal) -> tuple[str, str]:
    present = _bytes(path)
    if present is None:
        return "new", ""
    if present == data:
        return "same", ""
    ours = journal.files.get(path)
    if ours is None:
        return "left", _NOT_OURS
    if sha256(present) == ours.sha256:
        return "newer", ""
    return "left", "was changed since init wrote it"


def _block(path: Path, lines: tuple[str, ...], journal: Journal, model: Path) -> BlockChange:
    present, ours = _bytes(path), journal.blocks.get(path)
    owner, mode = _owner(path if present is not None else model), _mode(model)
    if ours is None or present is None:
        return BlockChange(path, present, lines, owner, mode)
    text = present.decode("utf-8", "surrogateescape")
    before = without(text, ours.text)
    if before is None:
        return BlockChange(path, present, lines, owner, mode)
    both = tuple(dict.fromkeys([*ours.lines, *lines]))
    return BlockChange(path, before.encode("utf-8", "surrogateescape"), both, owner, mode)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _owner(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_uid, about.st_gid


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# -- writing ----------------------------------------------------------------------------------


def _noted(change: BlockChange, journal: Journal) -> WrittenBlock:
    """The journal's word on a block."""
    before = change.before or b""
    earlier = journal.blocks.get(change.path)
    if earlier is not None and sha256(before) == earlier.sha256_before:
        backup, existed = earlier.backup, earlier.existed
    else:
        existed = change.before is not None
        backup = next(_free_names(journal, change.path.name)) if existed else ""
    text = block(change.lines, before.decode("utf-8", "surrogateescape"))
    return WrittenBlock(change.path, change.lines, text, existed, len(before), sha256(before), backup)


def _keep(change: BlockChange, journal: Journal) -> None:
    """Keeps a copy of the file as it is before the first block."""
    copy = journal.blocks[change.path].backup
    if change.before is not None:
        _keep_copy(copy, change.before, journal)


def _keep_copy(name: str, before: bytes, journal: Journal) -> None:
    if name and not journal.backup(name).exists():
        replace_file(journal.backup(name), before, 0o600)


def _copy_of(file: FileChange, journal: Journal) -> str:
    """The name of the copy of what this file replaces, or replaced when init wrote it first."""
    earlier = journal.files.get(file.path)
    if earlier is not None and earlier.backup:
        return earlier.backup
    return next(_free_names(journal, file.path.name)) if file.replaced is not None else ""


def _free_names(journal: Journal, name: str) -> Iterator[str]:
    number = 0
    while True:
        candidate = f"{name}.before" if not number else f"{name}.before{number}"
        taken = {block.backup for block in journal.blocks.values()}
        taken |= {file.backup for file in journal.files.values()}
        if candidate not in taken and not journal.backup(candidate).exists():
            yield candidate
        number += 1


def _append(change: BlockChange, noted: WrittenBlock) -> None:
    text = noted.text.encode("utf-8", "surrogateescape")
    if change.before is None:
        replace_file(change.path, text, change.mode, change.owner)
        return
    # In place: its owner, mode, links and whatever else it has stay as they are.
    with change.path.open("r+b") as file:
        if file.read() == change.before:
            file.write(text)
        else:
            file.seek(0)
            file.write(change.before + text)
            file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _begin(journal: Journal) -> None:
    """Makes the journal's folder, and the journal; where that cannot be, nothing is left of it."""
    _make_folder(journal.folder.parent, journal, _bridges_owner(), 0o750)
    _make_folder(journal.folder, journal, (os.geteuid(), os.getegid()), 0o700)
    try:
        journal.save()
    except OSError:
        for folder in reversed(journal.folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _make_folder(folder: Path, journal: Journal, owner: tuple[int, int], mode: int) -> None:
    """Makes a folder with those above it, and notes those that were not there."""
    if folder.is_dir():
        return
    _make_folder(folder.parent, journal, owner, mode)
    journal.folders.append(folder)
    if journal.folder.is_dir():
        journal.save()
    folder.mkdir(mode)
    folder.chmod(mode)
    if os.geteuid() == 0:
        os.chown(folder, *owner)


def _is_secret(file: FileChange) -> bool:
    return not file.mode & 0o004


def _compile(script: Path, journal: Journal) -> None:
    """Asterisk's user may not write there, and without it each call would compile the script."""
    cache = script.parent / "__pycache__"
    if not cache.exists():
        journal.folders.append(cache)
        journal.save()
    Path(py_compile.compile(str(script), doraise=True) or script).chmod(0o644)
