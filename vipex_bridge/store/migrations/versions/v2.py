"""Version 2 knows when the data of a call or a delivery were dropped; no number is in a row's key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from vipex_bridge.privacy import without_numbers

revision = "2"
down_revision = "1"

_ROWS = sa.table("cdr_rows", sa.column("id"), sa.column("dstchannel"))


def upgrade() -> None:
    """From version 1."""
    kept = sa.text("dropped_at IS NULL")
    for table, moment in (("calls", "told_at"), ("deliveries", "finished_at")):
        op.add_column(table, sa.Column("dropped_at", sa.Double))
        op.create_index(f"{table}_kept", table, [moment], sqlite_where=kept, postgresql_where=kept)
    connection, row = op.get_bind(), _ROWS.c
    for row_id, before in connection.execute(sa.select(row.id, row.dstchannel)).all():
        if (masked := without_numbers(before)) != before:
            connection.execute(sa.update(_ROWS).where(row.id == row_id).values(dstchannel=masked))
