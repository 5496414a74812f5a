"""CDR rows out of real SQLite files, written as Asterisk writes them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from captured_rows import CAPTURES, rows_of
from structlog.testing import capture_logs

from vipex_bridge.cdr.poller import MAX_ROWS, Poller
from vipex_bridge.cdr.sources import Source, open_source
from vipex_bridge.config.presets import CDR_COLUMNS, CDR_PRESETS
from vipex_bridge.config.settings import Cdr, Secret
from vipex_bridge.errors import SourceError

UTC_ZONE = ZoneInfo("UTC")
SHIPPED = (*CDR_COLUMNS, "amaflags")


class MasterDb:
    """`master.db` as Asterisk's cdr_sqlite3_custom makes it: no types, one commit a row."""

    def __init__(self, path: Path, columns: tuple[str, ...] = SHIPPED, table: str = "cdr") -> None:
        self.path = path
        self._columns = columns
        self._table = table
        if not path.exists():
            self.run(f"CREATE TABLE {table} (AcctId INTEGER PRIMARY KEY, {', '.join(map(_quoted, columns))})")

    def run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def write(self, number: int, *, row_id: int | None = None, **changed: object) -> None:
        """A row of a 9 s call number `number`, which began that many minutes after 2026-11-23 00:00."""
        self.write_all([number], row_id=row_id, **changed)

    def write_all(self, numbers: list[int], *, row_id: int | None = None, **changed: object) -> None:
        """Such rows in one commit."""
        names = ["AcctId", *self._columns]
        statement = (
            f"INSERT INTO {self._table} ({', '.join(map(_quoted, names))}) "
            f"VALUES ({', '.join('?' for _ in names)})"
        )
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for number in numbers:
                values = {**_call(number), **changed, "AcctId": row_id}
                connection.execute(statement, [values.get(name, "") for name in names])


def _quoted(name: str) -> str:
    return f'"{name}"'


def _call(number: int) -> dict[str, object]:
    day, minute = divmod(number, 1440)
    clock = f"2026-11-{23 + day:02d} {minute // 60:02d}:{minute % 60:02d}"
    began = 1_795_392_000 + number * 60
    return {
        "start": f"{clock}:00", "answer": f"{clock}:05", "end": f"{clock}:09",
        "channel": f"PJSIP/trunk-{number:08x}", "dstchannel": f"PJSIP/200-{number:08x}",
        "duration": "9", "billsec": "4", "disposition": "ANSWERED", "sequence": str(number),
        "uniqueid": f"{began}.{number}", "linkedid": f"{began}.{number}",
    }  # fmt: skip


def settings(path: Path, preset: str = "sqlite3_custom", **columns: str | None) -> Cdr:
    shape = CDR_PRESETS[preset]
    mapping = {ours: theirs for ours, theirs in {**shape.columns, **columns}.items() if theirs is not None}
    return Cdr(Secret(f"sqlite:///{path}"), preset, shape.table, mapping, shape.time_format)


def source(path: Path) -> Source:
    return open_source(settings(path), UTC_ZONE)


def poller(path: Path, cursor: Mapping[str, Any] | None = None) -> Poller:
    return Poller(settings(path), UTC_ZONE, cursor, clock=lambda: 1000.0)


def numbers(of: Poller) -> list[int | None]:
    return [row.sequence for row in of.poll().rows]


@pytest.fixture
def master(tmp_path: Path) -> MasterDb:
    return MasterDb(tmp_path / "master.db")


@pytest.fixture
def started(master: MasterDb) -> Poller:
    """A poller of `master`, which has had its first look."""
    made = poller(master.path)
    made.poll()
    return made


# -- what is new ----------------------------------------------------------------------------


def test_the_first_look_of_all_tells_nothing_of_the_past(master: MasterDb) -> None:
    master.write_all(list(range(500)))
    polling = poller(master.path)
    assert polling.poll().rows == []
    assert numbers(polling) == []
    master.write(500)
    assert numbers(polling) == [500]


