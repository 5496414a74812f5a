"""Calls of the past told again: from the document that was frozen, else built anew from their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vipex_bridge.bridge.finishing import finish, without_unreadable
from vipex_bridge.bridge.telling import Telling, numbering_of, tariff_of
from vipex_bridge.calls import cel, testimony
from vipex_bridge.calls.document import CallDocument, from_json
from vipex_bridge.calls.rows import CdrRow, CelRow
from vipex_bridge.calls.tree import build
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.store.calls import OPEN
from vipex_bridge.store.store import Store

LogOf = Callable[[Sequence[str], float, float | None], list[CelRow]]
"""The CEL rows of a call by its names, its start and its end."""


FRESH_S = 60.0
"""A call that the store does not know, and that ended this shortly ago, is still the bridge's to tell."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A call and the clients for which it was queued; `why_not` says why for nobody."""

    started_at: float
    call_id: int
    src: str | None
    dst: str | None
    clients: tuple[str, ...]
    why_not: str = ""


def replay(
    settings: Settings,
    store: Store,
    groups: Sequence[Sequence[CdrRow]],
    log_of: LogOf | None,
    client: Client | None,
    now: float,
) -> Iterator[Replayed]:
    """Queues each call again, for `client` or for every one that wants it, as new deliveries.

    A call known to the store keeps its id and its frozen document; one that is not is built from its
    rows, and from CEL where there is `log_of`. A call that is not told yet is left to the bridge.
    """
    clients = [c for c in settings.clients.values() if c.kind == "call_end" and client in (None, c)]
    telling = Telling(replace(settings, clients={c.name: c for c in clients}))
    for rows in groups:
        started_at = rows[0].start or rows[0].end or now
        names = testimony.keys(rows)
        known = next((store.call_id(name) for name in names if store.call_id(name) is not None), None)
        stored = store.call(known) if known is not None else None
        while stored is not None and stored.merged_into is not None:
            stored = store.call(stored.merged_into)
        if stored is not None and stored.state in OPEN:
            yield Replayed(started_at, stored.id, None, None, (), "is not told yet: the bridge will do it")
        elif stored is not None and stored.dropped_at is not None:
            yield Replayed(started_at, stored.id, None, None, (), settings.privacy.dropped)
        elif stored is not None and stored.document is None:
            yield Replayed(started_at, stored.id, None, None, (), "is told to nobody")
        elif stored is not None and stored.document is not None:
            document = from_json(stored.document)
            told = _again(telling, store, document, stored.id, now)
            yield Replayed(started_at, stored.id, document.main.src, document.main.dst, told)
        elif max((row.end or 0.0) for row in rows) > now - FRESH_S:
            yield Replayed(started_at, 0, None, None, (), "has just ended: the bridge will tell it")
        else:
            yield _anew(settings, telling, store, rows, log_of, started_at, now)


def _again(
    telling: Telling, store: Store, document: CallDocument, call_id: int, now: float
) -> tuple[str, ...]:
    deliveries = [telling.handing_over(c, document, call_id, now) for c in telling.wanting(document)]
    with store.write(now) as writer:
        for delivery in deliveries:
            writer.queue(delivery)
    return tuple(delivery.client for delivery in deliveries)


def _anew(
    settings: Settings,
    telling: Telling,
    store: Store,
    rows: Sequence[CdrRow],
    log_of: LogOf | None,
    started_at: float,
    now: float,
) -> Replayed:
    numbering = numbering_of(settings.numbers)
    names = testimony.keys(rows)
    ends = [row.end for row in rows if row.end is not None]
    logged = log_of(names, started_at, max(ends, default=None)) if log_of is not None else []
    record = cel.record_of(logged, rows, numbering) if logged else None
    if record is None:
        record = testimony.from_rows(rows, numbering)
    else:
        testimony.add_rows(record, rows, numbering)
    document = build(record, numbering, tariff_of(settings.numbers, settings.timezone).price)
    with store.write(now) as writer:
        call_id = writer.identify(names, started_at)
        writer.add_rows(rows, call_id)
        if document is None:
            writer.close_call(call_id, state="ignored")
            return Replayed(started_at, call_id, None, None, (), "is told to nobody")
        document = without_unreadable(call_id, document, settings.recordings)
        deliveries = finish(writer, telling, call_id, document, now) or []
    told = tuple(delivery.client for delivery in deliveries)
    return Replayed(started_at, call_id, document.main.src, document.main.dst, told)
