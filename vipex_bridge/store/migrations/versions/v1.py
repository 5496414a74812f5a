"""Version 1: calls, their rows and recordings, the outbox with every try."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """The tables of the first version."""
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("id", _Id, primary_key=True, autoincrement=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("told_at", sa.Double),
        sa.Column("merged_into", _Id),
        sa.Column("direction", sa.Integer),
        sa.Column("src", sa.Text),
        sa.Column("dst", sa.Text),
        sa.Column("exten", sa.Text),
        sa.Column("facts", sa.Text),
        sa.Column("document", sa.Text),
    )
    op.create_index("calls_by_state", "calls", ["state", "told_at"])
    _of_calls()
    _of_deliveries()


def _of_calls() -> None:
    op.create_table(
        "call_keys",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("call_id", _Id, sa.ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("call_keys_by_call", "call_keys", ["call_id"])
    op.create_table(
        "cdr_cursor",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("cursor", sa.Text, nullable=False),
    )
    op.create_table(
        "cdr_rows",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("uniqueid", sa.Text, nullable=False),
        sa.Column("sequence", _Id, nullable=False),
        sa.Column("dstchannel", sa.Text, nullable=False),
        sa.Column("start", sa.Double, nullable=False),
        sa.Column("row", sa.Text, nullable=False),
        sa.Column("call_id", _Id, sa.ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.UniqueConstraint("node", "uniqueid", "sequence", "dstchannel", "start"),
    )
    op.create_index("cdr_rows_by_call", "cdr_rows", ["call_id"])
    op.create_table(
        "recordings",
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("call_id", _Id, sa.ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
        sa.Column("part_id", _Id),
        sa.Column("path", sa.Text, nullable=False),
    )
    op.create_index("recordings_of_call", "recordings", ["call_id"])


def _of_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("idempotency_key", sa.Text, nullable=False, unique=True),
        sa.Column("dedupe_key", sa.Text, unique=True),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("call_id", _Id, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("retry_index", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("error", sa.Text),
        sa.Column("request", sa.Text),
        sqlite_autoincrement=True,
    )
    of_client = ["node", "client", "status"]
    op.create_index("deliveries_due", "deliveries", [*of_client, "next_attempt_at", "id"])
    op.create_index("deliveries_expiring", "deliveries", [*of_client, "expires_at"])
    op.create_index("deliveries_of_call", "deliveries", ["call_id", "client", "id"])
    op.create_index("deliveries_of_client", "deliveries", ["client", "id"])
    op.create_index("deliveries_by_status", "deliveries", ["status", "finished_at"])
    op.create_table(
        "attempts",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("delivery_id", _Id, sa.ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("elapsed_s", sa.Double, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("answer", sa.Text),
    )
    op.create_index("attempts_of_delivery", "attempts", ["delivery_id", "id"])
