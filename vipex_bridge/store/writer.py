"""What can be written into the store: everything within one transaction of `Store.write`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.render.request import Request
from vipex_bridge.store import calls, nodes, outbox, pauses, results, set_clock, sources
from vipex_bridge.store.outbox import Delivery, NewDelivery
from vipex_bridge.store.results import Result


class Writer:
    """What can be done in one transaction of `Store.write`; not to be used after it."""

    def __init__(self, connection: Connection, node: str, now: float) -> None:
        self._connection = connection
        self._node = node
        self._now = now
        self.expired: dict[str, int] = {}
        """How many of each client's deliveries `claim` found to have waited too long."""

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
        sources.move_cursor(self._connection, self._node, cursor)

    def told_since(self, source: str) -> float:
        """See `Store.told_since`."""
        return sources.told_since(self._connection, self._node, source, self._now)

    def key_of(self, call_id: int) -> str:
        """The name under which a call was first seen."""
        return calls.key_of(self._connection, call_id)

    def add_recording(self, reference: str, call_id: int, path: str, part_id: int | None = None) -> None:
        """Remember which file a `main_reference_id` names."""
        calls.add_recording(self._connection, reference, call_id, path, part_id)

    def move_recording(self, call_id: int, path: str, file: str, document: str) -> None:
        """The recording that was to be at `path` is in `file`; `document` is the call's, which says so."""
        calls.move_recording(self._connection, call_id, path, file, document)

    def queue(self, new: NewDelivery, *, is_first: bool = False) -> int | None:
        """Put a delivery into the outbox; None when its dedupe key is there already.

        `is_first`: nobody can have put it there, so that nobody has to look.
        """
        return outbox.queue(self._connection, self._node, new, is_first=is_first)

    def claim(self, client: str, limit: int) -> list[Delivery]:
        """Take due deliveries of a client as `sending`, oldest first; what has expired is marked so.

        None of a client that is paused.
        """
        if client in pauses.paused(self._connection, self._node):
            return []
        if late := outbox.expire(self._connection, self._node, client, self._now):
            self.expired[client] = self.expired.get(client, 0) + late
        return outbox.claim(self._connection, self._node, client, limit, self._now)

    def begin(self, delivery_id: int, request: Request) -> bool:
        """Send this request now instead of the one that waits for its time; False when that was tried."""
        return outbox.begin(self._connection, delivery_id, request, self._now)

    def record(self, made: Sequence[Result]) -> None:
        """Keep tries; each delivery is queued for its `next_attempt_at`, or else gets the try's outcome."""
        results.record(self._connection, self._node, made, self._now)

    def put_back(self, delivery_ids: Sequence[int]) -> None:
        """Queue again what was claimed and not tried."""
        results.put_back(self._connection, self._node, delivery_ids)

    def take_over(self, clients: Collection[str]) -> Mapping[str, int]:
        """Take what silent nodes have to send to these clients; how many deliveries of each."""
        return nodes.take_over(self._connection, self._node, clients)

    def release_claims(self, but: Collection[int] = ()) -> int:
        """Queue again what this node has claimed, but for what is in somebody's hand; gives how many."""
        return outbox.release_claims(self._connection, self._node, but)

    def take_up_future(self) -> int:
        """Make due what the last run dated later than now; gives how many."""
        return set_clock.take_up_future(self._connection, self._node, self._now)

    def follow_clock(self, step_s: float) -> int:
        """Move what waits along with a clock that was just set by `step_s`; gives how many."""
        return set_clock.follow_clock(self._connection, self._node, step_s, self._now)

    def park(self, client: str, reason: str) -> int:
        """Mark everything queued for a client as failed; gives how many."""
        return outbox.park(self._connection, self._node, client, reason, self._now)

    def pause(self, client: str, *, is_paused: bool) -> bool:
        """Send a client nothing from now on, or again; False when that was so before."""
        return pauses.pause(self._connection, self._node, client, is_paused=is_paused, now=self._now)

    def resend(
        self,
        ids: Sequence[int] = (),
        *,
        failed_since: float | None = None,
        of_clients: frozenset[str] | None = None,
    ) -> int:
        """Queue finished deliveries again, with the same data and key; gives how many."""
        return outbox.resend(self._connection, ids, failed_since, of_clients, self._now)
