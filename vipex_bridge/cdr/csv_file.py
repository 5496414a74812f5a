"""A CSV file that Asterisk writes: its whole records, what tells it from others, where a rotation left it."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote
from zlib import crc32

from vipex_bridge.cdr.naming import NothingYet
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

PIECE_BYTES = 1 << 20
_MOST_FILES = 30
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".zip")
_HEAD_BYTES = 512
"""At a file's beginning, which tell it from another one, under whatever name."""
_LINES_OF_A_RECORD = 8
"""A caller's name may have line breaks in it. A quote that more lines do not close was torn off."""
_FIELD = rb'(?:"(?:[^"]|"")*"|[^",]*)'
_RECORD = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*\r?\n")
_QUOTES = re.compile(rb'"+')


def is_csv(options: Cdr) -> bool:
    """Whether the source is a CSV file, by its URL's scheme."""
    return options.source.reveal().startswith("csv:")


def path_of(options: Cdr) -> Path:
    """The file that the source's URL names."""
    return Path(unquote(options.source.reveal().partition("://")[2]))


def column_places(options: Cdr, section: str) -> dict[str, int]:
    """Our name -> the column's place, counted from 0. Raises SourceError when a column is no number."""
    try:
        places = {ours: int(number) - 1 for ours, number in options.columns.items()}
    except ValueError:
        places = {"": -1}
    if min(places.values(), default=0) < 0:
        raise SourceError(f"asterisk.{section}.columns of a CSV file are numbers, counted from 1")
    return places


@contextmanager
def opened(path: Path, source: str, module: str) -> Iterator[BinaryIO]:
    """The file for reading; `module` of Asterisk writes it.

    Raises NothingYet while it is not there, and SourceError when it cannot be read.
    """
    section = module.partition("_")[0]
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise NothingYet(
            f"{source} does not exist (yet): load {module} in Asterisk, or correct asterisk.{section}.source"
        ) from None
    except OSError as error:
        raise SourceError(
            f"{source} cannot be read ({error.strerror}): let the bridge's user read it"
        ) from None


def records(data: bytes, least: int) -> Iterator[tuple[int, list[str]]]:
    """Each whole record's length in bytes and its fields, none of an empty line.

    No record has less than `least` fields. A line that was torn off inside a quote is one by itself as soon
    as a line after it can be no part of it.
    """
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
    at = 0
    while at < len(lines):
        record, count = lines[at], 1
        while record.count(b'"') % 2 and count < _LINES_OF_A_RECORD and at + count < len(lines):
            record += lines[at + count]
            count += 1
        if record.count(b'"') % 2:
            following = lines[at + 1 : at + count]
            if count < _LINES_OF_A_RECORD and not any(_is_record(line, least) for line in following):
                return
            record, count = lines[at], 1
        # What was torn off may have the next row in its line: whose columns these are nobody knows.
        yield len(record), fields_of(record, strict=record.count(b'"') % 2 == 1)
        at += count


def _is_record(line: bytes, least: int) -> bool:
    """Whether the line can only be a record by itself, whatever a caller's name before it holds.

    In a name every quote is doubled: a line of it has no quote that stands alone, or the one that ends it.
    """
    if _RECORD.fullmatch(line) is None or len(fields_of(line)) < least:
        return False
    return any(len(quotes) % 2 for quotes in _QUOTES.findall(line))


def fields_of(record: bytes, *, strict: bool = False) -> list[str]:
    """The fields of one record; a single empty one, which is no call's, where it cannot be read.

    `strict`: nor where a quoted field does not end with its quote.
    """
    text = record.decode("utf-8", "replace").replace("\0", "").rstrip("\r\n")
    try:
        return next(csv.reader(io.StringIO(text, newline=""), strict=strict), [])
    except csv.Error:
        # Or a field longer than the reader takes.
        return [""]


def newest_record(file: BinaryIO, least: int) -> list[str] | None:
    """The fields of the last whole record; None of a file without one."""
    found = newest_records(file, least)
    return found[-1] if found else None


def newest_records(file: BinaryIO, least: int) -> list[list[str]]:
    """The fields of the last whole records, as many as one piece at its end has, the newest last."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(size - PIECE_BYTES, 0))
    return [fields for _, fields in records(file.read(), least) if fields]


def head(file: BinaryIO, most: int = _HEAD_BYTES) -> tuple[int, int]:
    """How a file begins: a checksum, and of how many bytes; only of the first `most`."""
    begins = os.pread(file.fileno(), min(_HEAD_BYTES, most), 0)
    return crc32(begins), len(begins)


def place(file: BinaryIO, offset: int) -> dict[str, int]:
    """How far a file was read, and what tells it from others: its inode, and how it begins."""
    begins, count = head(file, offset)
    return {
        "inode": os.fstat(file.fileno()).st_ino,
        "offset": offset,
        "head_bytes": count,
        "head": begins,
    }


def is_in(path: Path, read: Mapping[str, Any]) -> bool:
    """Whether that file is the one of that place: as it begins, or by its inode while it was empty."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not read["head_bytes"]:
                return bool(found.st_ino == read["inode"])
            return bool(found.st_size >= read["offset"] and head(file, read["head_bytes"])[0] == read["head"])
    except OSError:
        return False


def moved_aside(path: Path) -> list[Path]:
    """The files that a log rotation moved aside (Master.csv.1, Master-20261123.csv), the newest last."""
    try:
        beside = [
            file
            for file in path.parent.iterdir()
            if file.name != path.name
            and file.name.startswith(path.stem)
            and path.suffix in file.suffixes
            and file.suffix not in _PACKED
            and file.is_file()
        ]
        return sorted(beside, key=lambda file: (file.stat().st_mtime, file.name))[-_MOST_FILES:]
    except OSError:
        return []