def test_each_row_comes_once_and_in_the_order_written(master: MasterDb, started: Poller) -> None:
    master.write_all([3, 1, 2])
    assert numbers(started) == [3, 1, 2]
    assert numbers(started) == []
    master.write(4)
    assert numbers(started) == [4]


def test_a_row_reads_as_asterisk_meant_it(master: MasterDb, started: Poller) -> None:
    master.write(0, src="36709676052", pincode="private", clid='"Ann" <36709676052>')
    row = started.poll().rows[0]
    assert (row.start, row.answer, row.end) == (1_795_392_000.0, 1_795_392_005.0, 1_795_392_009.0)
    assert (row.duration, row.billsec, row.disposition) == (9, 4, "ANSWERED")
    assert (row.src, row.clid, row.pincode) == ("36709676052", '"Ann" <36709676052>', "private")
    assert (row.channel, row.dstchannel, row.cc_call) == ("PJSIP/trunk-00000000", "PJSIP/200-00000000", "")


def test_a_restart_goes_on_where_the_last_run_stopped(master: MasterDb, started: Poller) -> None:
    master.write(1)
    cursor = json.loads(json.dumps(started.poll().cursor))
    master.write(2)
    assert numbers(poller(master.path, cursor)) == [2]


def test_a_row_committed_late_is_not_lost(master: MasterDb, started: Poller) -> None:
    master.write(1, row_id=100)
    assert numbers(started) == [1]
    master.write(2, row_id=99)
    cursor = started.poll()
    assert [row.sequence for row in cursor.rows] == [2]
    master.write(3, row_id=98)
    assert numbers(poller(master.path, cursor.cursor)) == [3]


def test_rows_that_could_not_be_kept_are_given_again(master: MasterDb, started: Poller) -> None:
    master.write(1)
    assert numbers(started) == [1]
    started.again()
    assert numbers(started) == [1]
    assert numbers(started) == []


def test_a_long_absence_is_caught_up_with(master: MasterDb, started: Poller) -> None:
    total = 2 * MAX_ROWS + 500
    master.write_all(list(range(total)))
    got = [number for _ in range(3) for number in numbers(started)]
    assert got == list(range(total))


def test_the_real_calls_of_the_laboratory_read_as_they_were_written(tmp_path: Path) -> None:
    case = "a_inbound_ivr_queue"
    lines = (CAPTURES / case / "cdr.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    names = {"start": "calldate", "answer": "answerdate", "end": "enddate"}
    columns = tuple(name for name in records[0] if name not in ("_rowid", "AcctId"))
    database = MasterDb(tmp_path / "master.db", columns)
    polling = Poller(settings(database.path, **names), UTC_ZONE, None)
    polling.poll()
    for record in records:
        placed = {name: value for name, value in record.items() if name in columns}
        database.write(0, **placed)
    expected = rows_of(case)
    got = polling.poll().rows
    assert [row.key for row in got] == [row.key for row in expected]
    assert [(row.answer, row.end, row.ivr_digits) for row in got] == [
        (row.answer, row.end, row.ivr_digits) for row in expected
    ]


# -- rows that are none ---------------------------------------------------------------------


def test_an_impossible_row_is_logged_with_its_uniqueid_counted_and_left_out_alone(
    master: MasterDb, started: Poller
) -> None:
    master.write(1)
    master.write(2, duration="9 s", uniqueid="1795392120.2")
    master.write(3)
    with capture_logs() as logged:
        polled = started.poll()
    assert [row.sequence for row in polled.rows] == [1, 3]
    assert (polled.bad_rows, started.bad_rows) == (1, 1)
    assert [entry["uniqueid"] for entry in logged if entry["event"] == "cdr.bad_row"] == ["1795392120.2"]
    with capture_logs() as logged:
        assert started.poll().bad_rows == 0
    assert logged == []


def test_a_name_that_is_no_utf8_holds_nothing_up(master: MasterDb, started: Poller) -> None:
    master.run(
        "INSERT INTO cdr (uniqueid, channel, start, clid, sequence) VALUES (?, ?, ?, CAST(? AS TEXT), ?)",
        "1795392000.1", "PJSIP/1-1", "2026-11-23 00:00:00", b'"Andr\xe1s" <36>', "1",
    )  # fmt: skip
    master.write(2)
    rows = started.poll().rows
    assert [row.clid for row in rows] == ['"Andr\ufffds" <36>', ""]


# -- a source that is away, or another ------------------------------------------------------


def test_a_file_that_comes_later_is_read_from_its_first_row(tmp_path: Path) -> None:
    polling = poller(tmp_path / "master.db")
    polling.poll()
    with pytest.raises(SourceError, match=r"does not exist \(yet\): .*asterisk.cdr.source"):
        polling.poll()
    master = MasterDb(tmp_path / "master.db")
    master.write(1)
    assert numbers(polling) == [1]


def test_a_file_still_without_its_table_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "master.db").touch()
    polling = poller(tmp_path / "master.db")
    polling.poll()
    with pytest.raises(SourceError, match="has no table cdr"):
        polling.poll()


