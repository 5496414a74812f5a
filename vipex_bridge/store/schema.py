"""The tables of the state database, and the types they are made of.

Times are seconds since the epoch as float. What only we read back is JSON text. Rows belong to a
`node`, so that several bridges can share one database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.types import TypeDecorator

from vipex_bridge.errors import StoreError
from vipex_bridge.render.escape import sound

SCHEMA_VERSION = 3

Id = BigInteger().with_variant(Integer, "sqlite")
"""SQLite grows a key by itself only when its type is INTEGER."""


def storable(text: str) -> str:
    """`text` as every database takes it: a caller's name may hold what UTF-8 or PostgreSQL does not."""
    return sound(text).replace("\0", "\ufffd")


class SoundText(TypeDecorator[str]):
    """Text from outside: lone surrogates and NUL are replaced on the way in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """The text as it is stored."""
        return None if value is None else storable(value)


def _index_of_kept(name: str, moment: str) -> Index:
    """Of the rows whose data have not been dropped (`store.privacy`), by when they were finished."""
    kept = text("dropped_at IS NULL")
    return Index(name, moment, sqlite_where=kept, postgresql_where=kept)


metadata = MetaData()

call_ids = Sequence("vipex_call_ids", data_type=BigInteger, metadata=metadata)
"""Of calls and legs, where bridges share a database: none waits for another's transaction. SQLite has no
sequences, and one bridge: `meta.next_id`."""

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("node", SoundText, nullable=False),
    Column("key", SoundText, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("told_at", Double),
    Column("merged_into", Id),
    Column("direction", Integer),
    Column("src", SoundText),
    Column("dst", SoundText),
    Column("exten", SoundText),
    Column("facts", SoundText),
    Column("document", SoundText),
    Column("dropped_at", Double),
    Index("calls_by_state", "state", "told_at"),
    _index_of_kept("calls_kept", "told_at"),
)

call_keys = Table(
    "call_keys",
    metadata,
    Column("node", SoundText, primary_key=True),
    Column("key", SoundText, primary_key=True),
    Column("call_id", Id, ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
    Index("call_keys_by_call", "call_id"),
)

cdr_cursor = Table(
    "cdr_cursor",
    metadata,
    Column("node", SoundText, primary_key=True),
    Column("cursor", SoundText, nullable=False),
)

cdr_rows = Table(
    "cdr_rows",
    metadata,
    Column("id", Id, primary_key=True),
    Column("node", SoundText, nullable=False),
    Column("uniqueid", SoundText, nullable=False),
    Column("sequence", Id, nullable=False),
    Column("dstchannel", SoundText, nullable=False),
    Column("start", Double, nullable=False),
    Column("row", SoundText, nullable=False),
    Column("call_id", Id, ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
    Column("seen_at", Double, nullable=False),
    UniqueConstraint("node", "uniqueid", "sequence", "dstchannel", "start"),
    Index("cdr_rows_by_call", "call_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("dedupe_key", SoundText, unique=True),
    Column("node", SoundText, nullable=False),
    Column("client", SoundText, nullable=False),
    Column("kind", Text, nullable=False),
    Column("call_id", Id, nullable=False),
    Column("event", SoundText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_index", Integer, nullable=False),
    Column("next_attempt_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("error", SoundText),
    Column("request", SoundText),
    Column("dropped_at", Double),
    # How many recordings it takes from files that only its own node can read.
    Column("own_files", Integer, nullable=False, server_default="0"),
    Index("deliveries_due", "node", "client", "status", "next_attempt_at", "id"),
    Index("deliveries_expiring", "node", "client", "status", "expires_at"),
    Index("deliveries_of_call", "call_id", "client", "id"),
    Index("deliveries_of_client", "client", "id"),
    Index("deliveries_by_status", "status", "finished_at"),
    _index_of_kept("deliveries_kept", "finished_at"),
    sqlite_autoincrement=True,
)

nodes = Table(
    "nodes",
    metadata,
    Column("node", SoundText, primary_key=True),
    Column("bridge", SoundText, nullable=False),
    Column("seen_at", Double, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("elapsed_s", Double, nullable=False),
    Column("status_code", Integer),
    Column("outcome", Text, nullable=False),
    Column("error", SoundText),
    Column("answer", SoundText),
    Index("attempts_of_delivery", "delivery_id", "id"),
)

recordings = Table(
    "recordings",
    metadata,
    Column("reference", Text, primary_key=True),
    Column("call_id", Id, ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
    Column("part_id", Id),
    Column("path", SoundText, nullable=False),
    Index("recordings_of_call", "call_id"),
)


def prepare(connection: Connection) -> None:
    """Create the tables in an empty database; in any other, make sure that they are ours, and up to date.

    Raises StoreError for the tables of another program and for those of a newer bridge.
    """
    present = set(inspect(connection).get_table_names())
    if not present:
        metadata.create_all(connection)
        connection.execute(insert(meta).values(key="schema_version", value=str(SCHEMA_VERSION)))
        connection.execute(insert(meta).values(key="next_id", value="1"))
        return
    found = None
    if {"meta", "deliveries"} <= present:
        found = connection.scalar(select(meta.c.value).where(meta.c.key == "schema_version"))
    if found is None or not found.isdigit():
        raise StoreError("holds the tables of another program: name one of its own under store")
    if int(found) > SCHEMA_VERSION:
        raise StoreError(
            f"was made by a newer vipex-bridge (schema {found}, this one knows {SCHEMA_VERSION}):"
            " upgrade the bridge, or put back the store's backup"
        )
    if int(found) < SCHEMA_VERSION:
        # Alembic takes a while to be imported, and this is needed once.
        from vipex_bridge.store import migrating

        migrating.upgrade(connection, int(found))
        value = str(SCHEMA_VERSION)
        connection.execute(update(meta).where(meta.c.key == "schema_version").values(value=value))
