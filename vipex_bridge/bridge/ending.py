"""Finished calls: CDR rows in, complete calls built, rendered and committed to the outbox."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from vipex_bridge import recordings
from vipex_bridge.bridge.finishing import finish, without_unreadable
from vipex_bridge.bridge.logged import ASKED_A_ROUND, ChannelEvents, Logged
from vipex_bridge.bridge.looking import Looking
from vipex_bridge.bridge.telling import Telling, numbering_of, tariff_of
from vipex_bridge.calls import cel, testimony
from vipex_bridge.calls.completion import Signs, is_complete
from vipex_bridge.calls.document import CallDocument, Direction, Notice
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build
from vipex_bridge.calls.tree import recordings as recordings_of
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.config.settings import Settings
from vipex_bridge.deliver.claims import Claiming
from vipex_bridge.errors import BridgeError, StoreError
from vipex_bridge.store.calls import OPEN
from vipex_bridge.store.store import Store

log = structlog.get_logger()

TRY_AGAIN_S = 60.0
"""How long a call that could not be built is left alone."""


@dataclass(slots=True)
class Pending:
    """A call that is not told yet, and its signs of life: moments of the monotonic clock."""

    call_id: int
    record: CallRecord | None = None
    ended_at: float | None = None
    last_row_at: float | None = None
    rows: list[CdrRow] = field(default_factory=list)
    complete_at: float | None = None
    not_before: float = 0.0
    files: dict[str, recordings.FileState] = field(default_factory=dict)
    logged: Logged = field(default_factory=Logged)

    def names(self) -> list[str]:
        """Every linkedid and uniqueid by which the call is known."""
        own = self.record.keys() if self.record is not None else []
        return list(dict.fromkeys([*own, *testimony.keys(self.rows), *cel.keys(self.logged.rows)]))

    def span(self) -> tuple[float, float]:
        """From when to when the call is known to have been on, epoch seconds."""
        channels = self.record.channels.values() if self.record is not None else ()
        moments = [m for channel in channels for m in (channel.created, channel.ended) if m is not None]
        moments += [m for row in self.rows for m in (row.start, row.end) if m is not None]
        return min(moments), max(moments)

    def was_missed(self) -> bool:
        """Whether AMI did not see all of a call that is known of."""
        return bool(self.rows) if self.record is None else self.record.partial


class Ending:
    """Keeps the calls that are over but not told, and tells each when it is complete."""

    def __init__(
        self,
        settings: Settings,
        tracker: Tracker,
        store: Store,
        telling: Telling,
        poller: Poller | None,
        *,
        ami_connected: Callable[[], bool],
        channel_events: ChannelEvents | None = None,
        claiming: Claiming,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` dates what is kept; `monotonic` measures every wait, whatever becomes of the clock."""
        self._tracker = tracker
        self._store = store
        self._telling = telling
        self._looking = Looking(
            poller, store, known=self._known_rows, arrived=self._rows_arrived, clock=clock
        )
        self._channel_events = channel_events if channel_events is not None else ChannelEvents(None)
        self._ami_connected = ami_connected
        self._claiming = claiming
        self._clock = clock
        self._monotonic = monotonic
        self._pending: dict[int, Pending] = {}
        self.told = Counter[Direction]()
        """Calls told so far."""
        self.late_rows = 0
        self.failed_calls = 0
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """Takes a new configuration; the CDR source itself needs a restart."""
        self._settings = settings
        self._numbering = numbering_of(settings.numbers)
        self._tariff = tariff_of(settings.numbers, settings.timezone)

    @property
    def source_trouble(self) -> str | None:
        """Why the CDR source's rows could not be had the last time; None when they could."""
        return self._looking.trouble

    @property
    def failed_looks(self) -> int:
        """Looks for CDR and CEL rows that a fault of ours broke off."""
        return self._looking.failed + self._channel_events.failed_looks

    def restore(self) -> None:
        """Takes up where the last run left off: calls that were live, and calls not yet told."""
        now = self._monotonic()
        for stored in self._store.open_calls():
            pending = self._pending.setdefault(stored.id, Pending(stored.id))
            pending.rows = self._store.rows_of(stored.id)
            pending.last_row_at = now if pending.rows else None
            if stored.facts:
                pending.record = CallRecord.from_dict(json.loads(stored.facts))
            if stored.state == "ended":
                pending.ended_at = now
            elif pending.record is not None:
                self._tracker.restore(pending.record)
        if self._pending:
            log.info("calls.restored", calls=len(self._pending))

    def on_ended(self, call_id: int, record: CallRecord) -> None:
        """AMI says that every channel of the call has hung up."""
        pending = self._pending.setdefault(call_id, Pending(call_id))
        pending.record = record
        pending.ended_at = self._monotonic()

    def take_up(self, rows: list[CdrRow]) -> None:
        """Rows of calls that nobody was told of: they are taken like new ones."""
        self._looking.take_up(rows)

    async def run(self) -> None:
        """Polls and tells until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(self._settings.cdr.poll_s if self._settings.cdr is not None else 1.0)

    async def step(self) -> None:
        """One round: the new rows, then the calls that are complete. What fails is tried next round."""
        await self._looking.look()
        try:
            await self._ask_cel()
        except BridgeError as error:
            log.error("cel.rows_not_kept", error=str(error))
        for pending in [p for p in self._pending.values() if self._is_complete(p)]:
            try:
                document = self._document(pending)
                if await asyncio.to_thread(self._recordings_are_whole, pending, document):
                    await self._tell(pending, document)
            except StoreError as error:
                # What the store does not take of one call it does not take of the others either.
                log.error("call.not_told_yet", call=pending.call_id, error=str(error))
                break
            except BridgeError as error:
                log.error("call.not_told_yet", call=pending.call_id, error=str(error))
            except Exception:
                # One call that cannot be built must not keep the others from being told.
                self.failed_calls += 1
                pending.not_before = self._monotonic() + TRY_AGAIN_S
                log.exception("call.failed", call=pending.call_id)

    # -- rows -------------------------------------------------------------------------------

    def _known_rows(self) -> list[CdrRow]:
        return [row for pending in self._pending.values() for row in pending.rows]

    def _rows_arrived(self, call_id: int, group: list[CdrRow], is_new: bool) -> None:
        # What was kept before counts as well: by a commit, it may be, that seemed to fail.
        stored = self._store.call(call_id)
        if stored is not None and stored.state not in OPEN:
            if is_new:
                self.late_rows += 1
                log.warning("cdr.late_row", call=call_id, rows=len(group))
            return
        pending = self._pending.setdefault(call_id, Pending(call_id))
        new_keys = {row.key for row in group}
        pending.rows = [*(row for row in pending.rows if row.key not in new_keys), *group]
        pending.last_row_at = self._monotonic()
        pending.logged.ask_again()

    # -- channel event logging --------------------------------------------------------------

    async def _ask_cel(self) -> None:
        """Has CEL complete the calls that AMI did not see whole and that may be over."""
        asking = [
            pending
            for pending in self._pending.values()
            if pending.was_missed()
            and (pending.rows or pending.ended_at is not None)
            and self._channel_events.is_due(pending.logged)
            and not self._is_up(pending)
        ]
        for pending in asking[:ASKED_A_ROUND]:
            if pending.call_id not in self._pending:
                continue
            keys = pending.names()
            if not await self._channel_events.ask(pending.logged, keys, *pending.span()):
                return
            if not set(pending.names()) <= set(keys):
                await self._join(pending)

    async def _join(self, pending: Pending) -> None:
        """CEL says what the call is called besides: what is pending under these names is the same call."""
        keys = set(pending.names())
        parts = [p for p in self._pending.values() if p is pending or keys.intersection(p.names())]
        told = next((p.record.key for p in parts if p.record is not None and p.record.arrival_told), None)
        names = list(dict.fromkeys(key for part in parts for key in part.names()))
        call_id = await asyncio.to_thread(self._identify, names, min(p.span()[0] for p in parts), told)
        for part in parts:
            self._pending.pop(part.call_id, None)
        self._pending[call_id] = _joined(call_id, parts)

    def _identify(self, keys: list[str], started_at: float, keeps: str | None) -> int:
        with self._store.write(self._clock()) as writer:
            return writer.identify(keys, started_at, keeps)

    # -- telling ----------------------------------------------------------------------------

    def _is_complete(self, pending: Pending) -> bool:
        now = self._monotonic()
        if now < pending.not_before:
            return False
        cdr = self._settings.cdr
        if pending.was_missed() and self._channel_events.is_awaited(pending.logged):
            return False
        signs = Signs(
            live=self._is_live(pending),
            ended_at=pending.ended_at,
            last_row_at=pending.last_row_at,
            logged_end_at=pending.logged.over_at,
        )
        settle_s = cdr.settle_s if cdr is not None else 3.0
        if not is_complete(signs, now, settle_s=settle_s, has_cdr=self._looking.has_source):
            return False
        return not self._looking.holds_rows_of(pending.names())

    def _is_live(self, pending: Pending) -> bool:
        if self._ami_connected():
            return self._is_up(pending)
        return pending.ended_at is None and pending.logged.is_on(self._clock())

    def _is_up(self, pending: Pending) -> bool:
        """Whether AMI has channels of the call up."""
        if not self._ami_connected():
            return False
        records = [self._tracker.call(key) for key in pending.names()]
        return any(record is not None and not record.is_over() for record in records)

    def _document(self, pending: Pending) -> CallDocument | None:
        record, logged = pending.record, None
        if pending.was_missed() and pending.logged.rows:
            logged = cel.record_of(pending.logged.rows, pending.rows, self._numbering)
        if logged is not None:
            record = testimony.merged(record, logged, pending.rows) if record is not None else logged
        if record is None:
            record = testimony.from_rows(pending.rows, self._numbering)
        else:
            testimony.add_rows(record, pending.rows, self._numbering)
        return build(record, self._numbering, self._tariff.price)

    def _recordings_are_whole(self, pending: Pending, document: CallDocument | None) -> bool:
        """Whether every recording has stopped growing, or has been waited for long enough."""
        now = self._monotonic()
        if pending.complete_at is None:
            pending.complete_at = now
        options = self._settings.recordings
        if options is None or document is None or now >= pending.complete_at + options.wait_s:
            return True
        return options.is_separate or recordings.are_whole(
            options, recordings_of(document), pending.files, now
        )

    async def _tell(self, pending: Pending, document: CallDocument | None) -> None:
        found = (self._tracker.call(name) for name in pending.names())
        records = {record.key: record for record in found if record is not None}
        at = document.main.hangup_time if document is not None else self._clock()
        # AMI may be back by the commit's end, and `Live` tell of it too: the store takes the first one only.
        owed = [notice for key in records if (notice := self._tracker.hangup_owed(key, at)) is not None]
        await asyncio.to_thread(self._commit, pending, document, owed)
        self._pending.pop(pending.call_id, None)
        for key in records:
            self._tracker.forget(key)

    def _commit(self, pending: Pending, document: CallDocument | None, owed: list[Notice]) -> None:
        now = self._clock()
        call_id = pending.call_id
        options = self._settings.recordings
        if document is not None and (options is None or not options.is_separate):
            document = without_unreadable(call_id, document, options)
        with self._claiming() as claim, self._store.write(now) as writer:
            deliveries = [
                delivery for notice in owed for delivery in self._telling.of_notice(notice, call_id, now)
            ]
            for delivery in deliveries:
                writer.queue(delivery)
            if document is None:
                writer.close_call(call_id, state="ignored")
                told = None
            else:
                told = finish(writer, self._telling, call_id, document, now)
                if told is None:
                    log.info("call.closed_already", call=call_id)
            claim(writer, {delivery.client for delivery in [*deliveries, *(told or [])]})
        for notice in owed:
            log.info("call.notice", call=call_id, notice=notice.event, exten=notice.exten)
        if document is not None and told is not None:
            self.told[document.main.direction] += 1
            log.info(
                "call.told",
                call=call_id,
                direction=int(document.main.direction),
                legs=len(document.legs),
                clients=[delivery.client for delivery in told],
            )


def _joined(call_id: int, parts: list[Pending]) -> Pending:
    """Calls that turned out to be one, oldest first; over when all of them are."""
    parts = sorted(parts, key=lambda part: part.span()[0])
    records = [part.record for part in parts if part.record is not None]
    record = CallRecord.from_dict(records[0].to_dict()) if records else None
    for other in records[1:]:
        if record is not None:
            record.absorb(other)
    latest = [part.last_row_at for part in parts if part.last_row_at is not None]
    ended = [part.ended_at for part in parts if part.record is not None]
    rows = {row.key: row for part in parts for row in part.rows}
    return Pending(
        call_id,
        record=record,
        ended_at=max((at for at in ended if at is not None), default=None) if None not in ended else None,
        last_row_at=max(latest, default=None),
        rows=list(rows.values()),
        logged=next(part.logged for part in parts if part.logged.rows),
    )
