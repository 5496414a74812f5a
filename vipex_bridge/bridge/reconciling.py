"""Reconciliation: what the CDR source has and nobody was told of, found at start and once an hour."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from itertools import islice

import structlog

from vipex_bridge.calls import testimony
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.cdr.records import Cursor
from vipex_bridge.cdr.sources import Source
from vipex_bridge.errors import BridgeError
from vipex_bridge.store.store import Store

log = structlog.get_logger()

EVERY_S = 3600.0
AGAIN_S = 30.0
"""After a comparison that could not be made."""
MOST_ROWS = 10_000
"""Missing rows of one comparison; the next one follows at once."""
EDGE = 0.05
"""The oldest part of `retention` that is left out: there calls are just being forgotten."""


def missing(
    store: Store,
    source: Source,
    cursor: Cursor,
    since: float,
    most: int | None = None,
    compared: Callable[[int], None] = lambda count: None,
) -> list[CdrRow]:
    """The rows before the cursor, of calls that ended after `since`, that belong to no call that was told.

    Blocking; `compared` hears of how many more channels were. Raises SourceError and StoreError.
    """

    def untold_of(uniqueids: Collection[str]) -> Collection[str]:
        compared(len(uniqueids))
        return store.still_to_be_told(uniqueids)

    rows = list(islice(source.passed(cursor, since, untold_of), most))
    # A row of another channel of a call that was told comes too late for it, and is no call of its own.
    untold = store.still_to_be_told({row.linkedid for row in rows if row.linkedid})
    return store.not_kept([row for row in rows if not row.linkedid or row.linkedid in untold])


class Reconciling:
    """Compares, and hands the rows that are missing to `take_up`."""

    def __init__(
        self,
        store: Store,
        poller: Poller,
        retention_s: Callable[[], float],
        take_up: Callable[[list[CdrRow]], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._poller = poller
        self._retention_s = retention_s
        self._take_up = take_up
        self._clock = clock

    async def run(self) -> None:
        """Compares at once, as soon as the source can be read, and then every hour, until cancelled."""
        while True:
            pause_s = await self.step()
            await asyncio.sleep(pause_s)

    async def step(self) -> float:
        """Compares once; gives the seconds until it is to be done again."""
        cursor = self._poller.cursor
        if cursor is None or cursor.get("source") != self._poller.source.name:
            return 1.0
        try:
            rows = await asyncio.to_thread(self._missing, cursor)
        except BridgeError as error:
            log.error("reconcile.failed", error=str(error))
            return AGAIN_S
        except Exception:
            log.exception("reconcile.failed")
            return AGAIN_S
        for group in testimony.groups(rows):
            log.warning("reconcile.missing", uniqueid=group[0].uniqueid, rows=len(group), ended=group[-1].end)
        if rows:
            self._take_up(rows)
        log.info("reconcile.done", rows_missing=len(rows))
        return AGAIN_S if len(rows) >= MOST_ROWS else EVERY_S

    def _missing(self, cursor: Cursor) -> list[CdrRow]:
        now = self._clock()
        told_since = self._store.told_since(self._poller.source.name, now)
        oldest_kept = now - self._retention_s() * (1 - EDGE)
        return missing(self._store, self._poller.source, cursor, max(told_since, oldest_kept), MOST_ROWS)
