"""The CDR file as Asterisk makes it and writes to it, for tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

COLUMNS = (
    "start, answer, end, clid, src, dst, dcontext, channel, dstchannel, lastapp, lastdata, "
    "duration, billsec, disposition, amaflags, accountcode, peeraccount, uniqueid, linkedid, sequence, "
    "userfield, ivr_digits, custom_field, pincode, cost_location, cc_call, recordingfile"
)
"""Those of the preset sqlite3_custom."""


def make_table(master: Path, columns: str = COLUMNS) -> None:
    """Makes the table, and the file if there is none."""
    with closing(sqlite3.connect(master)) as database:
        database.execute(f"CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, {columns})")
        database.commit()


def write_row(master: Path, row: Mapping[str, object]) -> None:
    """Writes a row; columns that it does not name stay empty. Waits for others who write."""
    with closing(sqlite3.connect(master, timeout=20)) as database:
        marks = ", ".join("?" for _ in row)
        database.execute(f"INSERT INTO cdr ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        database.commit()
