"""What init wrote, taken back: every file byte for byte as it was, and nothing that somebody else changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vipex_bridge.errors import BridgeError
from vipex_bridge.setup.journal import Journal, WrittenBlock, WrittenFile, replace_file, sha256
from vipex_bridge.setup.plan import without


def undo(journal: Journal, *, is_dry: bool) -> Iterator[str]:
    """Takes back the blocks, then the files, then the folders; one line for each, also for what is left.

    `is_dry` only says what would be done. Raises BridgeError.
    """
    try:
        for block in list(journal.blocks.values()):
            yield _block(block, journal, is_dry)
        for file in list(journal.files.values()):
            yield _file(file, journal, is_dry)
        if not is_dry:
            yield from _rest(journal)
    except OSError as error:
        raise BridgeError(f"{error.filename}: {error.strerror}: run this as root") from None


def _block(block: WrittenBlock, journal: Journal, is_dry: bool) -> str:
    try:
        present = block.path.read_bytes()
    except FileNotFoundError:
        if not is_dry:
            _forget_block(block, journal)
        return f"{block.path}: is gone already"
    ours = block.text.encode("utf-8", "surrogateescape")
    before, after = present[: block.size_before], present[block.size_before :]
    if ours.startswith(after) and sha256(before) == block.sha256_before:
        kept, line = before, f"{block.path}: as it was before"
    else:
        text = without(present.decode("utf-8", "surrogateescape"), block.text)
        if text is None:
            copy = journal.backup(block.backup) if block.backup else "none"
            return f"{block.path}: our lines were changed: take them out by hand; the file before is {copy}"
        kept = text.encode("utf-8", "surrogateescape")
        line = f"{block.path}: our lines are out; what else was changed since stays"
    if is_dry:
        return line
    if kept or block.existed:
        with block.path.open("r+b") as file:
            if not present.startswith(kept):
                file.write(kept)
            file.truncate(len(kept))
            file.flush()
            os.fsync(file.fileno())
    else:
        block.path.unlink()
    _forget_block(block, journal)
    return line


def _forget_block(block: WrittenBlock, journal: Journal) -> None:
    del journal.blocks[block.path]
    journal.save()
    if block.backup:
        journal.backup(block.backup).unlink(missing_ok=True)


def _file(file: WrittenFile, journal: Journal, is_dry: bool) -> str:
    try:
        present: bytes | None = file.path.read_bytes()
    except FileNotFoundError:
        present = None
    if file.backup:
        return _replaced(file, present, journal, is_dry)
    if present is not None and sha256(present) != file.sha256:
        return f"{file.path}: was changed since, so it is left: delete it if you do not need it"
    if not is_dry:
        file.path.unlink(missing_ok=True)
        for compiled in (file.path.parent / "__pycache__").glob(f"{file.path.stem}.*.pyc"):
            compiled.unlink()
        del journal.files[file.path]
        journal.save()
    return f"{file.path}: gone"


def _replaced(file: WrittenFile, present: bytes | None, journal: Journal, is_dry: bool) -> str:
    """Puts back what the file replaced, unless somebody changed or deleted the file or the copy since."""
    copy = journal.backup(file.backup)
    before = copy.read_bytes() if copy.exists() else None
    if present is None:
        line = f"{file.path}: is gone already"
        line += f": what it replaced is {copy}" if before is not None else ""
    elif before is None:
        # Init broke off before it wrote anything there; or somebody deleted the copy.
        line = f"{file.path}: is left as it is: there is no copy of what it replaced"
    elif present != before and sha256(present) != file.sha256:
        return f"{file.path}: was changed since, so it is left: what it replaced is {copy}"
    else:
        line = f"{file.path}: as it was before"
    if is_dry:
        return line
    if present is not None and before is not None and present != before:
        about = file.path.stat()
        replace_file(file.path, before, about.st_mode & 0o7777, (about.st_uid, about.st_gid))
    del journal.files[file.path]
    journal.save()
    if present is not None:
        copy.unlink(missing_ok=True)
    return line


def _rest(journal: Journal) -> Iterator[str]:
    """The journal itself, once nothing is in it, and the folders that are empty now."""
    folders = sorted(journal.folders, key=lambda folder: len(folder.parts), reverse=True)
    if not journal.files and not journal.blocks:
        journal.file.unlink(missing_ok=True)
    for folder in folders:
        if not folder.is_dir():
            journal.folders.remove(folder)
        elif not any(folder.iterdir()):
            folder.rmdir()
            journal.folders.remove(folder)
        elif folder != journal.folder:
            yield f"{folder}: is not empty, so it is left"
    if journal.files or journal.blocks:
        journal.save()


def remains(journal: Journal) -> list[Path]:
    """What could not be taken back."""
    return [*journal.blocks, *journal.files]
