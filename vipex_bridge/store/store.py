"""The bridge's own database: the one face of this package."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row, func, select

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.store import outbox, schema
from vipex_bridge.store.engine import Database
from vipex_bridge.store.records import AttemptRecord, Delivery, StoredCall, StoredRecording
from vipex_bridge.store.writer import Writer

RETIRED_AT_ONCE = 500


class Store:
    """Opens the database at a URL such as `sqlite:////var/lib/vipex-bridge/state.db`.

    `exclusive` is the bridge's own way: a second one is refused. Commands open it beside the bridge.
    Raises `StoreError`, here and in every method, with one line for the operator.
    """

    def __init__(self, url: str, node: str, *, exclusive: bool = True) -> None:
        self._node = node
        self._database = Database(url, node, exclusive=exclusive)

    def close(self) -> None:
        """Closes the database and lets another bridge have it."""
        self._database.close()

    @contextmanager
    def write(self, now: float) -> Iterator[Writer]:
        """One transaction: everything written in the block is committed together, or nothing is."""
        with self._database.writing() as connection:
            yield Writer(connection, self._node, now)

    # -- calls ------------------------------------------------------------------------------

    def call_id(self, key: str) -> int | None:
        """The id of the call that this linkedid or uniqueid names."""
        table = schema.call_keys
        with self._database.reading() as connection:
            found: int | None = connection.execute(
                select(table.c.call_id).where(table.c.node == self._node, table.c.key == key)
            ).scalar()
        return found

    def call(self, call_id: int) -> StoredCall | None:
        """One call, None when there is none of that id."""
        with self._database.reading() as connection:
            row = connection.execute(select(schema.calls).where(schema.calls.c.id == call_id)).first()
        return _call_of(row) if row is not None else None

    def calls(self, *, limit: int = 20, before_id: int | None = None) -> list[StoredCall]:
        """The latest calls that concern somebody outside, newest first."""
        table = schema.calls
        query = select(table).where(table.c.state != "ignored").order_by(table.c.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(table.c.id < before_id)
        with self._database.reading() as connection:
            return [_call_of(row) for row in connection.execute(query)]

    def open_calls(self) -> list[StoredCall]:
        """This node's calls that are not told yet, oldest first."""
        table = schema.calls
        query = select(table).where(table.c.node == self._node, table.c.state.in_(("live", "ended")))
        with self._database.reading() as connection:
            return [_call_of(row) for row in connection.execute(query.order_by(table.c.id))]

    def rows_of(self, call_id: int) -> list[CdrRow]:
        """The CDR rows of a call, in the order in which they were read."""
        table = schema.cdr_rows
        query = select(table.c.row).where(table.c.call_id == call_id).order_by(table.c.id)
        with self._database.reading() as connection:
            return [CdrRow(**json.loads(row)) for row in connection.execute(query).scalars()]

    def cursor(self) -> dict[str, Any] | None:
        """How far the CDR source has been read; None before the first time."""
        table = schema.cdr_cursor
        with self._database.reading() as connection:
            found = connection.execute(select(table.c.cursor).where(table.c.node == self._node)).scalar()
        return json.loads(found) if found is not None else None

    def recording(self, reference: str) -> StoredRecording | None:
        """The recording of that reference."""
        table = schema.recordings
        with self._database.reading() as connection:
            row = connection.execute(select(table).where(table.c.reference == reference)).first()
        return StoredRecording(row.reference, row.call_id, row.path) if row is not None else None

    # -- deliveries -------------------------------------------------------------------------

    def claim(self, client: str, limit: int, now: float) -> tuple[list[Delivery], list[Delivery]]:
        """Deliveries to send now, and those found expired instead; see `outbox.claim`."""
        with self._database.writing() as connection:
            return outbox.claim(connection, client, limit, now)

    def next_due(self, client: str, now: float) -> float | None:
        """When the client's next queued delivery becomes due, later than now."""
        with self._database.reading() as connection:
            return outbox.next_due(connection, client, now)

    def record_attempt(
        self, attempt: AttemptRecord, *, status: str, next_attempt_at: float | None, now: float
    ) -> None:
        """Logs one try and what follows from it."""
        with self._database.writing() as connection:
            outbox.record(connection, attempt, status=status, next_attempt_at=next_attempt_at, now=now)

    def park(self, delivery_ids: Sequence[int], error: str, now: float) -> None:
        """Parks deliveries as failed without a try."""
        with self._database.writing() as connection:
            outbox.park(connection, delivery_ids, error, now)

    def waiting_clients(self) -> set[str]:
        """The names of the clients that have deliveries queued, configured or not."""
        table = schema.deliveries
        with self._database.reading() as connection:
            return set(
                connection.execute(
                    select(table.c.client).where(table.c.status == "queued").distinct()
                ).scalars()
            )

    def queued_ids(self, client: str) -> list[int]:
        """The ids of a client's queued deliveries."""
        table = schema.deliveries
        with self._database.reading() as connection:
            query = select(table.c.id).where(table.c.client == client, table.c.status == "queued")
            return list(connection.execute(query).scalars())

    def release_claims(self) -> int:
        """At start: puts back what was being sent when the last run ended."""
        with self._database.writing() as connection:
            return outbox.release(connection, self._node)

    def delivery(self, delivery_id: int) -> Delivery | None:
        """One delivery."""
        table = schema.deliveries
        with self._database.reading() as connection:
            row = connection.execute(select(table).where(table.c.id == delivery_id)).first()
        return outbox.delivery_of(row) if row is not None else None

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
        """The delivery log, newest first, filtered by what is given."""
        table = schema.deliveries
        query = select(table).order_by(table.c.id.desc()).limit(limit)
        wanted = ((table.c.status, status), (table.c.client, client), (table.c.call_id, call_id))
        for column, value in wanted:
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(table.c.created_at >= since)
        if before_id is not None:
            query = query.where(table.c.id < before_id)
        with self._database.reading() as connection:
            return [outbox.delivery_of(row) for row in connection.execute(query)]

    def attempts(self, delivery_id: int) -> list[AttemptRecord]:
        """Every try of a delivery, in order."""
        table = schema.attempts
        query = select(table).where(table.c.delivery_id == delivery_id).order_by(table.c.id)
        with self._database.reading() as connection:
            return [
                AttemptRecord(
                    row.delivery_id,
                    row.started_at,
                    row.elapsed_s,
                    row.status_code,
                    row.outcome,
                    row.error,
                    row.answer,
                )
                for row in connection.execute(query)
            ]

    def queue_depths(self, now: float) -> Mapping[str, tuple[int, float]]:
        """For each client with open deliveries: how many, and the oldest one's age in seconds."""
        table = schema.deliveries
        query = (
            select(table.c.client, func.count(), func.min(table.c.created_at))
            .where(table.c.status.in_(outbox.OPEN))
            .group_by(table.c.client)
        )
        with self._database.reading() as connection:
            return {name: (count, now - oldest) for name, count, oldest in connection.execute(query)}

    def retire(self, retention_s: float, now: float | None = None) -> int:
        """Drops what is older than the retention, in bounded steps; how much was dropped."""
        older_than = (time.time() if now is None else now) - retention_s
        dropped = 0
        while True:
            with self._database.writing() as connection:
                step = outbox.retire(connection, older_than, RETIRED_AT_ONCE)
            dropped += step
            if step == 0:
                return dropped


def _call_of(row: Row[Any]) -> StoredCall:
    return StoredCall(
        id=row.id,
        key=row.key,
        state=row.state,
        started_at=row.started_at,
        ended_at=row.ended_at,
        told_at=row.told_at,
        direction=row.direction,
        src=row.src,
        dst=row.dst,
        exten=row.exten,
        facts=row.facts,
        document=row.document,
    )
