"""Names of tables and columns come from the configuration: each is a name, whatever is in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vipex_bridge.cdr.sqlite_source import SqliteSource
from vipex_bridge.config.settings import Cdr, Secret

ODD = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30) | st.sampled_from(
    ['a"b', 'x" FROM y; DROP TABLE cdr; --', "a b", "select", "%s %(x)s :x ?", "a'b", "[a]", "`a`", "né"]
)


@given(table=ODD, column=ODD, value=ODD)
@example(
    table='cdr"; DROP TABLE kept; --', column='src" AS x, uniqueid AS "y', value="'); DROP TABLE kept; --"
)
def test_a_name_or_a_value_is_never_a_statement(
    tmp_path_factory: pytest.TempPathFactory,
    table: str,
    column: str,
    value: str,
) -> None:
    if table.lower().startswith("sqlite_") or column.lower() in {"uniqueid", "channel", "start", "end"}:
        return
    path: Path = tmp_path_factory.mktemp("names") / "master.db"
    own = {"uniqueid": "1.1", "channel": "PJSIP/trunk-1", "start": "2026-11-23 05:30:30", column: value}
    quoted = ['"' + name.replace('"', '""') + '"' for name in (table, *own)]
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE kept (a)" if table.lower() != "kept" else "SELECT 1")
        database.execute(f"CREATE TABLE {quoted[0]} ({', '.join(quoted[1:])})")
        database.execute(f"INSERT INTO {quoted[0]} VALUES (?, ?, ?, ?)", list(own.values()))
    database.close()
    columns = {"uniqueid": "uniqueid", "channel": "channel", "start": "start", "src": column}
    cdr = Cdr(Secret(f"sqlite:///{path}"), "sqlite3_custom", table, columns, "%Y-%m-%d %H:%M:%S")
    source = SqliteSource(cdr, ZoneInfo("UTC"))
    assert [row.src for row in source.since(0.0, None)] == [value]
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (
            2 if table.lower() != "kept" else 1,
        )
    database.close()
