"""A state database of an earlier version brought up to date, by Alembic, within one transaction."""

from __future__ import annotations

from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

log = structlog.get_logger()

STEPS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, version: int) -> None:
    """Take every step from `version` (0: an empty database) to the newest; all of them are done, or none."""
    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if version:
        # Bridges before version 3 did not tell Alembic what they had made.
        command.stamp(config, str(version))
    command.upgrade(config, "head")
    log.info("store.upgraded", from_version=version)
