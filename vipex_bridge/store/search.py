"""Looking for calls: the questions of the API and the console, answered page by page, latest first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, or_, select

from vipex_bridge.store import schema
from vipex_bridge.store.calls import StoredCall

_c = schema.calls.c
_d = schema.deliveries.c
_LISTED = (
    _c.id, _c.node, _c.key, _c.state, _c.started_at, _c.ended_at, _c.told_at, _c.merged_into, _c.direction,
    _c.src, _c.dst, _c.exten, _c.dropped_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls; None asks for any. Times are epoch seconds of a call's start."""

    number: str | None = None
    """Who called or was called: the number, or its end from four digits on."""
    extension: str | None = None
    """An extension that took part: rang, answered, or called out."""
    since: float | None = None
    until: float | None = None
    direction: int | None = None
    state: str | None = None
    client: str | None = None
    outcome: str | None = None
    """The state of a delivery about the call, of `client` if that is given."""
    told_to: frozenset[str] | None = None
    """Something about the call went, or is to go, to one of these clients."""


def calls(connection: Connection, query: CallQuery, limit: int, before_id: int | None) -> list[StoredCall]:
    """The calls asked for with an id below `before_id`, latest first, without their facts and documents.

    Calls that turned out to be part of another are left out.
    """
    chosen = select(*_LISTED).where(_c.merged_into.is_(None), *_conditions(query))
    if before_id is not None:
        chosen = chosen.where(_c.id < before_id)
    rows = connection.execute(chosen.order_by(_c.id.desc()).limit(limit))
    return [_listed(row) for row in rows]


def is_told_to(connection: Connection, call_id: int, clients: frozenset[str]) -> bool:
    """Whether something about the call went, or is to go, to one of these clients."""
    told = exists().where(_d.call_id == call_id, _d.client.in_(clients))
    return bool(connection.scalar(select(told)))


def _listed(row: Row[*tuple[Any, ...]]) -> StoredCall:
    return StoredCall(**row._asdict(), facts=None, document=None)


def _conditions(query: CallQuery) -> list[ColumnElement[bool]]:
    wanted = (
        (_c.direction, query.direction),
        (_c.state, query.state),
    )
    found: list[ColumnElement[bool]] = [column == value for column, value in wanted if value is not None]
    if query.number is not None:
        found.append(or_(*(_ends_with(column, query.number) for column in (_c.src, _c.dst))))
    if query.extension is not None:
        found.append(_took_part(query.extension))
    if query.since is not None:
        found.append(_c.started_at >= query.since)
    if query.until is not None:
        found.append(_c.started_at < query.until)
    if query.told_to is not None:
        told = select(_d.call_id).where(_d.client.in_(query.told_to))
        found.append(_c.id.in_(told))
    if query.client is not None or query.outcome is not None:
        found.append(_has_delivery(query.client, query.outcome))
    return found


def _ends_with(column: ColumnElement[str | None], number: str) -> ColumnElement[bool]:
    if len(number) < 4:
        return column == number
    return column.endswith(number, autoescape=True)


def _took_part(extension: str) -> ColumnElement[bool]:
    """Documents and journals are JSON as `json.dumps` writes it, each leg with its extension."""
    name = json.dumps(extension, ensure_ascii=False)
    return or_(
        _c.exten == extension,
        _c.src == extension,
        _c.document.contains(f'"exten": {name}', autoescape=True),
        _c.document.is_(None) & _c.facts.contains(f'"extension": {name}', autoescape=True),
    )


def _has_delivery(client: str | None, outcome: str | None) -> ColumnElement[bool]:
    conditions = [_d.call_id == _c.id]
    if client is not None:
        conditions.append(_d.client == client)
    if outcome is not None:
        conditions.append(_d.status == outcome)
    return exists().where(*conditions)
