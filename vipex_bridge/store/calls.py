"""Calls in the store: their ids and names, their state, the CDR rows and recordings they own."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from zlib import crc32

from sqlalchemy import (
    Connection,
    Text,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.privacy import without_numbers
from vipex_bridge.store import schema
from vipex_bridge.store.outbox import WAITING
from vipex_bridge.store.schema import SoundText
from vipex_bridge.store.statement import Statement, word

OPEN = ("live", "ended")
"""States of a call that is still to be told."""
CLOSED = ("told", "ignored")
"""Final states."""

_MOST_LIKES = 4096

_c = schema.calls.c


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call as the store has it. `facts` and `document` are JSON texts, None until there are any."""

    id: int
    node: str
    key: str
    """The name under which it was first seen."""
    state: str
    """live, ended (not told yet), told, or ignored (told to nobody)."""
    started_at: float
    ended_at: float | None
    told_at: float | None
    """When it was told, or closed without."""
    merged_into: int | None
    """The older call that this one turned out to be part of."""
    direction: int | None
    src: str | None
    dst: str | None
    exten: str | None
    facts: str | None
    document: str | None
    dropped_at: float | None
    """When its data were dropped (`store.privacy`): nothing is told of it any more."""


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """Where the recording that `reference` (`main_reference_id`) names is, as Asterisk named it."""

    reference: str
    call_id: int
    part_id: int | None
    path: str


def new_ids(connection: Connection, count: int) -> list[int]:
    """The next `count` numbers of the one sequence of calls and legs (call trees, section 3)."""
    if connection.dialect.name == "postgresql":
        series = func.generate_series(1, count).table_valued()
        drawn = connection.scalars(select(schema.call_ids.next_value()).select_from(series))
        return sorted(int(number) for number in drawn)
    first = next_id(connection)
    _SKIP.run(connection, {"following": str(first + count)})
    return list(range(first, first + count))


_NEXT = Statement(select(schema.meta.c.value).where(schema.meta.c.key == word("next_id")).with_for_update())
_SKIP = Statement(
    update(schema.meta).where(schema.meta.c.key == word("next_id")).values(value=bindparam("following"))
)
_NEW_CALL = Statement(
    insert(schema.calls)
    .values({name: bindparam(name) for name in ("id", "node", "key", "state", "started_at")})
    .inline()
)
_NEW_KEY = Statement(
    insert(schema.call_keys).values({c.name: bindparam(c.name) for c in schema.call_keys.c}).inline()
)


@lru_cache(maxsize=64)
def _named(count: int) -> Statement:
    """The calls that any of so many keys names."""
    named = schema.call_keys.c
    wanted = [bindparam(f"key{number}", type_=Text) for number in range(count)]
    return Statement(
        select(named.key, named.call_id, _c.state)
        .join(schema.calls, _c.id == named.call_id)
        .where(named.node == bindparam("of_node"), or_(*(named.key == key for key in wanted)))
    )


def identify(
    connection: Connection,
    node: str,
    keys: Sequence[str],
    started_at: float,
    now: float,
    keeps: str | None = None,
) -> int:
    """The id of the call that any of `keys` names, else a new one; all keys name it from now on.

    When they name several, these are one call: the one that the key `keeps` names, else the oldest that
    is still to be told, takes in the others, with their keys and rows. A call already told is only named
    when no other is: it is frozen.
    """
    names = list(dict.fromkeys(schema.storable(key) for key in keys if key))
    wanted = {f"key{number}": name for number, name in enumerate(names)}
    rows = _named(len(names)).rows(connection, {"of_node": node, **wanted}) if names else []
    found = {key: (known_id, state) for key, known_id, state in rows}
    ids = {known_id for known_id, _ in found.values()}
    still_open = {known_id for known_id, state in found.values() if state in OPEN}
    if found:
        kept = {known_id for key, (known_id, _) in found.items() if key == keeps} & still_open
        call_id = min(kept or still_open or ids)
    else:
        [call_id] = new_ids(connection, 1)
        row = {"id": call_id, "node": node, "key": names[0] if names else ""}
        _NEW_CALL.run(connection, {**row, "state": "live", "started_at": started_at})
    _take_in(connection, call_id, sorted(still_open - {call_id}), now)
    fresh = [{"node": node, "key": name, "call_id": call_id} for name in names if name not in found]
    if fresh:
        _NEW_KEY.run_each(connection, fresh)
    return int(call_id)


