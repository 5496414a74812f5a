"""One record of channel event logging, by column name, to a `CelRow`, whatever it is kept in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from vipex_bridge.calls.rows import CelRow, uniqueid_epoch
from vipex_bridge.cdr.times import Instants, meant, not_before, text_of

log = structlog.get_logger()

REQUIRED = ("eventtype", "eventtime", "channame", "uniqueid", "linkedid", "eventextra")
"""Columns that the bridge cannot do without."""
MAX_WALKS = 10
MAX_KEYS = 500
"""No call has more; SQLite takes so many values in one query."""


class CelSource(Protocol):
    """Where CEL rows come from. May be asked from any thread; raises SourceError when it cannot be read."""

    @property
    def name(self) -> str:
        """Which source this is, without secrets."""

    def check(self) -> list[str]:
        """One line for each thing that it lacks, and what follows; empty when it has all."""

    def rows_of(self, keys: Collection[str], start: float, end: float | None) -> list[CelRow]:
        """All rows of the call that any of `keys` (linkedids, uniqueids) names, oldest first; blocking.

        The call was on at `start`, and at `end` if that is given (epoch seconds).
        """


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads records; `timezone` is that of times without one."""

    timezone: ZoneInfo
    time_format: str

    def rows(self, found: Mapping[int, Mapping[str, object]]) -> list[CelRow]:
        """The rows by their numbers, in the order of writing; those that cannot be used are logged."""
        rows: list[CelRow] = []
        for number, values in sorted(found.items()):
            row = self._row(number, values, rows[-1].at if rows else None)
            if row is not None:
                rows.append(row)
        return rows

    def _row(self, number: int, values: Mapping[str, object], before: float | None) -> CelRow | None:
        """The row, None when its time is none or it has no uniqueid."""
        uniqueid = text_of(values["uniqueid"]).strip()
        at = self._moment(values["eventtime"], uniqueid, before)
        if at is None or not uniqueid:
            log.warning("cel.bad_row", number=number, uniqueid=uniqueid)
            return None

        def text(name: str) -> str:
            return text_of(values.get(name))

        return CelRow(
            event=text("eventtype").strip().upper(),
            at=at,
            uniqueid=uniqueid,
            linkedid=text("linkedid").strip() or uniqueid,
            channel=text("channame").strip(),
            caller_number=text("cidnum"),
            context=text("context"),
            exten=text("exten"),
            app=text("appname"),
            app_data=text("appdata"),
            account=text("accountcode"),
            extra=text("eventextra").strip(),
            number=number,
        )

    def _moment(self, value: object, uniqueid: str, before: float | None) -> float | None:
        """When it happened: after its channel's creation, and not before the row written before it."""
        instants = self.instants(value)
        since = [moment for moment in (uniqueid_epoch(uniqueid), before) if moment is not None]
        return not_before(instants, max(since, default=None))

    def instants(self, value: object) -> Instants:
        """What the time in a row may mean, none when it is no time."""
        try:
            return meant(value, self.timezone, self.time_format)
        except (ValueError, OverflowError, OSError):
            return ()
