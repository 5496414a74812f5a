"""The tables of the bridge's own database. Times are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

VERSION = 1
"""The schema's version; a database of a newer one is refused."""

metadata = MetaData()

meta = Table(
    "meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False)
)

calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("node", String(255), nullable=False),
    Column("key", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("told_at", Float),
    Column("direction", Integer),
    Column("src", String(255)),
    Column("dst", String(255)),
    Column("exten", String(255)),
    Column("facts", Text),
    Column("document", Text),
    Index("calls_by_state", "node", "state"),
    Index("calls_by_told", "told_at"),
)

call_keys = Table(
    "call_keys",
    metadata,
    Column("node", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("call_id", Integer, nullable=False),
    Index("call_keys_by_call", "call_id"),
)

cdr_cursor = Table(
    "cdr_cursor",
    metadata,
    Column("node", String(255), primary_key=True),
    Column("cursor", Text, nullable=False),
)

cdr_rows = Table(
    "cdr_rows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("node", String(255), nullable=False),
    Column("row_key", String(512), nullable=False),
    Column("call_id", Integer, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("row", Text, nullable=False),
    UniqueConstraint("node", "row_key", name="one_row_once"),
    Index("cdr_rows_by_call", "call_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("idempotency_key", String(64), nullable=False, unique=True),
    Column("node", String(255), nullable=False),
    Column("client", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("call_id", Integer, nullable=False),
    Column("event", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_index", Integer, nullable=False),
    Column("next_attempt_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("error", Text),
    Column("request", Text),
    Column("dedupe_key", String(512), unique=True),
    Index("deliveries_due", "client", "status", "next_attempt_at"),
    Index("deliveries_in_order", "client", "call_id", "id"),
    Index("deliveries_by_call", "call_id"),
    Index("deliveries_finished", "status", "finished_at"),
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("delivery_id", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("elapsed_s", Float, nullable=False),
    Column("status_code", Integer),
    Column("outcome", String(16), nullable=False),
    Column("error", Text),
    Column("answer", Text),
    Index("attempts_by_delivery", "delivery_id"),
)

recordings = Table(
    "recordings",
    metadata,
    Column("reference", String(64), primary_key=True),
    Column("call_id", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Index("recordings_by_call", "call_id"),
)
