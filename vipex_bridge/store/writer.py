"""One write transaction: calls, their keys, rows and documents, and new deliveries."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.store import schema
from vipex_bridge.store.records import NewDelivery

_CLOSED = ("told", "ignored")


class Writer:
    """What can be written together; `Store.write` commits it as a whole."""

    def __init__(self, connection: Connection, node: str, now: float) -> None:
        self._connection = connection
        self._node = node
        self._now = now

    # -- identity ---------------------------------------------------------------------------

    def identify(self, keys: Sequence[str], started_at: float) -> int:
        """The id of the call that any of the keys (linkedids, uniqueids) names, else a new one.

        Keys that name several calls make them one: the smallest id stays (call trees, section 2).
        """
        table = schema.call_keys
        known = self._connection.execute(
            select(table.c.key, table.c.call_id).where(table.c.node == self._node, table.c.key.in_(keys))
        ).all()
        ids = {row.call_id for row in known}
        call_id = min(ids) if ids else self._new_call(keys[0], started_at)
        for other in ids - {call_id}:
            self._merge(other, call_id)
        missing = set(keys) - {row.key for row in known}
        if missing:
            rows = [{"node": self._node, "key": key, "call_id": call_id} for key in sorted(missing)]
            self._connection.execute(insert(table), rows)
        return call_id

    def new_ids(self, count: int) -> list[int]:
        """So many fresh ids of the one growing sequence that calls and legs share."""
        if count == 0:
            return []
        table = schema.meta
        last = self._connection.execute(select(table.c.value).where(table.c.key == "last_id")).scalar()
        start = int(last) if last is not None else 0
        value = str(start + count)
        if last is None:
            self._connection.execute(insert(table).values(key="last_id", value=value))
        else:
            self._connection.execute(update(table).where(table.c.key == "last_id").values(value=value))
        return list(range(start + 1, start + count + 1))

    def _new_call(self, key: str, started_at: float) -> int:
        call_id = self.new_ids(1)[0]
        self._connection.execute(
            insert(schema.calls).values(
                id=call_id, node=self._node, key=key, state="live", started_at=started_at
            )
        )
        return call_id

    def _merge(self, gone: int, stays: int) -> None:
        for table in (schema.call_keys, schema.cdr_rows, schema.deliveries, schema.recordings):
            self._connection.execute(update(table).where(table.c.call_id == gone).values(call_id=stays))
        self._connection.execute(delete(schema.calls).where(schema.calls.c.id == gone))

    # -- calls ------------------------------------------------------------------------------

    def save_call(
        self, call_id: int, *, state: str, started_at: float, ended_at: float | None, facts: str
    ) -> None:
        """Journals a live or ended call; one that has been told already stays as it was told."""
        table = schema.calls
        self._connection.execute(
            update(table)
            .where(table.c.id == call_id, table.c.state.not_in(_CLOSED))
            .values(state=state, started_at=started_at, ended_at=ended_at, facts=facts)
        )

    def tell(self, call_id: int, document: CallDocument, document_json: str) -> None:
        """Closes a call as told: the document is frozen."""
        main = document.main
        self._connection.execute(
            update(schema.calls)
            .where(schema.calls.c.id == call_id)
            .values(
                state="told",
                told_at=self._now,
                started_at=main.start_time,
                ended_at=main.hangup_time,
                direction=int(main.direction),
                src=main.src,
                dst=main.dst,
                exten=main.exten,
                document=document_json,
            )
        )

    def close_call(self, call_id: int, *, state: str) -> None:
        """Closes a call that is told to nobody."""
        table = schema.calls
        self._connection.execute(
            update(table).where(table.c.id == call_id).values(state=state, told_at=self._now)
        )

    def add_recording(self, reference: str, call_id: int, path: str) -> None:
        """Remembers under which reference a recording can be fetched."""
        self._connection.execute(
            insert(schema.recordings).values(reference=reference, call_id=call_id, path=path)
        )

    # -- rows -------------------------------------------------------------------------------

    def add_rows(self, rows: Sequence[CdrRow], call_id: int) -> list[CdrRow]:
        """Keeps the rows of one call; gives those that were not kept already."""
        added = []
        for row in rows:
            statement = (
                sqlite_insert(schema.cdr_rows)
                .values(
                    node=self._node,
                    row_key=json.dumps(row.key),
                    call_id=call_id,
                    seen_at=self._now,
                    row=json.dumps(asdict(row), ensure_ascii=False),
                )
                .on_conflict_do_nothing()
            )
            if self._connection.execute(statement).rowcount:
                added.append(row)
        return added

    def move_cursor(self, cursor: dict[str, object]) -> None:
        """Remembers how far the CDR source has been read, together with what was read."""
        statement = sqlite_insert(schema.cdr_cursor).values(node=self._node, cursor=json.dumps(cursor))
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["node"], set_={"cursor": statement.excluded.cursor}
            )
        )

    # -- outbox -----------------------------------------------------------------------------

    def queue(self, new: NewDelivery) -> int | None:
        """Puts a delivery on disk; its id, or None when its `dedupe_key` is there already."""
        parked = new.request is None
        statement = (
            sqlite_insert(schema.deliveries)
            .values(
                idempotency_key=uuid.uuid4().hex,
                node=self._node,
                client=new.client,
                kind=new.kind,
                call_id=new.call_id,
                event=new.event,
                created_at=new.created_at,
                expires_at=new.expires_at,
                status="failed" if parked else "queued",
                attempts=0,
                retry_index=0,
                next_attempt_at=new.created_at,
                finished_at=self._now if parked else None,
                error=new.error,
                request=json.dumps(new.request.to_dict(), ensure_ascii=False) if new.request else None,
                dedupe_key=new.dedupe_key,
            )
            .on_conflict_do_nothing()
            .returning(schema.deliveries.c.id)
        )
        found: int | None = self._connection.execute(statement).scalar()
        return found

    def resend(self, ids: Sequence[int]) -> int:
        """Puts finished deliveries back: tried at once, the whole retry list anew, the same key."""
        table = schema.deliveries
        finished = table.c.status.in_(("failed", "delivered", "expired"))
        result = self._connection.execute(
            update(table)
            .where(table.c.id.in_(ids), finished, table.c.request.is_not(None))
            .values(
                status="queued",
                retry_index=0,
                next_attempt_at=self._now,
                expires_at=None,
                finished_at=None,
                error=None,
            )
        )
        return result.rowcount

    def failed_since(self, since: float) -> list[int]:
        """The ids of deliveries parked as failed or expired since then."""
        table = schema.deliveries
        found = self._connection.execute(
            select(table.c.id).where(table.c.status.in_(("failed", "expired")), table.c.finished_at >= since)
        )
        return list(found.scalars())

    def count_open(self) -> int:
        """How many calls are not told yet."""
        table = schema.calls
        counted = select(func.count()).where(table.c.node == self._node, table.c.state.not_in(_CLOSED))
        return int(self._connection.execute(counted).scalar_one())
