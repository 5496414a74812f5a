"""Where CDR rows come from: every kind of source, as one `Source`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol
from zoneinfo import ZoneInfo

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.cel import SqliteCel
from vipex_bridge.cdr.cel_csv import CsvCel
from vipex_bridge.cdr.cel_rows import CelSource
from vipex_bridge.cdr.cel_server import ServerCel
from vipex_bridge.cdr.csv_file import is_csv
from vipex_bridge.cdr.master_csv import CsvSource
from vipex_bridge.cdr.records import BadRow, Batch, Cursor, Sift
from vipex_bridge.cdr.server import is_server
from vipex_bridge.cdr.server_source import ServerSource
from vipex_bridge.cdr.sqlite_source import SqliteSource
from vipex_bridge.config.settings import Cdr


class Source(Protocol):
    """A CDR source. Each method raises SourceError when the source cannot be read."""

    @property
    def name(self) -> str:
        """Which source this is: without secrets, the same after a restart."""

    def check(self) -> list[str]:
        """One line for each thing that the source lacks, and what follows; empty when it has all."""

    def bad_newest(self) -> BadRow | None:
        """The newest row if it cannot be a call's; None as well while there is no row."""

    def newest(self) -> Cursor:
        """The cursor behind all that is there now; the very beginning while nothing is there."""

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The next rows, about `limit` of them, and those that were committed late."""

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows that span some time from `start` up to `until` (epoch seconds; None: no end)."""

    def passed(self, cursor: Cursor, start: float, sift: Sift) -> Iterator[CdrRow]:
        """The rows before the cursor that ended at `start` or later and whose uniqueids `sift` takes."""


def open_cel(cel: Cdr, timezone: ZoneInfo) -> CelSource:
    """Give the CEL source that the configuration names; nothing is opened yet.

    Raises SourceError for a kind of source that is not supported, or whose driver is not installed.
    """
    if is_server(cel):
        return ServerCel(cel, timezone)
    if is_csv(cel):
        return CsvCel(cel, timezone)
    return SqliteCel(cel, timezone)


def open_source(cdr: Cdr, timezone: ZoneInfo) -> Source:
    """Give the source that the configuration names; nothing is opened yet.

    Raises SourceError for a kind of source that is not supported, or whose driver is not installed.
    """
    if is_server(cdr):
        return ServerSource(cdr, timezone)
    if is_csv(cdr):
        return CsvSource(cdr, timezone)
    return SqliteSource(cdr, timezone)
