"""CSV files of any length, searched for the records of one call block by block; the latest are remembered.

A block is a stretch of a file with the records that begin in it. Of each that was read it is kept where
its records begin and which of them name which call, not what is in them; so much, and no more, of memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from vipex_bridge.cdr.csv_file import fields_of, head, records

BLOCK_BYTES = 1 << 18
_BEFORE_BYTES = 1 << 14
"""Read before a block: whether its first line is the rest of a record (a line break in a name) shows."""
_AFTER_BYTES = 1 << 16
"""Read behind a block, for its last record; Asterisk writes none as long."""
MOST_BLOCKS = 200
"""Kept: of 50 MB of file, in some 30 MB of memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """The `number`th block of an open file that begins as `begins` says."""

    file: BinaryIO
    begins: int
    order: int
    """Which of the files it is: the later, the newer."""
    number: int

    @property
    def at(self) -> int:
        """Where it begins in the file."""
        return self.number * BLOCK_BYTES

    def read(self) -> tuple[int, bytes]:
        """What there is of it now with what is read before and behind it, and where that begins."""
        first = max(self.at - _BEFORE_BYTES, 0)
        return first, os.pread(self.file.fileno(), self.at + BLOCK_BYTES + _AFTER_BYTES - first, first)


@dataclass(frozen=True, slots=True)
class Block:
    """What is known of a part: `begin` and `after` say where each record is, `naming` which name a key."""

    seen: int
    """How many bytes were there: when there are more by now, it is read again."""
    time: str
    """That of its first record that has one, as it is written."""
    begin: list[int]
    after: list[int]
    naming: dict[str, list[int]]


class Blocks:
    """Reads parts, and remembers the latest. Not for several threads at once."""

    def __init__(
        self, key_columns: Collection[int], time_column: int, is_time: Callable[[str], bool]
    ) -> None:
        self._key_columns = key_columns
        self._time_column = time_column
        self._is_time = is_time
        self._least = 1 + max(*key_columns, time_column)
        self._kept: dict[tuple[int, int], Block] = {}

    def time(self, part: Part) -> str:
        """The time of the part's first record, as it is written; empty when there is none."""
        return (self._known(part) or self._indexed(part, *part.read())).time

    def naming(self, part: Part, keys: Collection[str], *, is_near: bool) -> Iterator[tuple[int, list[str]]]:
        """Where the part's records are that name one of the keys, and their fields.

        `is_near`: it will be asked again soon, of other calls; else it is only remembered if it has some.
        """
        block, read = self._known(part), None
        if block is None:
            read = part.read()
            if not is_near and not any(_written(key) in read[1] for key in keys):
                return
            block = self._indexed(part, *read)
        found = sorted({index for key in keys for index in block.naming.get(key, ())})
        if not found:
            return
        first, data = read if read is not None else part.read()
        for index in found:
            begin, after = block.begin[index], block.after[index]
            yield begin, fields_of(data[begin - first : after - first])

    def _known(self, part: Part) -> Block | None:
        """What is remembered of the part, if it is still all; it counts as used now."""
        block = self._kept.pop((part.begins, part.number), None)
        if block is None:
            return None
        size = os.fstat(part.file.fileno()).st_size
        if min(size, part.at + BLOCK_BYTES + _AFTER_BYTES) != block.seen:
            return None
        self._kept[part.begins, part.number] = block
        return block

    def _indexed(self, part: Part, first: int, data: bytes) -> Block:
        block = Block(first + len(data), "", [], [], {})
        time = ""
        at = first
        if first:
            skipped = data.find(b"\n") + 1
            at, data = first + skipped, data[skipped:]
        for length, fields in records(data, self._least):
            if part.at <= at < part.at + BLOCK_BYTES and fields:
                if not time and self._is_time(_field(fields, self._time_column)):
                    time = _field(fields, self._time_column)
                for key in {_field(fields, column) for column in self._key_columns}:
                    block.naming.setdefault(key, []).append(len(block.begin))
                block.begin.append(at)
                block.after.append(at + length)
            at += length
            if at >= part.at + BLOCK_BYTES:
                break
        block = Block(block.seen, time, block.begin, block.after, block.naming)
        self._kept[part.begins, part.number] = block
        while len(self._kept) > MOST_BLOCKS:
            del self._kept[next(iter(self._kept))]
        return block


def parts_of(files: Collection[BinaryIO]) -> list[Part]:
    """The parts of the files, oldest first; a file that is there twice, being copied or moved, once."""
    found: list[Part] = []
    known: set[tuple[int, int]] = set()
    for order, file in enumerate(files):
        size = os.fstat(file.fileno()).st_size
        begins = head(file)
        if begins in known:
            continue
        known.add(begins)
        found += [Part(file, begins[0], order, number) for number in range(-(-size // BLOCK_BYTES))]
    return found


def _field(fields: list[str], column: int) -> str:
    return fields[column].strip() if column < len(fields) else ""


def _written(key: str) -> bytes:
    """A key as it stands in a file."""
    return key.replace('"', '""').encode("utf-8", "replace")
