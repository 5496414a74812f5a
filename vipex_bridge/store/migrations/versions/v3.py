"""Version 3 can be shared: who lives, whose files a delivery needs, and ids that no bridge waits for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateSequence

revision = "3"
down_revision = "2"

_DELIVERIES = sa.table("deliveries", sa.column("own_files"), sa.column("request"))


def upgrade() -> None:
    """From version 2."""
    op.create_table(
        "nodes",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("bridge", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.add_column("deliveries", sa.Column("own_files", sa.Integer, nullable=False, server_default="0"))
    has_some = _DELIVERIES.c.request.contains('"source": "recording"')
    op.execute(sa.update(_DELIVERIES).where(has_some).values(own_files=1))
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        number = sa.text("SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'next_id'")
        first = int(connection.scalar(number) or 1)
        op.execute(CreateSequence(sa.Sequence("vipex_call_ids", start=first, data_type=sa.BigInteger)))
