"""The CDR source that is `Master.csv`, as `cdr_csv` writes it: one line a call, in the order of writing.

How far it was read is an offset in a file that is known by its beginning, so that one that a log rotation
moved or copied aside is read to its end, and the new one from its first line. Only whole lines are read.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote
from zlib import crc32
from zoneinfo import ZoneInfo

import structlog

from vipex_bridge.calls.rows import CdrRow, uniqueid_epoch
from vipex_bridge.cdr.naming import NothingYet
from vipex_bridge.cdr.records import BadRow, Batch, Cursor, Sift, end_of, lacking, row_of, start_of
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

log = structlog.get_logger()

_MOST_FILES = 30
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".zip")
_HEAD_BYTES = 512
"""At a file's beginning, which tell it from another one, under whatever name."""
_PIECE_BYTES = 1 << 20
_LINES_OF_A_ROW = 8
"""A caller's name may have line breaks in it. A quote that more lines do not close was torn off."""
_REREAD_S = 86_400.0
"""How far back another file in the place of the one read is told: what is older is history."""
_SIFTED = 1000
"""Rows that `passed` asks about at once."""


def is_csv(options: Cdr) -> bool:
    """Whether the source is a CSV file, by its URL's scheme."""
    return options.source.reveal().startswith("csv:")


class CsvSource:
    """A file as `cdr_csv` writes it: a `Source`."""

    def __init__(self, cdr: Cdr, timezone: ZoneInfo) -> None:
        """Opens nothing yet. Raises SourceError when a column is no number."""
        self._path = Path(unquote(cdr.source.reveal().partition("://")[2]))
        self._timezone = timezone
        self._options = cdr
        try:
            self._columns = {ours: int(number) - 1 for ours, number in cdr.columns.items()}
        except ValueError:
            raise SourceError("asterisk.cdr.columns of a CSV file are numbers, counted from 1") from None
        self._source = f"CDR source {self._path}"

    @property
    def name(self) -> str:
        """The file."""
        return f"csv:{self._path}"

    def check(self) -> list[str]:
        """One line for each column that the newest line lacks, and when its times are of another zone."""
        fields = self._newest_line()
        if fields is None:
            return []
        lines = lacking(self._values(fields), self._source)
        row = self._row(fields)
        made = uniqueid_epoch(row.uniqueid)
        if isinstance(row, CdrRow) and made is not None and row.start is not None:
            off_s = abs(row.start - made)
            if 900 < off_s < 15 * 3600:
                lines.append(
                    f"{self._source} has times of another zone than {self._timezone}: set usegmtime = no in "
                    "section [csv] of Asterisk's cdr.conf"
                )
        return lines

    def bad_newest(self) -> BadRow | None:
        """The newest line if it does not hold what a call's does."""
        fields = self._newest_line()
        row = self._row(fields) if fields is not None else None
        return row if isinstance(row, BadRow) else None

    def newest(self) -> Cursor:
        """The cursor behind the newest whole line; the very beginning while there is no file."""
        try:
            with self._open(self._path) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(size - _PIECE_BYTES, 0))
                tail = file.read()
                return self._cursor(_place(file, size - len(tail) + tail.rfind(b"\n") + 1), None)
        except NothingYet:
            return self._cursor(None, None)

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The next whole lines: first the rest of a file that was moved aside, then of those after it."""
        place, ended = cursor.get("place"), cursor.get("ended")
        if place is None or _is_in(self._path, place):
            return self._read(self._path, place, ended, limit)
        moved = _moved_aside(self._path)
        behind = [file for file in moved if _is_in(file, place)]
        if not behind:
            batch = self._read(self._path, None, ended, limit)
            floor = ended - _REREAD_S if ended is not None else None
            rows = [row for row in batch.rows if floor is None or end_of(row) >= floor]
            return replace(batch, rows=rows, restarted=True)
        rest = self._read(behind[-1], place, ended, limit)
        if rest.has_news:
            return replace(rest, moved=behind[-1].name)
        for later in [*moved[moved.index(behind[-1]) + 1 :], self._path]:
            if later.exists():
                batch = self._read(later, None, ended, limit)
                if batch.has_news or later == self._path:
                    return replace(batch, moved=later.name if later != self._path else "")
        return replace(rest, moved=behind[-1].name)

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows of that time in the order of writing; the impossible ones are logged."""
        for row in self._all():
            if isinstance(row, BadRow):
                log.warning("cdr.bad_row", uniqueid=row.uniqueid, error=row.why)
            elif end_of(row) >= start and (until is None or start_of(row) < until):
                yield row

    def passed(self, cursor: Cursor, start: float, sift: Sift) -> Iterator[CdrRow]:
        """The rows that ended at `start` or later in the order of writing, the impossible ones not."""
        rows = (row for row in self._all() if isinstance(row, CdrRow) and end_of(row) >= start)
        while some := list(islice(rows, _SIFTED)):
            taken = sift({row.uniqueid for row in some})
            yield from (row for row in some if row.uniqueid in taken)

    # -- reading ----------------------------------------------------------------------------

    @contextmanager
    def _open(self, path: Path) -> Iterator[BinaryIO]:
        try:
            with path.open("rb") as file:
                yield file
        except FileNotFoundError:
            raise NothingYet(
                f"{self._source} does not exist (yet): load cdr_csv in Asterisk, "
                "or correct asterisk.cdr.source"
            ) from None
        except OSError as error:
            raise SourceError(
                f"{self._source} cannot be read ({error.strerror}): let the bridge's user read it"
            ) from None

    def _read(self, path: Path, place: Mapping[str, Any] | None, ended: float | None, limit: int) -> Batch:
        """The file's next lines, from its beginning without a place."""
        offset = int(place["offset"]) if place is not None else 0
        rows: list[CdrRow] = []
        bad: list[BadRow] = []
        with self._open(path) as file:
            file.seek(offset)
            data = file.read(_PIECE_BYTES)
            for length, fields in islice(_records(data), limit):
                offset += length
                row = self._row(fields) if fields else None
                if isinstance(row, BadRow):
                    bad.append(row)
                elif row is not None:
                    rows.append(row)
                    ended = max(ended or 0.0, end_of(row))
            has_more = len(rows) + len(bad) >= limit or (len(data) == _PIECE_BYTES and offset > 0)
            return Batch(self._cursor(_place(file, offset), ended), rows, bad, has_more)

    def _all(self) -> Iterator[CdrRow | BadRow]:
        """Every row, of the files that were moved aside too."""
        for path in [*_moved_aside(self._path), self._path]:
            place: Mapping[str, Any] | None = None
            while True:
                batch = self._read(path, place, None, _SIFTED)
                yield from batch.rows
                yield from batch.bad
                place = batch.cursor["place"]
                if not batch.has_news:
                    break

    def _newest_line(self) -> list[str] | None:
        with self._open(self._path) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(size - _PIECE_BYTES, 0))
            found = [fields for _, fields in _records(file.read()) if fields]
        return found[-1] if found else None

    # -- lines ------------------------------------------------------------------------------

    def _values(self, fields: Sequence[str]) -> dict[str, object]:
        return {ours: fields[index] for ours, index in self._columns.items() if index < len(fields)}

    def _row(self, fields: Sequence[str]) -> CdrRow | BadRow:
        return row_of(self._values(fields), self._options, self._timezone)

    def _cursor(self, place: Mapping[str, Any] | None, ended: float | None) -> Cursor:
        return {"source": self.name, "place": place, "ended": ended}


