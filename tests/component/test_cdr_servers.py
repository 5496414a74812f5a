"""CDR rows out of real MariaDB and PostgreSQL servers, whatever the order in which they were written."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from server_table import BEGAN, EPOCH, ServerTable
from sql_servers import PASSWORD, SqlServer
from structlog.testing import capture_logs

from vipex_bridge.cdr import server_source
from vipex_bridge.cdr.poller import MAX_ROWS, Poller
from vipex_bridge.cdr.sources import open_source
from vipex_bridge.config.settings import Secret, User, UsersQuery
from vipex_bridge.errors import SourceError
from vipex_bridge.people import asked

UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture(autouse=True)
def _a_day_in_december(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later than all the calls here."""
    monkeypatch.setattr(time, "time", lambda: EPOCH + 10 * 86_400.0)


@pytest.fixture(params=["adaptive_odbc", "freepbx"])
def table(sql_server: SqlServer, request: pytest.FixtureRequest) -> ServerTable:
    return ServerTable(sql_server, request.param)


@pytest.fixture
def odbc(sql_server: SqlServer) -> ServerTable:
    return ServerTable(sql_server)


def poller(table: ServerTable, cursor: Mapping[str, Any] | None = None) -> Poller:
    kept = json.loads(json.dumps(cursor)) if cursor is not None else None
    return Poller(table.settings, UTC_ZONE, kept)


def started(table: ServerTable) -> Poller:
    made = poller(table)
    made.poll()
    return made


def calls(of: Poller) -> list[int]:
    """The numbers of the calls whose rows the next poll gives."""
    return [int(row.uniqueid.rpartition(".")[2]) for row in of.poll().rows]


def wide_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_source, "WIDE_EVERY_S", 0.0)


# -- what is new ----------------------------------------------------------------------------


def test_the_first_look_tells_nothing_of_the_past_and_the_next_what_is_new(table: ServerTable) -> None:
    table.write(1, 2, 3)
    polling = started(table)
    assert calls(polling) == []
    table.write(5, 4)
    assert calls(polling) == [4, 5]
    assert calls(polling) == []


def test_the_past_is_not_told_after_a_restart_either(table: ServerTable) -> None:
    table.write(1, 2, 3)
    cursor = started(table).poll().cursor
    table.write(4)
    assert calls(poller(table, cursor)) == [4]


def test_a_row_reads_as_asterisk_meant_it(table: ServerTable) -> None:
    polling = started(table)
    table.write(0, src="36709676052", clid='"Kovács Ágnes" <36>', recordingfile="/r/in-1.wav")
    row = polling.poll().rows[0]
    assert (row.start, row.answer, row.end) == (EPOCH, EPOCH + 5, EPOCH + 9)
    assert (row.duration, row.billsec, row.disposition) == (9, 4, "ANSWERED")
    assert (row.src, row.clid, row.recordingfile) == ("36709676052", '"Kovács Ágnes" <36>', "/r/in-1.wav")
    assert row.sequence == (0 if table.preset != "freepbx" else None)


