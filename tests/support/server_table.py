"""A CDR table on an SQL server, made as installations have it, and written as Asterisk writes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sql_servers import SqlServer

from vipex_bridge.config.presets import CDR_PRESETS
from vipex_bridge.config.settings import Cdr, Secret

_TEXT = (
    "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "disposition",
    "accountcode", "uniqueid", "userfield", "linkedid", "peeraccount", "recordingfile",
)  # fmt: skip
_OURS = ("ivr_digits", "custom_field", "pincode", "cost_location", "cc_call")
_FREEPBX = ("did", "cnum", "cnam", "outbound_cnum", "outbound_cnam", "dst_cnam")
BEGAN = datetime(2026, 11, 23)
EPOCH = 1_795_392_000


class ServerTable:
    """The table `cdr`, made anew. `preset` freepbx: as FreePBX makes it, with neither key nor sequence."""

    def __init__(self, server: SqlServer, preset: str = "adaptive_odbc", *, index: bool = True) -> None:
        self.server = server
        self.preset = preset
        self.make(index=index)

    @property
    def settings(self) -> Cdr:
        """The source as the bridge's configuration names it."""
        shape = CDR_PRESETS[self.preset]
        return Cdr(Secret(self.server.url), self.preset, shape.table, shape.columns, shape.time_format)

    @property
    def start(self) -> str:
        """The column of the start time."""
        return "calldate" if self.preset == "freepbx" else "start"

    def quoted(self, name: str) -> str:
        """A column's name in a statement."""
        return f"`{name}`" if self.server.kind == "mariadb" else f'"{name}"'

    def make(self, *, index: bool = True) -> None:
        """Makes the table anew, empty."""
        clock = "datetime" if self.server.kind == "mariadb" else "timestamp"
        if self.preset == "freepbx":
            columns = [f"calldate {clock} NOT NULL"]
            columns += [f"{name} int NOT NULL DEFAULT 0" for name in ("duration", "billsec")]
            columns += [f"{name} varchar(255) NOT NULL DEFAULT ''" for name in (*_TEXT, *_FREEPBX)]
        else:
            columns = [f"{self.quoted(name)} {clock}" for name in ("start", "answer", "end")]
            columns += ["duration int", "billsec int", "sequence int"]
            columns += [f"{name} varchar(255)" for name in (*_TEXT, *_OURS)]
        statements = ["DROP TABLE IF EXISTS cdr", f"CREATE TABLE cdr ({', '.join(columns)})"]
        if index:
            statements.append(f"CREATE INDEX cdr_start ON cdr ({self.quoted(self.start)})")
        self.server.run(*statements)

    def make_cel(self, *, index: bool = True) -> None:
        """Makes the table `cel` anew, as FreePBX has it, empty."""
        maria = self.server.kind == "mariadb"
        names = (
            "eventtype", "cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid", "exten", "context",
            "channame", "appname", "appdata", "accountcode", "uniqueid", "linkedid", "peer", "userfield",
            "userdeftype", "extra",
        )  # fmt: skip
        columns = [
            f"id {'int AUTO_INCREMENT' if maria else 'serial'} PRIMARY KEY",
            f"eventtime {'datetime' if maria else 'timestamp'} NOT NULL",
            "amaflags int",
            *(f"{name} varchar({512 if name == 'extra' else 80}) NOT NULL DEFAULT ''" for name in names),
        ]
        statements = ["DROP TABLE IF EXISTS cel", f"CREATE TABLE cel ({', '.join(columns)})"]
        if index:
            statements += [f"CREATE INDEX cel_{name} ON cel ({name})" for name in ("uniqueid", "linkedid")]
        self.server.run(*statements)

    def write(self, *numbers: int, **changed: Any) -> None:
        """A row of a 9 s call number `number`, which began that many minutes after 2026-11-23 00:00."""
        for number in numbers:
            statement, values = self.insert(number, **changed)
            self.server.run(statement, values=values)

    def insert(self, number: int, **changed: Any) -> tuple[str, tuple[Any, ...]]:
        """The statement that writes such a row, and its values."""
        start = BEGAN + timedelta(minutes=number)
        row: dict[str, Any] = {
            self.start: start, "duration": 9, "billsec": 4, "disposition": "ANSWERED",
            "channel": f"PJSIP/trunk-{number:08x}", "dstchannel": f"PJSIP/200-{number:08x}",
            "uniqueid": f"{EPOCH + 60 * number}.{number}", "linkedid": f"{EPOCH + 60 * number}.{number}",
        }  # fmt: skip
        if self.preset != "freepbx":
            row |= {
                "answer": start + timedelta(seconds=5), "end": start + timedelta(seconds=9),
                "sequence": number,
            }  # fmt: skip
        row |= changed
        names = ", ".join(map(self.quoted, row))
        return f"INSERT INTO cdr ({names}) VALUES ({', '.join('%s' for _ in row)})", tuple(row.values())
