"""What must be known when the database itself is lost: kept in a small file beside it.

Written every few seconds, by replacing it whole, so that a crash leaves the one before or the one after.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

IDS_AHEAD = 100_000
"""Ids that may have been given since the file was written, generously: none is ever given twice."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the bridge had come."""

    next_id: int
    """No id from this one on had been given."""
    undelivered_since: float
    """No call that began before this was still to be told or delivered: epoch seconds."""
    damaged: str = ""
    """What was found wrong with the database while it was in use; '' for nothing."""


def path_beside(database: Path) -> Path:
    """Where the file is."""
    return database.with_name(database.name + ".progress")


def read(database: Path) -> Progress | None:
    """What was last written; None when there is nothing that can be used."""
    try:
        data = json.loads(path_beside(database).read_bytes())
        return Progress(int(data["next_id"]), float(data["undelivered_since"]), str(data["damaged"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(database: Path, progress: Progress) -> None:
    """Replace what was written before. Raises OSError."""
    path = path_beside(database)
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        json.dump(asdict(progress), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
