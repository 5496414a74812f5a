"""The laboratory's Asterisk with a database server as its only place for CDRs, as installations have it."""

from __future__ import annotations

from pathlib import Path

from server_table import ServerTable
from sql_servers import DATABASE, PASSWORD, SqlServer

_ODBC_INI = """[asterisk]
Driver = MariaDB Unicode
SERVER = 127.0.0.1
PORT = {port}
DATABASE = {database}
"""
_RES_ODBC = """[asterisk]
enabled => yes
dsn => asterisk
username => asterisk
password => {password}
pre-connect => yes
"""
_FREEPBX = """[asteriskcdr]
connection = asterisk
table = cdr
alias start => calldate
"""
_CEL_ODBC = """[asteriskcel]
connection = asterisk
table = cel
"""
_PGSQL = """[global]
hostname = 127.0.0.1
port = {port}
dbname = {database}
user = asterisk
password = {password}
table = cdr
"""


class WrittenToServer:
    """Has Asterisk write its rows to a table of that server and to no other place."""

    def __init__(self, server: SqlServer) -> None:
        self.table = ServerTable(server, "freepbx" if server.kind == "mariadb" else "pgsql")
        self.table.make_cel()
        self._values = {"port": str(server.port), "database": DATABASE, "password": PASSWORD}

    @property
    def sources(self) -> str:
        """The bridge's configuration of it."""
        return (
            f"  cdr: {{{{source: '{self.table.server.url}', preset: {self.table.preset}, "
            "poll: 250ms, settle: 1s}}\n"
            f"  cel: {{{{source: '{self.table.server.url}', poll: 250ms}}}}"
        )

    def rows(self) -> int:
        """How many rows Asterisk has written."""
        return int(self.table.server.run("SELECT COUNT(*) FROM cdr")[0][0])

    def prepare(self, folder: Path) -> None:
        """Writes Asterisk's files."""
        etc = folder / "etc"
        modules = (etc / "modules.conf").read_text("utf-8")
        for name in ("cdr_sqlite3_custom", "cel_sqlite3_custom"):
            modules = modules.replace(f"load => {name}.so\n", "")
        if self.table.preset == "freepbx":
            names: tuple[str, ...] = (
                "res_odbc_transaction", "res_odbc", "cdr_adaptive_odbc", "cel_odbc",
            )  # fmt: skip
            (etc / "odbc.ini").write_text(_ODBC_INI.format(**self._values), "utf-8")
            (etc / "res_odbc.conf").write_text(_RES_ODBC.format(**self._values), "utf-8")
            (etc / "cdr_adaptive_odbc.conf").write_text(_FREEPBX, "utf-8")
            (etc / "cel_odbc.conf").write_text(_CEL_ODBC, "utf-8")
        else:
            names = ("cdr_pgsql", "cel_pgsql")
            told = _PGSQL.format(**self._values)
            (etc / "cdr_pgsql.conf").write_text(told, "utf-8")
            (etc / "cel_pgsql.conf").write_text(told.replace("table = cdr", "table = cel"), "utf-8")
        loaded = "".join(f"load => {name}.so\n" for name in names)
        (etc / "modules.conf").write_text(modules + loaded, "utf-8")
