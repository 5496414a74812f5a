"""The state database as the rest of the bridge sees it: reads, and transactions that write.

Thread-safe. Writers queue up for one lock, so that none meets a busy database; readers see the last
commit and never wait. Every failure of the database is a StoreError of one line.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.errors import StoreDamaged, StoreError
from vipex_bridge.store import calls, damage, engine, outbox, privacy, progress, retention, schema
from vipex_bridge.store.calls import StoredCall, StoredRecording
from vipex_bridge.store.outbox import AttemptRecord, Delivery, NewAttempt, NewDelivery
from vipex_bridge.store.progress import Progress


class Writer:
    """What can be done in one transaction of `Store.write`; not to be used after it."""

    def __init__(self, connection: Connection, node: str, now: float) -> None:
        self._connection = connection
        self._node = node
        self._now = now

    def identify(self, keys: Sequence[str], started_at: float, keeps: str | None = None) -> int:
        """The id of the call that any of the keys (linkedids, uniqueids) names, else a new one.

        Calls that the keys show to be one are merged into the one that the key `keeps` names, else into
        the oldest still to be told; the others are `ignored` from then on, with `merged_into`.
        """
        return calls.identify(self._connection, self._node, keys, started_at, self._now, keeps)

    def new_ids(self, count: int) -> list[int]:
        """Ids for legs: greater than any id given before, and never given again."""
        return calls.new_ids(self._connection, count)

    def save_call(
        self,
        call_id: int,
        *,
        state: str,
        started_at: float,
        ended_at: float | None = None,
        facts: str | None = None,
    ) -> None:
        """Journal a call as `live` or `ended`; one told or ignored before is left as it is."""
        calls.save(
            self._connection, call_id, state=state, started_at=started_at, ended_at=ended_at, facts=facts
        )

    def tell(self, call_id: int, document: CallDocument, document_json: str) -> bool:
        """Freeze a call's document, state `told`; False when it was closed before, and nothing changed."""
        return calls.tell(self._connection, call_id, document, document_json, self._now)

    def close_call(self, call_id: int, *, state: str) -> bool:
        """Close a call that has no document (`ignored`); False when it was closed before."""
        return calls.close(self._connection, call_id, state, self._now)

    def add_rows(self, rows: Sequence[CdrRow], call_id: int) -> list[CdrRow]:
        """Keep a call's CDR rows; gives those that were not there yet."""
        return calls.add_rows(self._connection, self._node, rows, call_id, self._now)

    def move_cursor(self, cursor: dict[str, object]) -> None:
        """Remember how far the CDR source has been read."""
        calls.move_cursor(self._connection, self._node, cursor)

    def told_since(self, source: str) -> float:
        """See `Store.told_since`."""
        return calls.told_since(self._connection, self._node, source, self._now)

    def key_of(self, call_id: int) -> str:
        """The name under which a call was first seen."""
        return calls.key_of(self._connection, call_id)

    def add_recording(self, reference: str, call_id: int, path: str, part_id: int | None = None) -> None:
        """Remember which file a `main_reference_id` names."""
        calls.add_recording(self._connection, reference, call_id, path, part_id)

    def queue(self, new: NewDelivery) -> int | None:
        """Put a delivery into the outbox; None when its dedupe key is there already."""
        return outbox.queue(self._connection, self._node, new)

    def claim(self, client: str, limit: int) -> list[Delivery]:
        """Take due deliveries of a client as `sending`, oldest first; see `outbox` for the order."""
        return outbox.claim(self._connection, self._node, client, limit, self._now)

    def record_attempt(
        self, delivery_id: int, attempt: NewAttempt, *, next_attempt_at: float | None, retry_index: int
    ) -> None:
        """Keep a try; its delivery is queued for `next_attempt_at`, or else gets the try's outcome."""
        outbox.record_attempt(
            self._connection,
            delivery_id,
            attempt,
            next_attempt_at=next_attempt_at,
            retry_index=retry_index,
            now=self._now,
        )

    def release_claims(self) -> int:
        """Queue again what this node had claimed when it ended; only before anything is claimed."""
        return outbox.release_claims(self._connection, self._node)

    def take_up_future(self) -> int:
        """Make due what the last run dated later than now; gives how many."""
        return outbox.take_up_future(self._connection, self._node, self._now)

    def follow_clock(self, step_s: float) -> int:
        """Move what waits along with a clock that was just set by `step_s`; gives how many."""
        return outbox.follow_clock(self._connection, self._node, step_s, self._now)

    def park(self, client: str, reason: str) -> int:
        """Mark everything queued for a client as failed; gives how many."""
        return outbox.park(self._connection, self._node, client, reason, self._now)

    def resend(self, ids: Sequence[int] = (), *, failed_since: float | None = None) -> int:
        """Queue finished deliveries again, with the same data and key; gives how many."""
        return outbox.resend(self._connection, ids, failed_since, self._now)