def test_a_call_of_many_hours_is_found_though_its_start_is_long_ago(
    table: ServerTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    polling = started(table)
    table.write(23 * 60)
    assert calls(polling) == [23 * 60]
    table.write(5, duration=22 * 3600)
    wide_now(monkeypatch)
    assert calls(polling) == [5]


def test_rows_of_one_second_each_come_once(table: ServerTable) -> None:
    polling = started(table)
    table.write(1)
    assert calls(polling) == [1]
    same = BEGAN + timedelta(minutes=1)
    table.write(2, **{table.start: same})
    assert calls(polling) == [2]
    table.write(3, 4, **{table.start: same})
    assert calls(polling) == [3, 4]


def test_a_row_that_is_committed_late_is_not_lost(table: ServerTable) -> None:
    polling = started(table)
    with table.server.connection() as slow:
        slow.cursor().execute(*table.insert(1))
        table.write(2)
        assert calls(polling) == [2]
        slow.commit()
    assert calls(polling) == [1]


def test_rows_of_a_second_asterisk_whose_clock_is_behind_are_not_lost(table: ServerTable) -> None:
    polling = started(table)
    table.write(30)
    assert calls(polling) == [30]
    table.write(20)
    assert calls(polling) == [20]


def test_rows_that_could_not_be_kept_are_given_again_and_again(table: ServerTable) -> None:
    polling = started(table)
    table.write(1)
    assert calls(polling) == [1]
    polling.again()
    assert calls(polling) == [1]
    polling.again()
    table.write(2)
    assert calls(polling) == [1, 2]
    assert calls(polling) == []


def test_a_restart_loses_no_row_and_what_comes_again_has_the_same_key(table: ServerTable) -> None:
    polling = started(table)
    table.write(1)
    first = polling.poll()
    table.write(2)
    again = poller(table, first.cursor).poll().rows
    assert [row.key for row in again if row in first.rows] == [row.key for row in first.rows]
    assert {row.uniqueid for row in again} == {f"{EPOCH + 60}.1", f"{EPOCH + 120}.2"}


def test_a_long_absence_is_caught_up_with(odbc: ServerTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of four days, more than one poll takes, begun before the last row that was read."""
    monkeypatch.setattr(server_source, "_STARTS", 300)
    odbc.write(2000)
    cursor = started(odbc).poll().cursor
    numbers = [n for n in range(1000, 1000 + 2 * MAX_ROWS + 500) if n != 2000]
    with odbc.server.connection() as connection:
        statement = odbc.insert(0)[0]
        connection.cursor().executemany(statement, [odbc.insert(n)[1] for n in numbers])
        connection.commit()
    polling = poller(odbc, cursor)
    got = [number for _ in range(4) for number in calls(polling)]
    assert got == [n for n in numbers if n > 2000], "before that all is history"


def test_a_table_that_comes_later_is_read_from_its_first_row(sql_server: SqlServer) -> None:
    table = ServerTable(sql_server)
    sql_server.run("DROP TABLE cdr")
    polling = started(table)
    with pytest.raises(SourceError, match=r"has no table cdr \(yet\): .*asterisk\.cdr\.table"):
        polling.poll()
    table.make()
    table.write(1)
    assert calls(polling) == [1]


# -- clocks, and another table ----------------------------------------------------------------


def test_a_row_from_the_future_hides_none_of_today(
    table: ServerTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PBX booted with a wrong clock, and then it was set."""
    monkeypatch.setattr(time, "time", lambda: EPOCH + 3600.0)
    polling = started(table)
    table.write(60 * 24 * 3000)
    assert calls(polling) == [60 * 24 * 3000]
    table.write(58)
    wide_now(monkeypatch)
    assert calls(polling) == [58]
    table.write(59)
    assert 59 in calls(poller(table, polling.cursor))


def test_the_hour_that_autumn_repeats_loses_no_row(
    odbc: ServerTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    polling = started(odbc)
    odbc.write(179)
    assert calls(polling) == [179]
    odbc.write(121)
    wide_now(monkeypatch)
    assert calls(polling) == [121]


def test_an_emptied_table_is_gone_on_with(table: ServerTable) -> None:
    polling = started(table)
    table.write(1, 2)
    assert calls(polling) == [1, 2]
    table.server.run("TRUNCATE TABLE cdr")
    assert calls(polling) == []
    table.write(3, **{table.start: BEGAN + timedelta(minutes=2)})
    assert calls(polling) == [3]


def test_another_table_in_its_place_is_read_anew(table: ServerTable) -> None:
    polling = started(table)
    table.write(1, 2)
    assert calls(polling) == [1, 2]
    table.make()
    table.write(3, **{table.start: BEGAN + timedelta(minutes=2)})
    with capture_logs() as logged:
        assert calls(polling) == [3]
    assert [entry["event"] for entry in logged] == ["cdr.ids_restarted"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("bigint", lambda n: EPOCH + 60 * n), ("varchar(30)", lambda n: str(BEGAN + timedelta(minutes=n)))],
)
def test_start_times_may_be_numbers_or_text(odbc: ServerTable, kind: str, value: Any) -> None:
    column = odbc.quoted("start")
    odbc.server.run(f"ALTER TABLE cdr DROP COLUMN {column}", f"ALTER TABLE cdr ADD {column} {kind}")
    odbc.write(1, start=value(1))
    polling = started(odbc)
    odbc.write(2, start=value(2))
    found = polling.poll()
    assert [row.start for row in found.rows] == [EPOCH + 120]
    odbc.write(3, start=value(3))
    assert calls(poller(odbc, found.cursor)) == [2, 3]


def test_times_with_a_zone_are_the_instants_they_are(postgresql_server: SqlServer) -> None:
    table = ServerTable(postgresql_server)
    postgresql_server.run("ALTER TABLE cdr ALTER start TYPE timestamptz")
    polling = started(table)
    table.write(1, start="2026-11-23 02:01:00+02")
    assert [row.start for row in polling.poll().rows] == [EPOCH + 60]


# -- rows that are none, columns, the index ---------------------------------------------------


def test_an_impossible_row_is_left_out_alone_and_reported_once(odbc: ServerTable) -> None:
    polling = started(odbc)
    odbc.write(1)
    odbc.write(2, uniqueid="")
    with capture_logs() as logged:
        assert calls(polling) == [1]
    assert [entry["event"] for entry in logged if entry["event"] == "cdr.bad_row"] == ["cdr.bad_row"]
    assert polling.bad_rows == 1
    assert polling.poll().bad_rows == 0
    bad = open_source(odbc.settings, UTC_ZONE).bad_newest()
    assert bad is not None
    assert "uniqueid" in bad.why


def test_freepbx_own_table_says_what_it_lacks_and_which_index_to_make(sql_server: SqlServer) -> None:
    table = ServerTable(sql_server, "freepbx", index=False)
    lines = open_source(table.settings, UTC_ZONE).check()
    index = next(line for line in lines if "CREATE INDEX" in line)
    assert any("no column answer:" in line for line in lines)
    sql_server.run(index.partition("owner: ")[2])
    assert not any("INDEX" in line for line in open_source(table.settings, UTC_ZONE).check())


def test_times_of_another_zone_are_noticed(table: ServerTable) -> None:
    budapest = ZoneInfo("Europe/Budapest")
    assert not any("zone" in line for line in open_source(table.settings, budapest).check())
    table.write(1)
    table.write(2)
    [line] = [line for line in open_source(table.settings, budapest).check() if "another zone" in line]
    assert "than Europe/Budapest (the newest rows are 1:00 h behind their uniqueids)" in line
    assert line.endswith("or correct `timezone`")
    assert not any("zone" in line for line in open_source(table.settings, UTC_ZONE).check())


def test_a_table_without_uniqueid_is_refused(odbc: ServerTable) -> None:
    odbc.server.run("ALTER TABLE cdr DROP COLUMN uniqueid")
    with pytest.raises(SourceError, match=r"no column uniqueid.*asterisk\.cdr\.columns"):
        poller(odbc).poll()


# -- the server -------------------------------------------------------------------------------


def test_nothing_is_held_and_nothing_is_written(odbc: ServerTable) -> None:
    polling = started(odbc)
    odbc.write(1)
    assert calls(polling) == [1]
    asked = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'vipex'"
    if odbc.server.kind == "mariadb":
        asked = (
            "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'vipex' AND command != 'Sleep'"
        )
    assert odbc.server.run(asked) == [(0,)]
    # Would wait for whoever holds a lock on the table, or a transaction that read it.
    odbc.server.run("ALTER TABLE cdr ADD later int")
    odbc.write(2)
    assert calls(polling) == [2]


def test_a_wrong_password_is_told_without_it(odbc: ServerTable) -> None:
    wrong = replace(odbc.settings, source=Secret(odbc.server.url.replace(PASSWORD, "wr0ng-secret")))
    with pytest.raises(SourceError, match=r"correct user and password in asterisk\.cdr\.source") as refused:
        Poller(wrong, UTC_ZONE, None).poll()
    assert "wr0ng-secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_database_or_a_server_that_is_not_there_is_told(odbc: ServerTable) -> None:
    url = odbc.server.url
    for other, said in (
        (url.replace("asteriskcdrdb", "nowhere"), r"correct (user and password in )?asterisk\.cdr\.source"),
        (url.replace(f":{odbc.server.port}/", ":1/"), "see that the server runs"),
    ):
        with pytest.raises(SourceError, match=said) as refused:
            Poller(replace(odbc.settings, source=Secret(other)), UTC_ZONE, None).poll()
        assert PASSWORD not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_server_that_was_restarted_is_gone_on_with(odbc: ServerTable) -> None:
    polling = started(odbc)
    odbc.write(1)
    assert calls(polling) == [1]
    odbc.server.stop()
    with pytest.raises(SourceError, match=r"cannot be read .*: see that the server runs"):
        polling.poll()
    odbc.server.start()
    odbc.write(2)
    assert calls(polling) == [2]


def test_replay_gives_the_rows_that_span_the_time_asked_for(table: ServerTable) -> None:
    table.write(*range(6))
    source = open_source(table.settings, UTC_ZONE)
    assert [row.start for row in source.since(EPOCH + 125, EPOCH + 200)] == [EPOCH + 120, EPOCH + 180]
    assert len(list(source.since(EPOCH, None))) == 6


def test_what_passed_is_compared_row_by_row(table: ServerTable) -> None:
    table.write(*range(6))
    source = open_source(table.settings, UTC_ZONE)
    wanted = {f"{EPOCH + 60 * n}.{n}" for n in (0, 4)}
    found = source.passed(source.newest(), EPOCH + 60, lambda uniqueids: wanted & set(uniqueids))
    assert [row.uniqueid for row in found] == [f"{EPOCH + 240}.4"]


def test_users_are_asked_of_a_server_too(sql_server: SqlServer) -> None:
    sql_server.run(
        "DROP TABLE IF EXISTS people",
        "CREATE TABLE people (number VARCHAR(20), id INT, did VARCHAR(20))",
        "INSERT INTO people VALUES ('251', 7, NULL), ('252', 8, '3619996002')",
    )
    query = UsersQuery(
        Secret(sql_server.url), "SELECT number AS extension, id AS user_id, did AS user_number FROM people"
    )
    assert asked(query) == {"251": User("251", 7), "252": User("252", 8, "3619996002")}
    with pytest.raises(SourceError, match="the query fails"):
        asked(replace(query, sql="SELECT nothing FROM nowhere"))
