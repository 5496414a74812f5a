"""New CDR rows: looked for, put together into calls, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from vipex_bridge.calls import testimony
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.poller import Polled, Poller
from vipex_bridge.errors import BridgeError, SourceError
from vipex_bridge.store.store import Store

log = structlog.get_logger()

MISSED_A_ROUND = 1000
"""Rows that reconciliation found and one look takes up."""


class Looking:
    """Looks for rows. What fails is logged, and made good by a later look.

    `arrived` is called in a thread for the rows of each call once they are kept, with its id, the rows, and
    whether some of them are new.
    """

    def __init__(
        self,
        poller: Poller | None,
        store: Store,
        *,
        known: Callable[[], list[CdrRow]],
        arrived: Callable[[int, list[CdrRow], bool], None],
        clock: Callable[[], float],
    ) -> None:
        """`known` gives the rows of the calls that are not told yet: new ones may belong to them."""
        self._poller = poller
        self._store = store
        self._known = known
        self._arrived = arrived
        self._clock = clock
        self._missed: list[CdrRow] = []
        self._unread: str | None = None
        self._unkept: str | None = None
        self._in_hand: frozenset[str] = frozenset()
        self.failed = 0
        """Looks that a fault of ours broke off."""

    @property
    def has_source(self) -> bool:
        """Whether there is anything to look at."""
        return self._poller is not None

    @property
    def trouble(self) -> str | None:
        """Why the last look for rows came to nothing; None when it did not."""
        return self._unread or self._unkept

    def take_up(self, rows: list[CdrRow]) -> None:
        """Rows of calls that nobody was told of: they are taken like new ones."""
        self._missed = rows

    def holds_rows_of(self, names: Collection[str]) -> bool:
        """Whether rows of that linkedid or uniqueid were read that could not be kept yet."""
        return not self._in_hand.isdisjoint(names)

    async def look(self) -> None:
        """One look. Raises nothing of what it meets."""
        if self._poller is None:
            return
        try:
            polled = await asyncio.to_thread(self._poller.poll)
        except SourceError as error:
            if self._unread is None:
                log.error("cdr.source_failed", error=str(error))
            self._unread = str(error)
            return
        except Exception as error:
            log.exception("cdr.look_failed")
            self._unread = self._broken_off(error)
            return
        if self._unread is not None:
            log.info("cdr.source_is_back")
            self._unread = None
        new = [*polled.rows, *self._missed[:MISSED_A_ROUND]]
        try:
            await self._take(polled, new)
        except BridgeError as error:
            log.error("cdr.rows_not_kept", error=str(error))
            self._put_back(self._poller, new)
        except Exception as error:
            log.exception("cdr.look_failed")
            self._unkept = self._broken_off(error)
            self._put_back(self._poller, new)
        else:
            self._unkept, self._in_hand = None, frozenset()

    def _broken_off(self, error: Exception) -> str:
        self.failed += 1
        return f"a look for rows broke off ({type(error).__name__}), the log says where"

    def _put_back(self, poller: Poller, rows: list[CdrRow]) -> None:
        """The next look gives them again; until then their calls are not told without them."""
        poller.again()
        self._in_hand = frozenset(testimony.keys(rows))

    async def _take(self, polled: Polled, new: list[CdrRow]) -> None:
        new_keys = {row.key for row in new}
        groups = testimony.groups([*self._known(), *new])
        fresh = [group for group in groups if any(row.key in new_keys for row in group)]
        await asyncio.to_thread(self._keep, polled, fresh)
        self._missed = [row for row in self._missed if row.key not in new_keys]

    def _keep(self, polled: Polled, groups: list[list[CdrRow]]) -> None:
        now = self._clock()
        taken: list[tuple[int, list[CdrRow], bool]] = []
        with self._store.write(now) as writer:
            for group in groups:
                call_id = writer.identify(testimony.keys(group), group[0].start or now)
                taken.append((call_id, group, bool(writer.add_rows(group, call_id))))
            writer.move_cursor(polled.cursor)
        for call_id, group, is_new in taken:
            self._arrived(call_id, group, is_new)
