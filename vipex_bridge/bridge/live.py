"""Live calls: events in, notifications committed to the outbox, the calls' records journalled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from vipex_bridge.bridge.telling import Telling, fresh_token
from vipex_bridge.calls.document import Notice
from vipex_bridge.calls.events import CallEvent
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Ended, Tracker
from vipex_bridge.deliver.claims import Claiming
from vipex_bridge.errors import BridgeError
from vipex_bridge.store.store import Store

log = structlog.get_logger()

JOURNAL_WITHIN_S = 0.1
"""How long what nobody is told of may gather before it is committed."""
COMMIT_AGAIN_S = 1.0
"""How long a store that takes nothing (a full disk) is left alone."""


@dataclass(frozen=True, slots=True)
class _Journalled:
    """A record as it was when its batch closed."""

    keys: list[str]
    started_at: float
    facts: str
    is_over: bool
    keeps: str | None
    """The key under which its arrival was told: that id stays the call's."""


@dataclass(frozen=True, slots=True)
class _Noticed:
    """A notice, and the names by which its call may be known."""

    notice: Notice
    keys: list[str]
    token: str
    """By which the store knows it, when it fails in the moment of a commit and the batch is tried again."""


@dataclass(frozen=True, slots=True)
class _Batch:
    notices: list[_Noticed]
    records: list[_Journalled]
    ended: list[str]
    was_tried: bool
    """Some of it at least, by a commit that failed."""


_NOTHING = _Batch([], [], [], was_tried=False)


