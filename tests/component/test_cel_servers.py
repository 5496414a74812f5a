"""CEL on real servers: the rows of one call, found by its names, in the order in which they were written."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from captured_cel import cel_rows_of
from captured_rows import CAPTURES
from server_table import ServerTable
from sql_servers import PASSWORD, SqlServer

from vipex_bridge.calls.rows import CelRow
from vipex_bridge.cdr.cel_rows import CelSource
from vipex_bridge.cdr.sources import open_cel
from vipex_bridge.config.presets import CEL_PRESET_OF_SERVERS
from vipex_bridge.config.settings import Cdr, Secret
from vipex_bridge.errors import SourceError

REFER = "with_cel/attended_refer"
"""Two calls of 251, of two linkedids, that become one."""
SHAPE = CEL_PRESET_OF_SERVERS


@pytest.fixture
def table(sql_server: SqlServer) -> ServerTable:
    made = ServerTable(sql_server)
    made.make_cel()
    return made


def source(server: SqlServer, table: str = "cel", **columns: str) -> CelSource:
    names = {**SHAPE.columns, **columns}
    return open_cel(Cdr(Secret(server.url), "cel", table, names, SHAPE.time_format), ZoneInfo("UTC"))


def log(table: ServerTable, case: str, prefix: str = "") -> None:
    """Writes a captured call's rows as Asterisk would, to whole seconds, under names of its own."""
    for line in (CAPTURES / case / "cel.jsonl").read_text("utf-8").splitlines():
        data = json.loads(line)
        row = {
            "eventtype": data["eventtype"],
            "eventtime": datetime.fromtimestamp(int(float(data["eventtime"])), ZoneInfo("UTC")).replace(
                tzinfo=None
            ),
            "channame": data["channame"],
            "uniqueid": prefix + data["uniqueid"],
            "linkedid": prefix + data["linkedid"],
            "cid_num": data.get("cidnum", ""),
            "exten": data.get("exten", ""),
            "context": data.get("context", ""),
            "appname": data.get("appname", ""),
            "appdata": data.get("appdata", "")[:80],
            "extra": data.get("eventextra", "").replace('uniqueid":"', f'uniqueid":"{prefix}'),
        }
        marks = ", ".join("%s" for _ in row)
        table.server.run(f"INSERT INTO cel ({', '.join(row)}) VALUES ({marks})", values=tuple(row.values()))


def _told(rows: list[CelRow]) -> list[tuple[str, str, str, str]]:
    return [(row.event, row.channel, row.caller_number, row.extra) for row in rows]


def test_a_call_is_found_among_others_with_all_that_it_speaks_of(
    sql_server: SqlServer, table: ServerTable
) -> None:
    log(table, "b_inbound_simple", "before-")
    log(table, REFER)
    log(table, REFER, "after-")
    expected = cel_rows_of(REFER)
    rows = source(sql_server).rows_of([expected[0].linkedid], expected[0].at, None)
    assert _told(rows) == _told(expected)
    assert len({row.linkedid for row in rows}) > 1, "the consultation's own linkedid"
    assert [row.at for row in rows] == [int(row.at) for row in expected]
    assert source(sql_server).rows_of(["1.1"], 0.0, None) == []


def test_a_table_without_indexes_is_told_with_what_to_run(sql_server: SqlServer, table: ServerTable) -> None:
    assert source(sql_server).check() == []
    table.make_cel(index=False)
    lines = source(sql_server).check()
    assert [line.rpartition("CREATE INDEX")[2] for line in lines] == [
        " cel_linkedid ON cel (linkedid);",
        " cel_uniqueid ON cel (uniqueid);",
    ]
    for line in lines:
        sql_server.run(f"CREATE INDEX{line.rpartition('CREATE INDEX')[2]}")
    assert source(sql_server).check() == []


@pytest.mark.usefixtures("table")
def test_what_is_lacking_is_said_without_the_password(sql_server: SqlServer) -> None:
    for asked, said in (
        (source(sql_server, "nowhere"), "no table nowhere"),
        (source(sql_server, eventextra="sonstiges"), "no column sonstiges"),
    ):
        with pytest.raises(SourceError, match=said) as caught:
            asked.check()
        assert "asterisk.cel" in str(caught.value) and PASSWORD not in str(caught.value)