def test_a_file_removed_for_a_while_loses_no_row(master: MasterDb, started: Poller) -> None:
    master.write(1)
    assert numbers(started) == [1]
    (master.path.parent / "elsewhere").mkdir()
    aside = master.path.rename(master.path.parent / "elsewhere" / "master.db")
    with pytest.raises(SourceError):
        started.poll()
    aside.rename(master.path)
    master.write(2)
    assert numbers(started) == [2]


def test_a_new_file_in_its_place_is_read_from_its_first_row(master: MasterDb, started: Poller) -> None:
    master.write_all([1, 2, 3])
    assert numbers(started) == [1, 2, 3]
    master.path.unlink()
    another = MasterDb(master.path)
    another.write(4)
    with capture_logs() as logged:
        assert numbers(started) == [4]
    assert [entry["event"] for entry in logged] == ["cdr.ids_restarted"]
    another.write(5)
    assert numbers(started) == [5]


def test_a_new_file_that_has_overtaken_the_old_one_meanwhile_is_read_whole(
    master: MasterDb, started: Poller
) -> None:
    master.write_all([1, 2, 3])
    cursor = started.poll().cursor
    master.path.unlink()
    MasterDb(master.path).write_all([4, 5, 6, 7])
    assert numbers(poller(master.path, cursor)) == [4, 5, 6, 7]


def test_a_copy_in_its_place_is_the_same_table(master: MasterDb, started: Poller) -> None:
    master.write_all([1, 2, 3])
    assert numbers(started) == [1, 2, 3]
    copy = master.path.with_suffix(".copy")
    master.run("VACUUM INTO ?", str(copy))
    copy.replace(master.path)
    master.write(4)
    assert numbers(started) == [4]


def test_an_emptied_table_begins_anew(master: MasterDb, started: Poller) -> None:
    master.write_all([1, 2, 3])
    started.poll()
    master.run("DELETE FROM cdr")
    assert numbers(started) == []
    master.write(4)
    assert numbers(started) == [4]


def test_deleting_the_newest_row_does_not_tell_the_history_again(master: MasterDb, started: Poller) -> None:
    """Two days of calls; afterwards at most the last day comes again, which the store knows."""
    master.write_all(list(range(0, 2880, 10)))
    cursor = started.poll().cursor
    master.run("DELETE FROM cdr WHERE AcctId = (SELECT max(AcctId) FROM cdr)")
    master.write(2879)
    again = [row.sequence for row in poller(master.path, cursor).poll().rows]
    assert again[-1] == 2879
    assert min(number for number in again if number is not None) >= 2870 - 1440


def test_a_history_that_is_passed_over_holds_up_no_new_row(master: MasterDb, started: Poller) -> None:
    master.write(6 * 1440)
    cursor = started.poll().cursor
    master.path.unlink()
    another = MasterDb(master.path)
    another.write_all([0] * (3 * MAX_ROWS))
    another.write(6 * 1440 + 1)
    assert numbers(poller(master.path, cursor)) == [6 * 1440 + 1]