class Live:
    """Feeds the tracker in the event loop; commits in a thread, one batch after the other.

    While one batch is being committed the next one gathers, so a burst costs few commits and a
    quiet moment no waiting. `on_ended` gets the id and record of each call that is over, `claiming` is
    entered around a transaction that queues something.
    """

    def __init__(
        self,
        tracker: Tracker,
        store: Store,
        telling: Telling,
        *,
        on_ended: Callable[[int, CallRecord], None],
        claiming: Claiming,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tracker = tracker
        self._store = store
        self._telling = telling
        self._on_ended = on_ended
        self._claiming = claiming
        self._clock = clock
        self._outputs: list[Notice | Ended] = []
        self._uncommitted = _NOTHING
        self._something = asyncio.Event()
        self._committing = False
        self._gathering = False
        self._is_asked = False
        """Somebody waits for the id of a call: what has gathered is committed at once."""
        self._committed = asyncio.Event()
        self._ids: dict[str, int] = {}
        self.events = Counter[str]()
        """Events taken so far, by their type."""
        self.noticed = Counter[str]()
        """Notices committed so far, by their event."""
        self.failed_events = 0

    def on_events(self, events: list[CallEvent]) -> None:
        """Takes the events of one read, in order. One bad event concerns only itself."""
        for event in events:
            self.events[type(event).__name__] += 1
            try:
                self._outputs.extend(self._tracker.feed(event))
            except Exception:
                self.failed_events += 1
                log.exception("tracker.event_failed", event_type=type(event).__name__)
        self._something.set()

    async def run(self) -> None:
        """Commits batches until cancelled; what was gathered by then is committed first."""
        try:
            while True:
                await self._something.wait()
                await self._gathered()
                if not await self.commit():
                    await asyncio.sleep(COMMIT_AGAIN_S)
                    self._something.set()
        finally:
            await asyncio.shield(self.commit())

    async def _gathered(self) -> None:
        """Waits a moment for more while there is nothing to tell: what is journalled alone has time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + JOURNAL_WITHIN_S
        self._gathering = True
        try:
            while not (self._outputs or self._uncommitted.notices or self._is_asked) and loop.time() < until:
                self._something.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._something.wait(), until - loop.time())
        finally:
            self._gathering = False

    async def commit(self) -> bool:
        """Commits what has gathered; False when the store would not take it, which keeps it."""
        self._something.clear()
        self._is_asked = False
        batch = self._take()
        self._committing = True
        try:
            if batch.records or batch.notices:
                self._follow(batch, await asyncio.to_thread(self._commit, batch))
        except BridgeError as error:
            log.error("store.commit_failed", error=str(error), notices=len(batch.notices))
            self._uncommitted = replace(batch, was_tried=True)
            return False
        finally:
            self._committing = False
            before, self._committed = self._committed, asyncio.Event()
            before.set()
        return True

    def _follow(self, batch: _Batch, ids: dict[str, int]) -> None:
        """What follows from a batch that is committed."""
        for journalled in batch.records:
            # A call may have taken in another, under whose key it is no longer asked for.
            for key in journalled.keys:
                self._ids.pop(key, None)
            if not journalled.is_over:
                self._ids[journalled.keys[0]] = ids[journalled.keys[0]]
        for key in batch.ended:
            record = self._tracker.call(key)
            if record is not None and record.is_over() and record.key in ids:
                self._on_ended(ids[record.key], record)

    async def id_of(self, key: str) -> int | None:
        """The id of the call that is up under that key: as soon as what has gathered is committed.

        None for a call that is not up, or was not seen since the start.
        """
        for _ in range(2):
            if key in self._ids or not (self._committing or self._gathering or self._something.is_set()):
                break
            if self._gathering:
                self._is_asked = True
                self._something.set()
            await self._committed.wait()
        return self._ids.get(key)

    def _take(self) -> _Batch:
        outputs, self._outputs = self._outputs, []
        records = self._tracker.touched()
        notices = []
        for output in outputs:
            if isinstance(output, Notice):
                record = self._tracker.call(output.call.key)
                keys = record.keys() if record is not None else [output.call.key]
                notices.append(_Noticed(output, keys, fresh_token()))
        ended = [output.key for output in outputs if isinstance(output, Ended)]
        before, self._uncommitted = self._uncommitted, _NOTHING
        return _Batch(
            [*before.notices, *notices],
            _latest([*before.records, *(_journalled(record) for record in records)]),
            [*before.ended, *ended],
            before.was_tried,
        )

    def _commit(self, batch: _Batch) -> dict[str, int]:
        now = self._clock()
        ids: dict[str, int] = {}
        woken: set[str] = set()
        noticed: list[tuple[int, Notice]] = []
        with self._claiming() as claim, self._store.write(now) as writer:
            for journalled in batch.records:
                call_id = writer.identify(journalled.keys, journalled.started_at, journalled.keeps)
                ids[journalled.keys[0]] = call_id
                writer.save_call(
                    call_id,
                    state="ended" if journalled.is_over else "live",
                    started_at=journalled.started_at,
                    ended_at=now if journalled.is_over else None,
                    facts=journalled.facts,
                )
            for each in batch.notices:
                notice = each.notice
                known = ids.get(each.keys[0])
                call_id = writer.identify(each.keys, notice.call.start_time) if known is None else known
                noticed.append((call_id, notice))
                for delivery in self._telling.of_notice(notice, call_id, now):
                    known_by = delivery.dedupe_key or f"{each.token}/{delivery.client}"
                    is_first = delivery.dedupe_key is None and not batch.was_tried
                    writer.queue(replace(delivery, dedupe_key=known_by), is_first=is_first)
                    woken.add(delivery.client)
            claim(writer, woken)
        for call_id, notice in noticed:
            self.noticed[notice.event] += 1
            log.info("call.notice", call=call_id, notice=notice.event, exten=notice.exten)
        return ids


def _latest(records: list[_Journalled]) -> list[_Journalled]:
    """Of each call's records the last one, in its place: it has all that those before it had."""
    found: dict[str, _Journalled] = {}
    for record in records:
        found.pop(record.keys[0], None)
        found[record.keys[0]] = record
    return list(found.values())


def _journalled(record: CallRecord) -> _Journalled:
    return _Journalled(
        keys=record.keys(),
        started_at=min(channel.created for channel in record.channels.values()),
        facts=json.dumps(record.to_dict(), ensure_ascii=False),
        is_over=record.is_over(),
        keeps=record.key if record.arrival_told else None,
    )