def _records(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each whole row's length in bytes and its fields, none of an empty line."""
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
    at = 0
    while at < len(lines):
        row, count = lines[at], 1
        while row.count(b'"') % 2 and count < _LINES_OF_A_ROW and at + count < len(lines):
            row += lines[at + count]
            count += 1
        if row.count(b'"') % 2:
            if count < _LINES_OF_A_ROW:
                return
            row, count = lines[at], 1
        text = row.decode("utf-8", "replace").replace("\0", "").rstrip("\r\n")
        yield len(row), next(csv.reader(io.StringIO(text, newline="")), [])
        at += count


def _place(file: BinaryIO, offset: int) -> dict[str, int]:
    """How far a file was read, and what tells it from others: its inode, and how it begins."""
    begins = os.pread(file.fileno(), min(_HEAD_BYTES, offset), 0)
    inode = os.fstat(file.fileno()).st_ino
    return {"inode": inode, "offset": offset, "head_bytes": len(begins), "head": crc32(begins)}


def _is_in(path: Path, place: Mapping[str, Any]) -> bool:
    """Whether that file is the one that was read so far: as it begins, or by its inode while it was empty."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not place["head_bytes"]:
                return bool(found.st_ino == place["inode"])
            begins = file.read(place["head_bytes"])
            return bool(found.st_size >= place["offset"] and crc32(begins) == place["head"])
    except OSError:
        return False


def _moved_aside(path: Path) -> list[Path]:
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
