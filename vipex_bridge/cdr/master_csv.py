"""The CDR source that is `Master.csv`, as `cdr_csv` and `cdr_custom` write it: a line for each row, in order.

How far it was read is an offset in a file that is known by its beginning, so that one that a log rotation
moved or copied aside is read to its end, and the new one from its first line. Only whole lines are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import structlog

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr import csv_file
from vipex_bridge.cdr.csv_file import PIECE_BYTES, is_in, moved_aside, newest_records, records
from vipex_bridge.cdr.naming import NothingYet
from vipex_bridge.cdr.records import (
    LOOKED_AT,
    REQUIRED,
    BadRow,
    Batch,
    Cursor,
    Likes,
    Sift,
    end_of,
    in_another_zone,
    lacking,
    row_of,
    start_of,
)
from vipex_bridge.config.settings import Cdr

log = structlog.get_logger()

_REREAD_S = 86_400.0
"""How far back another file in the place of the one read is told: what is older is history."""
_BEFORE_BYTES = 1 << 16
"""Looked through for likes of a row without a sequence: they were written at the end of one call."""
_SIFTED = 1000
"""Rows that `passed` asks about at once."""


class CsvSource:
    """A file as `cdr_csv` and `cdr_custom` write it: a `Source`."""

    def __init__(self, cdr: Cdr, timezone: ZoneInfo) -> None:
        """Opens nothing yet. Raises SourceError when a column is no number."""
        self._path = csv_file.path_of(cdr)
        self._timezone = timezone
        self._options = cdr
        self._columns = csv_file.column_places(cdr, "cdr")
        self._least = 1 + max(self._columns.get(name, 0) for name in REQUIRED)
        self._source = f"CDR source {self._path}"

    @property
    def name(self) -> str:
        """The file."""
        return f"csv:{self._path}"

    def check(self) -> list[str]:
        """One line for each column that the newest line lacks, and for times of another zone."""
        newest = self._newest_lines()
        if not newest:
            return []
        mend = "set usegmtime = no in section [csv] of Asterisk's cdr.conf"
        return [
            *lacking(self._values(newest[-1]), self._source),
            *in_another_zone(map(self._row, newest[-LOOKED_AT:]), self._source, self._timezone, mend),
        ]

    def bad_newest(self) -> BadRow | None:
        """The newest line if it does not hold what a call's does."""
        newest = self._newest_lines()
        row = self._row(newest[-1]) if newest else None
        return row if isinstance(row, BadRow) else None

    def newest(self) -> Cursor:
        """The cursor behind the newest whole line; the very beginning while there is no file."""
        try:
            with self._open(self._path) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(size - PIECE_BYTES, 0))
                tail = file.read()
                return self._cursor(csv_file.place(file, size - len(tail) + tail.rfind(b"\n") + 1), None)
        except NothingYet:
            return self._cursor(None, None)

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The next whole lines: first the rest of a file that was moved aside, then of those after it."""
        place, ended = cursor.get("place"), cursor.get("ended")
        if place is None or is_in(self._path, place):
            return self._read(self._path, place, ended, limit)
        moved = moved_aside(self._path)
        behind = [file for file in moved if is_in(file, place)]
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

    def _open(self, path: Path) -> AbstractContextManager[BinaryIO]:
        return csv_file.opened(path, self._source, "cdr_csv")

    def _read(self, path: Path, place: Mapping[str, Any] | None, ended: float | None, limit: int) -> Batch:
        """The file's next lines, from its beginning without a place."""
        offset = int(place["offset"]) if place is not None else 0
        rows: list[CdrRow] = []
        bad: list[BadRow] = []
        with self._open(path) as file:
            file.seek(offset)
            data = file.read(PIECE_BYTES)
            for length, fields in islice(records(data, self._least), limit):
                offset += length
                row = self._row(fields) if fields else None
                if isinstance(row, BadRow):
                    bad.append(row)
                elif row is not None:
                    rows.append(row)
                    ended = max(ended or 0.0, end_of(row))
            if any(row.sequence is None for row in rows):
                rows = self._numbered(file, int(place["offset"]) if place is not None else 0, rows)
            has_more = len(rows) + len(bad) >= limit or (len(data) == PIECE_BYTES and offset > 0)
            return Batch(self._cursor(csv_file.place(file, offset), ended), rows, bad, has_more)

    def _numbered(self, file: BinaryIO, offset: int, rows: list[CdrRow]) -> list[CdrRow]:
        """The rows that stand at `offset` on, numbered behind their likes shortly before it."""
        first = max(offset - _BEFORE_BYTES, 0)
        before = os.pread(file.fileno(), offset - first, first)
        likes = Likes()
        whole = before[before.find(b"\n") + 1 :] if first else before
        for _, fields in records(whole, self._least):
            likes.numbered(self._row(fields))
        return [row for row in map(likes.numbered, rows) if isinstance(row, CdrRow)]

    def _all(self) -> Iterator[CdrRow | BadRow]:
        """Every row, of the files that were moved aside too."""
        for path in [*moved_aside(self._path), self._path]:
            place: Mapping[str, Any] | None = None
            while True:
                batch = self._read(path, place, None, _SIFTED)
                yield from batch.rows
                yield from batch.bad
                place = batch.cursor["place"]
                if not batch.has_news:
                    break

    def _newest_lines(self) -> list[list[str]]:
        with self._open(self._path) as file:
            return newest_records(file, self._least)

    # -- lines ------------------------------------------------------------------------------

    def _values(self, fields: Sequence[str]) -> dict[str, object]:
        return {ours: fields[index] for ours, index in self._columns.items() if index < len(fields)}

    def _row(self, fields: Sequence[str]) -> CdrRow | BadRow:
        return row_of(self._values(fields), self._options, self._timezone)

    def _cursor(self, place: Mapping[str, Any] | None, ended: float | None) -> Cursor:
        return {"source": self.name, "place": place, "ended": ended}