def test_another_source_is_begun_at_its_newest_row(master: MasterDb, tmp_path: Path) -> None:
    cursor = poller(tmp_path / "misspelt.db").poll().cursor
    master.write_all([1, 2, 3])
    corrected = poller(master.path, cursor)
    with capture_logs() as logged:
        assert numbers(corrected) == []
    assert [entry["event"] for entry in logged] == ["cdr.source_changed"]
    master.write(4)
    assert numbers(corrected) == [4]


def test_a_locked_file_is_said_to_be_and_read_afterwards(
    master: MasterDb, started: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vipex_bridge.cdr.sqlite.BUSY_TIMEOUT_S", 0.05)
    master.write(1)
    with closing(sqlite3.connect(master.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="locked"):
            started.poll()
        holder.execute("ROLLBACK")
    assert numbers(started) == [1]


def test_what_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "master.db").write_text("AcctId;start;answer\n" * 200)
    with pytest.raises(SourceError, match="sound SQLite database") as refused:
        source(tmp_path / "master.db").check()
    assert len(str(refused.value).splitlines()) == 1


def test_reading_never_writes(master: MasterDb, started: Poller) -> None:
    master.write(1)
    before = master.path.read_bytes()
    master.path.chmod(0o444)
    started.poll()
    assert master.path.read_bytes() == before
    assert [file.name for file in master.path.parent.iterdir()] == ["master.db"]


# -- columns --------------------------------------------------------------------------------


def test_the_shipped_table_lacks_nothing(master: MasterDb) -> None:
    assert source(master.path).check() == []


def test_a_table_of_asterisks_own_columns_alone_works_and_says_what_it_lacks(tmp_path: Path) -> None:
    plain = tuple(name for name in SHIPPED[:20] if name not in ("linkedid", "sequence"))
    database = MasterDb(tmp_path / "master.db", plain)
    missing = source(database.path).check()
    for name in ("linkedid", "sequence", "recordingfile"):
        assert any(f"no column {name}:" in line for line in missing)
    polling = poller(database.path)
    polling.poll()
    database.write(1)
    row = polling.poll().rows[0]
    assert (row.uniqueid, row.linkedid, row.sequence, row.pincode) == ("1795392060.1", "", None, None)


@pytest.mark.parametrize(
    ("zone", "off"),
    [
        ("Europe/Budapest", "1:00 h behind"),
        ("America/New_York", "5:00 h ahead of"),
        ("Asia/Kathmandu", "5:45 h behind"),
        ("Pacific/Kiritimati", "14:00 h behind"),
    ],
)
def test_times_of_another_zone_are_noticed(master: MasterDb, zone: str, off: str) -> None:
    other = open_source(settings(master.path), ZoneInfo(zone))
    assert other.check() == []
    master.write_all([1, 2])
    [line] = other.check()
    assert f"has times of another zone than {zone} (the newest rows are {off} their uniqueids)" in line
    assert line.endswith("or correct `timezone`")
    assert source(master.path).check() == []


@pytest.mark.parametrize(
    ("zone", "changed"),
    [
        ("UTC", {"start": "2026-11-23 01:17:40"}),  # the rest of a call that was parked for long
        ("Europe/Budapest", {"uniqueid": "pbx-assigned"}),
        ("Europe/Budapest", {"start": "1795392060", "end": "1795392069"}),
    ],
    ids=["later row", "assigned", "epoch"],
)
def test_no_zone_is_suspected_without_reason(master: MasterDb, zone: str, changed: dict[str, Any]) -> None:
    for number in range(1, 5):
        master.write(number, **changed)
    assert open_source(settings(master.path), ZoneInfo(zone)).check() == []


def test_a_call_that_was_parked_for_a_quarter_of_an_hour_makes_no_other_zone(master: MasterDb) -> None:
    parked: dict[str, Any] = {
        "uniqueid": "1795395600.9",
        "start": "2026-11-23 01:15:00",
        "end": "2026-11-23 01:16:00",
    }
    for numbers in ([], [5], [6, 7, 8]):
        master.write_all(numbers)
        for sequence in range(4):
            master.write(75, **parked, sequence=str(sequence))
        assert source(master.path).check() == []


def test_times_of_another_zone_are_noticed_behind_calls_that_were_parked(master: MasterDb) -> None:
    master.write_all([1, 2, 3])
    master.write_all([4, 5], start="2026-11-23 00:15:00")
    [line] = open_source(settings(master.path), ZoneInfo("Europe/Budapest")).check()
    assert "(the newest rows are 1:00 h behind their uniqueids)" in line


@pytest.mark.parametrize("column", ["uniqueid", "channel"])
def test_a_table_without_uniqueid_or_channel_is_refused(tmp_path: Path, column: str) -> None:
    database = MasterDb(tmp_path / "master.db", tuple(name for name in SHIPPED if name != column))
    with pytest.raises(SourceError, match=rf"no column {column}.*asterisk\.cdr\.columns"):
        source(database.path).check()
    with pytest.raises(SourceError, match=column):
        poller(database.path).poll()


def test_columns_go_by_the_names_that_the_configuration_gives(tmp_path: Path) -> None:
    columns = ("calldate", *(name for name in SHIPPED if name not in ("start", "answer", "end")), 'odd "name')
    database = MasterDb(tmp_path / "master.db", columns[:-1])
    database.run('ALTER TABLE cdr ADD COLUMN "odd ""name"')
    cdr = settings(database.path, "freepbx", custom_field='odd "name', pincode=None)
    polling = Poller(cdr, UTC_ZONE, None)
    polling.poll()
    database.write(1, calldate="2026-11-23 00:01:00")
    database.run('UPDATE cdr SET "odd ""name" = ?', "vip")
    row = polling.poll().rows[0]
    assert (row.custom_field, row.pincode) == ("vip", None)
    assert (row.start, row.answer, row.end) == (1_795_392_060.0, 1_795_392_065.0, 1_795_392_069.0)


def test_a_column_added_later_is_read_from_then_on(tmp_path: Path) -> None:
    database = MasterDb(tmp_path / "master.db", tuple(name for name in SHIPPED if name != "pincode"))
    polling = poller(database.path)
    polling.poll()
    database.write(1)
    assert polling.poll().rows[0].pincode is None
    database.run("ALTER TABLE cdr ADD COLUMN pincode")
    MasterDb(database.path).write(2, pincode="general")
    assert polling.poll().rows[0].pincode == "general"


def test_a_view_is_refused_with_a_reason(master: MasterDb) -> None:
    master.write(1)
    master.run("CREATE VIEW calls AS SELECT * FROM cdr")
    cdr = settings(master.path)
    view = Cdr(cdr.source, cdr.preset, "calls", cdr.columns, cdr.time_format)
    with pytest.raises(SourceError, match="ordinary table"):
        open_source(view, UTC_ZONE).newest()


@pytest.mark.parametrize(
    "url",
    ["oracle://vipex:hunter2@h/cdr", "no url at all", "mysql://a:hunter2@h:p/cdr", "mysql://a:hunter2@h"],
)
def test_a_source_of_another_kind_is_refused_without_telling_its_password(url: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_source(Cdr(Secret(url), "pgsql", "cdr", {}, ""), UTC_ZONE)
    assert "hunter2" not in str(refused.value)


# -- replay ---------------------------------------------------------------------------------


def _sequences(rows: Iterator[Any]) -> list[int]:
    return [row.sequence for row in rows]


def test_replay_gives_the_rows_that_span_the_time_asked_for(master: MasterDb) -> None:
    master.write_all([0, 1, 2, 3])
    began = 1_795_392_000.0
    replayed = source(master.path)
    assert _sequences(replayed.since(began + 60, began + 180)) == [1, 2]
    assert _sequences(replayed.since(began + 65, began + 120)) == [1], "it was under way"
    assert _sequences(replayed.since(began + 70, None)) == [2, 3]


def test_replay_reads_a_table_of_any_length(master: MasterDb) -> None:
    master.write_all(list(range(2500)))
    master.write(2500, duration="none")
    with capture_logs() as logged:
        assert _sequences(source(master.path).since(0.0, None)) == list(range(2500))
    assert [entry["event"] for entry in logged] == ["cdr.bad_row"]