def _take_in(connection: Connection, call_id: int, others: list[int], now: float) -> None:
    if not others:
        return
    for table in (schema.call_keys, schema.cdr_rows):
        connection.execute(update(table).where(table.c.call_id.in_(others)).values(call_id=call_id))
    connection.execute(
        update(schema.calls)
        .where(_c.id.in_(others))
        .values(state="ignored", told_at=now, merged_into=call_id)
    )


def call_id(connection: Connection, node: str, key: str) -> int | None:
    """The id of the call that `key` names."""
    named = schema.call_keys.c
    return connection.scalar(select(named.call_id).where(named.node == node, named.key == key))


def save(
    connection: Connection,
    call_id: int,
    *,
    state: str,
    started_at: float,
    ended_at: float | None,
    facts: str | None,
) -> None:
    """Journal a call that is still to be told; `facts` None keeps what is there."""
    _SAVE.run(
        connection,
        {"of_id": call_id, "becomes": state, "began": started_at, "ended": ended_at, "known": facts},
    )


def close(connection: Connection, call_id: int, state: str, now: float) -> bool:
    """Give an open call its final state; False when it has one already, which stands."""
    return bool(_CLOSE.run(connection, {"of_id": call_id, "becomes": state, "now": now}))


_still_open = (_c.id == bindparam("of_id"), or_(*(_c.state == word(state) for state in OPEN)))
_SAVE = Statement(
    update(schema.calls)
    .where(*_still_open)
    .values(
        state=bindparam("becomes"),
        started_at=bindparam("began"),
        ended_at=bindparam("ended"),
        facts=func.coalesce(bindparam("known", type_=SoundText), _c.facts),
    )
)
_CLOSE = Statement(
    update(schema.calls).where(*_still_open).values(state=bindparam("becomes"), told_at=bindparam("now"))
)
_TOLD = ("started_at", "ended_at", "direction", "src", "dst", "exten", "document")
_TELL = Statement(
    update(schema.calls)
    .where(*_still_open)
    .values(
        state=word("told"), told_at=bindparam("now"), **{name: bindparam(f"new_{name}") for name in _TOLD}
    )
)


def tell(
    connection: Connection, call_id: int, document: CallDocument, document_json: str, now: float
) -> bool:
    """Freeze the document of an open call; False when the call was closed before."""
    main = document.main
    told: tuple[object, ...] = (
        main.start_time, main.hangup_time, int(main.direction), main.src, main.dst, main.exten, document_json,
    )  # fmt: skip
    values = {f"new_{name}": value for name, value in zip(_TOLD, told, strict=True)}
    return bool(_TELL.run(connection, {"of_id": call_id, "now": now, **values}))


def get(connection: Connection, call_id: int) -> StoredCall | None:
    """The call of that id."""
    row = connection.execute(select(schema.calls).where(_c.id == call_id)).one_or_none()
    return None if row is None else StoredCall(*row)


