"""The state database as the rest of the bridge sees it: reads, and transactions that write.

Thread-safe. Writers queue up for one lock, so that none meets a busy database; readers see the last
commit and never wait. Every failure of the database is a StoreError of one line.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.errors import StoreError
from vipex_bridge.store import (
    calls,
    database,
    due,
    engine,
    outbox,
    pauses,
    privacy,
    retention,
    schema,
    search,
    sources,
)
from vipex_bridge.store.calls import StoredCall, StoredRecording
from vipex_bridge.store.outbox import AttemptRecord, Delivery
from vipex_bridge.store.search import CallQuery
from vipex_bridge.store.writer import Writer


class Store:
    """One state database, opened for one node."""

    def __init__(self, url: str, node: str, *, alone: bool = True) -> None:
        """Open and check the database, or create it.

        `alone`: as the bridge itself, which no other of its node may join; commands that look into a
        running bridge's store, or resend, take False. Raises StoreError with what is wrong and what to do.
        """
        self._node = node
        self._database = database.of(url, node)
        self._lock = threading.Lock()
        self._closed = False
        with contextlib.ExitStack() as undo:
            opened = self._database.open(undo, alone=alone)
            self._engine = self._database.reading(opened)
            writing = opened.execution_options(**{engine.WRITING: True})
            with self._failures():
                self._transaction = self._database.transactions(writing, undo)
            with self._failures(), self._transaction() as connection, self._database.preparing(connection):
                self._prepare(connection)
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
            with self._failures(), self._transaction() as connection:
                yield Writer(connection, self._node, now)

    def keep_progress(self) -> None:
        """Write down what must be known when the store, or this bridge, is lost: see `Database.keep`.

        Raises StoreDamaged once damage was met, after noting that for the next start; StoreError.
        """
        self._check_open()
        self._database.keep(self._read)

    def take_over(self, clients: Collection[str], now: float) -> Mapping[str, int]:
        """Take what bridges that died have to send to these clients; how many deliveries of each node.

        Only where bridges share one store. Raises StoreError.
        """
        if not self._database.may_take_over():
            return {}
        with self.write(now) as writer:
            return writer.take_over(clients)

    def size_bytes(self) -> int:
        """How large the database is. Raises StoreError."""
        with self._read() as connection:
            return self._database.size_bytes(connection)

    def retire(self, older_than_s: float, now: float | None = None) -> int:
        """Forget deliveries finished and calls closed longer ago than that; gives how many.

        In small transactions, between which others get their turn.
        """
        now = time.time() if now is None else now
        total = 0
        while True:
            with self._lock:
                self._check_open()
                with self._failures(), self._transaction() as connection:
                    gone = retention.forget_some(connection, now - older_than_s)
            if not gone:
                return total
            total += gone
            time.sleep(retention.PAUSE_S)

    def drop_payloads(self, older_than_s: float, now: float | None = None) -> int:
        """Drop the data of what was finished longer ago than that, also from the files; gives how many.

        In small transactions, like `retire`.
        """
        now = time.time() if now is None else now
        total = 0
        while gone := self._drop_some(now - older_than_s, now):
            total += gone
            time.sleep(retention.PAUSE_S)
        with self._lock, self._failures():
            self._check_open()
            self._database.tidy(total, now)
        return total

    def _drop_some(self, before: float, now: float) -> int:
        with self._lock:
            self._check_open()
            with self._failures(), self._transaction() as connection:
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

    def search(self, query: CallQuery, limit: int, before_id: int | None = None) -> list[StoredCall]:
        """The calls of every node that are asked for, latest first; see `search.calls`."""
        with self._read() as connection:
            return search.calls(connection, query, limit, before_id)

    def is_told_to(self, call_id: int, clients: frozenset[str]) -> bool:
        """Whether something about the call went, or is to go, to one of these clients."""
        with self._read() as connection:
            return search.is_told_to(connection, call_id, clients)

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
            return sources.cursor(connection, self._node)

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
        of_clients: frozenset[str] | None = None,
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
                of_clients=of_clients,
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

    def due_by_client(self) -> Mapping[str, float]:
        """When the earliest that waits for each client is due, as far as it is not paused."""
        with self._read() as connection:
            return due.by_client(connection, self._node)

    def paused(self) -> Mapping[str, float]:
        """The clients of this node that are paused, and since when."""
        with self._read() as connection:
            return pauses.paused(connection, self._node)

    def awaiting_recordings(self, now: float) -> list[tuple[int, str, int]]:
        """Deliveries that wait for their recordings: id, client and call of each."""
        with self._read() as connection:
            return outbox.awaiting(connection, self._node, now)

    def queue_depths(self, now: float) -> Mapping[str, tuple[int, float]]:
        """For each client that has any: how many deliveries wait or are sent, and the oldest's age in s."""
        with self._read() as connection:
            return outbox.depths(connection, self._node, now)

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """A look at the last commit, for the questions of `store.search`. Raises StoreError."""
        return self._read()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        self._check_open()
        with self._failures(), self._engine.begin() as connection:
            yield connection

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self._database.name} has been closed: the bridge is stopping")

    def _prepare(self, connection: Connection) -> None:
        try:
            schema.prepare(connection)
        except StoreError as error:
            raise StoreError(f"{self._database.name} {error}") from None

    def _failures(self) -> contextlib.AbstractContextManager[None]:
        return self._database.failures()
