"""Channel event logging in a CSV file, as `cel_custom` writes it: the rows of one call, however long it is.

Rows are written as things happen, so the stretch of the call is found by halving. It is searched to its
end, shortly after the call's, and only when the call is not over there to the end of all. Files that a
log rotation moved aside belong to it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from vipex_bridge.calls import cel
from vipex_bridge.calls.rows import CelRow
from vipex_bridge.cdr import csv_file
from vipex_bridge.cdr.cel_rows import MAX_KEYS, MAX_WALKS, REQUIRED, RowReader
from vipex_bridge.cdr.csv_blocks import Blocks, Part, parts_of
from vipex_bridge.cdr.naming import NothingYet
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

_SLACK_S = 60.0
"""How much out of order rows may stand: clocks are set, and Asterisk's threads write side by side."""
_CLOCK_CHANGE_S = 7_200.0
"""The same where times are local: the clock goes back in autumn."""
_SOON_S = 10.0
_LATER_S = 3_600.0
"""How long after what is known of a call its rows are looked for, before all the rest is searched."""
_FILE_SHIFT = 48
"""Numbers of rows: the file's above, the place in it below."""


class CsvCel:
    """A file as `cel_custom` writes it: a `CelSource`."""

    def __init__(self, options: Cdr, timezone: ZoneInfo) -> None:
        """Opens nothing yet. Raises SourceError when a column is no number, or one is lacking."""
        self._path = csv_file.path_of(options)
        self._columns = csv_file.column_places(options, "cel")
        for name in REQUIRED:
            if name not in self._columns:
                raise SourceError(f"asterisk.cel.columns lacks {name}, which the bridge cannot do without")
        self._source = f"CEL source {self._path}"
        self._reader = RowReader(timezone, options.time_format)
        key_columns = [self._columns[name] for name in ("linkedid", "uniqueid")]
        self._blocks = Blocks(key_columns, self._columns["eventtime"], self._is_time)
        self._one_at_a_time = threading.Lock()

    @property
    def name(self) -> str:
        """The file."""
        return f"csv:{self._path}"

    def check(self) -> list[str]:
        """One line when the newest row does not hold an event's time where it should.

        Raises SourceError when the file cannot be read, or has fewer columns than it must have.
        """
        with csv_file.opened(self._path, self._source, "cel_custom") as file:
            fields = csv_file.newest_record(file, 1 + max(self._columns[name] for name in REQUIRED))
        if fields is None:
            return []
        for name in REQUIRED:
            if self._columns[name] >= len(fields):
                raise SourceError(
                    f"{self._source} has no column {self._columns[name] + 1} for {name}: write it by the "
                    "shipped cel_custom.conf, or say in asterisk.cel.columns where it is"
                )
        values = self._values(fields)
        if self._is_time(values["eventtime"]) and values["uniqueid"].strip():
            return []
        return [
            f"{self._source}: the newest row has no eventtime in column {self._columns['eventtime'] + 1} or "
            f"no uniqueid in column {self._columns['uniqueid'] + 1}: correct asterisk.cel.columns"
        ]

    def rows_of(self, keys: Collection[str], start: float, end: float | None) -> list[CelRow]:
        """All rows of the call that any of `keys` (linkedids, uniqueids) names, oldest first; blocking.

        The call was on at `start`, and at `end` if that is given (epoch seconds). Raises SourceError
        when no file can be read.
        """
        with self._one_at_a_time, ExitStack() as stack:
            parts = parts_of(self._files(start, stack))
            if not parts:
                return []
            slack_s = self._slack_s(parts)
            low = max(self._older(parts, start - slack_s) - 1, 0)
            for after_s in (_SOON_S, _LATER_S) if end is not None else ():
                high = self._older(parts, (end or start) + after_s + slack_s)
                rows = self._walk(parts[low:high], keys, is_near=after_s == _SOON_S)
                if cel.is_over(rows):
                    return rows
            return self._walk(parts[low:], keys, is_near=False)

    # -- finding ----------------------------------------------------------------------------

    def _files(self, start: float, stack: ExitStack) -> list[BinaryIO]:
        """The files that were written to since, oldest first."""
        current: list[BinaryIO] = []
        # First of all: a rotation meanwhile leaves it open, and shows it among the others besides.
        try:
            current.append(stack.enter_context(self._opened(self._path)))
        except NothingYet:
            if not csv_file.moved_aside(self._path):
                raise
        found: list[BinaryIO] = []
        for path in csv_file.moved_aside(self._path):
            try:
                if path.stat().st_mtime >= start - _CLOCK_CHANGE_S:
                    found.append(stack.enter_context(self._opened(path)))
            except (FileNotFoundError, NothingYet):
                # Thrown away, or packed, meanwhile.
                continue
        return [*found, *current]

    def _opened(self, path: Path) -> AbstractContextManager[BinaryIO]:
        return csv_file.opened(path, self._source, "cel_custom")

    def _slack_s(self, parts: Sequence[Part]) -> float:
        newest = self._blocks.time(parts[-1])
        return _SLACK_S if newest.replace(".", "", 1).isdecimal() else _CLOCK_CHANGE_S

    def _older(self, parts: Sequence[Part], moment: float) -> int:
        """How many parts begin before that moment."""
        low, high = 0, len(parts)
        while low < high:
            middle = (low + high) // 2
            instants = self._reader.instants(self._blocks.time(parts[middle]))
            if instants and instants[-1] < moment:
                low = middle + 1
            else:
                high = middle
        return low

    def _walk(self, parts: Sequence[Part], keys: Collection[str], *, is_near: bool) -> list[CelRow]:
        """The rows among these that the keys name, that those name, and so on."""
        named, asked = set(keys), set[str]()
        found: dict[int, dict[str, str]] = {}
        rows: list[CelRow] = []
        for _ in range(MAX_WALKS):
            fresh = sorted(named - asked)[:MAX_KEYS]
            if not fresh:
                break
            asked.update(fresh)
            for part in parts:
                for at, fields in self._blocks.naming(part, fresh, is_near=is_near):
                    found[part.order << _FILE_SHIFT | at] = self._values(fields)
            rows = self._reader.rows(found)
            named.update(cel.keys(rows))
        return rows

    def _values(self, fields: Sequence[str]) -> dict[str, str]:
        return {ours: fields[place] if place < len(fields) else "" for ours, place in self._columns.items()}

    def _is_time(self, text: str) -> bool:
        return bool(self._reader.instants(text))
