"""The CDR file as Asterisk makes it and writes to it, for tests."""

from __future__ import annotations

import sqlite3
import time
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


def write_ended_call(master: Path, number: int = 1, **more: object) -> None:
    """Writes the row of an inbound call that 251 answered and that is just over; `more` columns besides."""
    begun = int(time.time()) + 1
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(begun))
    row = {
        "start": at, "answer": at, "end": at, "src": "36305551001", "dst": "3642999408",
        "channel": f"PJSIP/trunk-0000000{number}", "dstchannel": f"PJSIP/251-0000000{number}",
        "lastapp": "Dial", "duration": 0, "billsec": 0, "disposition": "ANSWERED",
        "uniqueid": f"{begun}.{number}", "linkedid": f"{begun}.{number}", "sequence": number,
    }  # fmt: skip
    write_row(master, row | more)