def recent(
    connection: Connection, limit: int, before_id: int | None, state: str | None, since: float | None
) -> list[StoredCall]:
    """Calls, latest first."""
    query = select(schema.calls).order_by(_c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(_c.id < before_id)
    if state is not None:
        query = query.where(_c.state == state)
    if since is not None:
        query = query.where(_c.started_at >= since)
    return [StoredCall(*row) for row in connection.execute(query)]


def still_open(connection: Connection, node: str) -> list[StoredCall]:
    """The node's calls that are still to be told, oldest first."""
    query = select(schema.calls).where(_c.state.in_(OPEN), _c.node == node).order_by(_c.id)
    return [StoredCall(*row) for row in connection.execute(query)]


def add_rows(
    connection: Connection, node: str, rows: Sequence[CdrRow], call_id: int, now: float
) -> list[CdrRow]:
    """Keep the rows that are not there yet, and give these; their keys alone where data were dropped."""
    new = []
    [(dropped_at,)] = _DROPPED_AT.rows(connection, {"of_id": call_id}) or [(None,)]
    for row in rows:
        key = _key_columns(node, row)
        if not _is_kept(connection, key):
            text = "" if dropped_at is not None else json.dumps(asdict(row))
            _NEW_ROW.run(connection, {**key, "row": text, "call_id": call_id, "seen_at": now})
            new.append(row)
    return new


def _is_kept(connection: Connection, key: Mapping[str, object]) -> bool:
    """Whether there is a row of that key; earlier versions kept every row without a sequence as -1."""
    sequence = int(str(key["sequence"]))
    once = sequence if sequence >= 0 else -1
    return bool(_ROW_AT.rows(connection, {**key, "once": once}))


_KEY = ("node", "uniqueid", "sequence", "dstchannel", "start")
_DROPPED_AT = Statement(select(_c.dropped_at).where(_c.id == bindparam("of_id")))
_ROW_AT = Statement(
    select(schema.cdr_rows.c.id).where(
        *(schema.cdr_rows.c[name] == bindparam(name) for name in _KEY if name != "sequence"),
        or_(*(schema.cdr_rows.c.sequence == bindparam(name) for name in ("sequence", "once"))),
    )
)
_NEW_ROW = Statement(
    insert(schema.cdr_rows)
    .values({name: bindparam(name) for name in (*_KEY, "row", "call_id", "seen_at")})
    .inline()
)


def _key_columns(node: str, row: CdrRow) -> dict[str, object]:
    """`CdrRow.key` as columns, which outlive the row's data: a number dialled by a Local channel is masked.

    A start of -1 stands for None: to SQL no NULL equals another.
    """
    return {
        "node": node,
        "uniqueid": row.uniqueid,
        "sequence": _of_likes(row) if row.sequence is None else row.sequence,
        "dstchannel": without_numbers(row.dstchannel),
        "start": -1.0 if row.start is None else row.start,
    }


def _of_likes(row: CdrRow) -> int:
    """In place of a sequence, below -1: what the row is like, and which of its likes it is."""
    return -2 - (crc32(repr(row.likeness).encode()) * _MOST_LIKES + min(row.occurrence, _MOST_LIKES - 1))


def rows_of(connection: Connection, call_id: int) -> list[CdrRow]:
    """The call's rows in the order in which they were kept; none when their data were dropped."""
    rows = schema.cdr_rows.c
    query = select(rows.row).where(rows.call_id == call_id, rows.row != "").order_by(rows.id)
    return [CdrRow(**json.loads(text)) for text in connection.scalars(query)]


def still_to_be_told(connection: Connection, node: str, keys: Collection[str]) -> set[str]:
    """Those of `keys` that name no call which is told or closed."""
    names = {schema.storable(key): key for key in keys}
    named = schema.call_keys.c
    closed = (
        select(named.key)
        .join(schema.calls, _c.id == named.call_id)
        .where(named.node == node, named.key.in_(names), _c.state.not_in(OPEN))
    )
    return set(keys) - {names[name] for name in connection.scalars(closed)}


def not_kept(connection: Connection, node: str, rows: Sequence[CdrRow]) -> list[CdrRow]:
    """Those of `rows` that are not there."""
    return [row for row in rows if not _is_kept(connection, _key_columns(node, row))]


def key_of(connection: Connection, call_id: int) -> str:
    """The name under which the call was first seen."""
    [(key,)] = _KEY_OF.rows(connection, {"of_id": call_id})
    return str(key)


_KEY_OF = Statement(select(_c.key).where(_c.id == bindparam("of_id")))


def next_id(connection: Connection) -> int:
    """The next number of the one sequence of calls and legs."""
    [(number,)] = _NEXT.rows(connection)
    return int(number)


def skip_ids(connection: Connection, first: int) -> None:
    """Let the next number be `first`, which must be greater than any given before."""
    _SKIP.run(connection, {"following": str(first)})


def undelivered_since(connection: Connection, now: float) -> float:
    """When the oldest call began that is still to be told, or to be delivered; `now` without one."""
    waiting = schema.deliveries.c
    to_tell = select(func.min(_c.started_at)).where(
        _c.state.in_(OPEN),
        or_(_c.facts.is_not(None), exists().where(schema.cdr_rows.c.call_id == _c.id)),
    )
    to_deliver = (
        select(func.min(_c.started_at))
        .join(schema.deliveries, waiting.call_id == _c.id)
        .where(waiting.status.in_(WAITING), waiting.kind == "call_end")
    )
    oldest = [at for at in (connection.scalar(to_tell), connection.scalar(to_deliver)) if at is not None]
    return float(min([*oldest, now]))


def add_recording(
    connection: Connection, reference: str, call_id: int, path: str, part_id: int | None
) -> None:
    """Remember which file a reference names."""
    connection.execute(
        insert(schema.recordings).values(reference=reference, call_id=call_id, part_id=part_id, path=path)
    )


def move_recording(connection: Connection, call_id: int, path: str, file: str, document: str) -> None:
    """The recording of a told call that was to be at `path` is in `file`; its reference stays."""
    found, told = schema.recordings, schema.calls
    connection.execute(
        update(found).where(found.c.call_id == call_id, found.c.path == path).values(path=file)
    )
    connection.execute(update(told).where(told.c.id == call_id).values(document=document))


def recording(connection: Connection, reference: str) -> StoredRecording | None:
    """What `reference` names."""
    found = schema.recordings
    query = select(found).where(found.c.reference == reference, found.c.path != "")
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredRecording(*row)
