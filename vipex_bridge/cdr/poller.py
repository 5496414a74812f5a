"""Notices new CDR rows: asks the source again and again, from where it left off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.naming import NothingYet
from vipex_bridge.cdr.records import Batch, Cursor
from vipex_bridge.cdr.sources import Source, open_source
from vipex_bridge.config.settings import Cdr

log = structlog.get_logger()

MAX_ROWS = 1000
"""Rows of one look: read in milliseconds, so that Asterisk's own write is not kept waiting."""

_MAX_LOOKS = 50
"""Looks of one poll at a table that is all history, before other work gets its turn."""


@dataclass(frozen=True, slots=True)
class Polled:
    """New rows, in the order in which they were written, and the cursor (JSON-able) behind them."""

    rows: list[CdrRow]
    cursor: Cursor
    bad_rows: int = 0


class Poller:
    """Gives each row of a CDR source once. Not for several threads at once.

    A row may come again after a restart from an older cursor, or when the table's ids restarted:
    `CdrRow.key` tells those.
    """

    def __init__(
        self,
        cdr: Cdr,
        timezone: ZoneInfo,
        cursor: Mapping[str, Any] | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`cursor` is what an earlier run's `Polled` had; None at the first start of all.

        Raises SourceError for a kind of source that is not supported.
        """
        self._source = open_source(cdr, timezone)
        self._cursor: Cursor | None = dict(cursor) if cursor is not None else None
        self._before = self._cursor
        self._clock = clock
        self._looked_over = False
        self._moved = ""
        self.bad_rows = 0
        """Rows left out so far because they cannot be a call's."""
        self.last_read_at: float | None = None
        """When the source was last read without error."""

    def poll(self) -> Polled:
        """Read what is new; blocking. The first poll of all gives no rows: the past is not told.

        Raises SourceError while the source cannot be read; the next poll loses nothing by it.
        """
        if self._cursor is not None and self._cursor.get("source") != self._source.name:
            log.warning("cdr.source_changed", before=self._cursor.get("source"), now=self._source.name)
            self._cursor = None
        if self._cursor is None:
            self._cursor = self._source.newest()
            self._before = self._cursor
            return Polled([], self._cursor)
        self._before = self._cursor
        if not self._looked_over:
            self._look_over()
        return self._new_rows(self._cursor)

    @property
    def source(self) -> Source:
        """What is read."""
        return self._source

    @property
    def cursor(self) -> Cursor | None:
        """How far it has been read; None before the first poll of all."""
        return self._cursor

    def again(self) -> None:
        """What the last poll gave could not be kept: the next poll gives it again."""
        self._cursor = self._before

    def _look_over(self) -> None:
        try:
            lines = self._source.check()
        except NothingYet:
            # It may have been moved away, and still be readable there.
            return
        for line in lines:
            log.warning("cdr.source_incomplete", what=line)
        self._looked_over = True

    def _new_rows(self, cursor: Cursor) -> Polled:
        bad = 0
        batch = Batch(cursor, [], [])
        for _ in range(_MAX_LOOKS):
            batch = self._source.after(batch.cursor, MAX_ROWS)
            bad += self._report(batch)
            if batch.rows or not batch.more:
                break
        self._cursor = batch.cursor
        self.bad_rows += bad
        self.last_read_at = self._clock()
        return Polled(batch.rows, batch.cursor, bad)

    def _report(self, batch: Batch) -> int:
        if batch.moved != self._moved:
            self._moved = batch.moved
            if batch.moved:
                log.warning("cdr.file_moved_away", source=self._source.name, reading=batch.moved)
        if batch.restarted:
            log.warning("cdr.ids_restarted", source=self._source.name)
        for row in batch.bad:
            log.warning("cdr.bad_row", uniqueid=row.uniqueid, error=row.why)
        return len(batch.bad)