class Store:
    """One state database, opened for one node."""

    def __init__(self, url: str, node: str, *, alone: bool = True) -> None:
        """Open and check the database, or create it.

        `alone`: as the bridge itself, which no other may join; commands that look into a running
        bridge's store, or resend, take False. Raises StoreError with what is wrong and what to do.
        """
        self._node = node
        self._path = engine.path_of(url)
        self._lock = threading.Lock()
        self._closed = False
        self._damage = ""
        self._to_compact, self._compacted_at = False, 0.0
        engine.check_place(self._path)
        with contextlib.ExitStack() as undo:
            known = None
            if alone:
                undo.enter_context(engine.lock(self._path, node))
                known = progress.read(self._path)
                damage.clear_the_way(self._path, known, time.time())
            with self._failures():
                self._engine = engine.open_engine(self._path)
                undo.callback(self._engine.dispose)
                self._writing = self._engine.execution_options(**{engine.WRITING: True})
                with self._writing.begin() as connection:
                    self._prepare(connection, known)
            if alone:
                self.keep_progress()
            self._opened = undo.pop_all()

    def close(self) -> None:
        """Close the database when the transaction under way, if any, has ended."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._opened.close()

    @contextlib.contextmanager
    def write(self, now: float) -> Iterator[Writer]:
        """One transaction: on the disk when the block ends, undone when it raises. Not to be nested.

        `now` is the time of everything in it. Raises StoreError.
        """
        with self._lock:
            self._check_open()
            with self._failures(), self._writing.begin() as connection:
                yield Writer(connection, self._node, now)

    def keep_progress(self) -> None:
        """Write down, beside the database, what the next start needs if this one is lost.

        Raises StoreDamaged once damage was met, after noting that for the next start; StoreError.
        """
        with engine.failures_of(self._path):
            if self._damage:
                before = progress.read(self._path) or Progress(1, time.time())
                progress.write(self._path, replace(before, damaged=self._damage))
                raise StoreDamaged(self._damage)
            with self._read() as connection:
                made = Progress(calls.next_id(connection), calls.undelivered_since(connection, time.time()))
            progress.write(self._path, made)

    def retire(self, older_than_s: float, now: float | None = None) -> int:
        """Forget deliveries finished and calls closed longer ago than that; gives how many.

        In small transactions, between which others get their turn.
        """
        now = time.time() if now is None else now
        total = 0
        while True:
            with self._lock:
                self._check_open()
                with self._failures(), self._writing.begin() as connection:
                    gone = retention.forget_some(connection, now - older_than_s)
            if not gone:
                return total
            total += gone
            time.sleep(retention.PAUSE_S)

    def drop_payloads(self, older_than_s: float, now: float | None = None) -> int:
        """Drop the data of what was finished longer ago than that, also from the files; gives how many."""
        now = time.time() if now is None else now
        total = 0
        while gone := self._drop_some(now - older_than_s, now):
            total += gone
        self._to_compact |= total > 0
        with self._lock:
            self._check_open()
            if self._to_compact and abs(now - self._compacted_at) >= privacy.COMPACT_EVERY_S:
                privacy.compact(self._path)
                self._to_compact, self._compacted_at = False, now
            privacy.empty_log(self._path)
        return total

    def _drop_some(self, before: float, now: float) -> int:
        with self._lock:
            self._check_open()
            with self._failures(), self._writing.begin() as connection:
                return privacy.drop_some(connection, before, now)

    # -- calls ------------------------------------------------------------------------------

    def call_id(self, key: str) -> int | None:
        """The id of the call that a linkedid or uniqueid names."""
        with self._read() as connection:
            return calls.call_id(connection, self._node, key)

    def call(self, call_id: int) -> StoredCall | None:
        """One call."""
        with self._read() as connection:
            return calls.get(connection, call_id)

    def calls(
        self,
        *,
        limit: int,
        before_id: int | None = None,
        state: str | None = None,
        since: float | None = None,
    ) -> list[StoredCall]:
        """Calls of every node, latest first; `since` is about their start."""
        with self._read() as connection:
            return calls.recent(connection, limit, before_id, state, since)

    def open_calls(self) -> list[StoredCall]:
        """This node's calls that are still to be told: what a restart goes on with."""
        with self._read() as connection:
            return calls.still_open(connection, self._node)

    def rows_of(self, call_id: int) -> list[CdrRow]:
        """The CDR rows of a call, in the order in which they came."""
        with self._read() as connection:
            return calls.rows_of(connection, call_id)

    def cursor(self) -> dict[str, object] | None:
        """How far the CDR source has been read; None before the first time."""
        with self._read() as connection:
            return calls.cursor(connection, self._node)

    def recording(self, reference: str) -> StoredRecording | None:
        """The recording that a `main_reference_id` names."""
        with self._read() as connection:
            return calls.recording(connection, reference)

    def told_since(self, source: str, now: float) -> float:
        """Since when this node tells the calls of that CDR source: `now` the first time it is named."""
        with self.write(now) as writer:
            return writer.told_since(source)

    def still_to_be_told(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that name no call which is told or closed."""
        with self._read() as connection:
            return calls.still_to_be_told(connection, self._node, keys)

    def not_kept(self, rows: Sequence[CdrRow]) -> list[CdrRow]:
        """Those of the rows that are not kept with any call."""
        with self._read() as connection:
            return calls.not_kept(connection, self._node, rows)

    # -- outbox -----------------------------------------------------------------------------

    def delivery(self, delivery_id: int) -> Delivery | None:
        """One delivery."""
        with self._read() as connection:
            return outbox.get(connection, delivery_id)

    def deliveries(
        self,
        *,
        status: str | None = None,
        client: str | None = None,
        call_id: int | None = None,
        since: float | None = None,
        limit: int = 100,
        before_id: int | None = None,
    ) -> list[Delivery]:
        """Deliveries of every node, latest first; `since` is about when they were queued."""
        with self._read() as connection:
            return outbox.listing(
                connection,
                status=status,
                client=client,
                call_id=call_id,
                since=since,
                limit=limit,
                before_id=before_id,
            )

    def attempts(self, delivery_id: int) -> list[AttemptRecord]:
        """Every try of a delivery, in order."""
        with self._read() as connection:
            return outbox.attempts_of(connection, delivery_id)

    def next_due(self, client: str) -> float | None:
        """When this node's next delivery to the client can be claimed; None when none can."""
        with self._read() as connection:
            return outbox.next_due(connection, self._node, client)

    def queue_depths(self, now: float) -> Mapping[str, tuple[int, float]]:
        """For each client that has any: how many deliveries wait or are sent, and the oldest's age in s."""
        with self._read() as connection:
            return outbox.depths(connection, self._node, now)

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        self._check_open()
        with self._failures(), self._engine.begin() as connection:
            yield connection

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self._path} has been closed: the bridge is stopping")

    def _prepare(self, connection: Connection, known: Progress | None) -> None:
        try:
            schema.prepare(connection)
        except StoreError as error:
            raise StoreError(f"{self._path} {error}") from None
        damage.make_good(connection, self._path, self._node, known)

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            with engine.failures_of(self._path):
                yield
        except StoreDamaged as error:
            self._damage = str(error)
            raise
