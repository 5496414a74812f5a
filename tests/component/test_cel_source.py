"""CEL out of a real SQLite file, and calls completed by it: a real store, time passed in."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from captured_cel import cel_rows_of
from captured_rows import CAPTURES, rows_of
from ending_bench import unclaimed
from structlog.testing import capture_logs

from vipex_bridge.ami.translate import replay
from vipex_bridge.bridge.ending import Ending
from vipex_bridge.bridge.logged import ChannelEvents
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.events import ConnectionLost
from vipex_bridge.calls.rows import CdrRow, CelRow
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cdr.cel import SqliteCel
from vipex_bridge.cdr.cel_rows import RowReader
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.cdr.times import Instants
from vipex_bridge.config.load import load_text
from vipex_bridge.config.presets import CDR_COLUMNS, CEL_COLUMNS, CEL_PRESET
from vipex_bridge.config.settings import Cdr, Secret
from vipex_bridge.errors import SourceError
from vipex_bridge.store.outbox import Delivery
from vipex_bridge.store.store import Store

REFER = "with_cel/attended_refer"
"""Two calls of 251, of two linkedids, that become one."""


class MasterDb:
    """`master.db` as Asterisk's cdr_sqlite3_custom and cel_sqlite3_custom make it: no types."""

    def __init__(self, path: Path, columns: tuple[str, ...] = (*CEL_COLUMNS, "amaflags")) -> None:
        self.path = path
        self.columns = columns
        self.make("cel", columns)
        self.make("cdr", CDR_COLUMNS)

    def make(self, table: str, columns: tuple[str, ...]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        self.run(f"CREATE TABLE {table} (AcctId INTEGER PRIMARY KEY, {names})")

    def run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def log(self, case: str, *, later_s: float = 0.0, prefix: str = "", until: int | None = None) -> None:
        """Writes the CEL rows of a captured call, in another call's time and names."""
        lines = (CAPTURES / case / "cel.jsonl").read_text("utf-8").splitlines()[:until]
        for data in map(json.loads, lines):
            data["eventtime"] = f"{float(data['eventtime']) + later_s:.6f}"
            data |= {name: prefix + data[name] for name in ("uniqueid", "linkedid")}
            data["eventextra"] = data.get("eventextra", "").replace('uniqueid":"', f'uniqueid":"{prefix}')
            self.insert("cel", {name: data.get(name, "") for name in self.columns})

    def insert(self, table: str, values: dict[str, object]) -> None:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" for _ in values)
        self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values.values())

    def write(self, rows: list[CdrRow]) -> None:
        """Writes CDR rows, their times as seconds since the epoch."""
        for row in rows:
            values = {name: getattr(row, name) for name in CDR_COLUMNS}
            self.insert("cdr", {name: "" if value is None else value for name, value in values.items()})


def options(path: Path, **columns: str) -> Cdr:
    mapping = {**CEL_PRESET.columns, **columns}
    return Cdr(Secret(f"sqlite:///{path}"), "cel", "cel", mapping, CEL_PRESET.time_format)


def source(path: Path, timezone: str = "UTC") -> SqliteCel:
    return SqliteCel(options(path), ZoneInfo(timezone))


def start_of(case: str) -> float:
    return cel_rows_of(case)[0].at


@pytest.fixture
def master(tmp_path: Path) -> MasterDb:
    return MasterDb(tmp_path / "master.db")


def _names(rows: list[CelRow]) -> list[tuple[str, str]]:
    return [(row.event, row.channel) for row in rows]


# -- the source -----------------------------------------------------------------------------


def test_a_call_is_found_among_others_with_all_that_it_speaks_of(master: MasterDb) -> None:
    for number in range(40):
        master.log("b_inbound_simple", later_s=86_400 + number * 600.0, prefix=f"before{number}-")
    start = start_of("b_inbound_simple") + 86_400 + 40 * 600.0
    later_s = start - start_of(REFER)
    master.log(REFER, later_s=later_s)
    for number in range(41, 60):
        master.log("b_inbound_simple", later_s=86_400 + number * 600.0, prefix=f"after{number}-")
    first = cel_rows_of(REFER)[0].linkedid
    rows = source(master.path).rows_of([first], start, start + 5)
    assert _names(rows) == _names(cel_rows_of(REFER))
    assert {row.linkedid for row in rows} > {first}, "the consultation's own linkedid"
    assert rows[0].at == pytest.approx(start)


def test_rows_are_found_though_ids_have_gaps_and_old_rows_were_deleted(master: MasterDb) -> None:
    for number in range(10):
        master.log("b_inbound_simple", later_s=number * 600.0, prefix=f"{number}-")
    master.run("DELETE FROM cel WHERE AcctId < 40 OR AcctId % 5 = 0")
    for number in (3, 6, 9):
        start = start_of("b_inbound_simple") + number * 600.0
        key = f"{number}-{cel_rows_of('b_inbound_simple')[0].linkedid}"
        rows = source(master.path).rows_of([key], start, start + 8)
        assert rows
        assert {row.linkedid for row in rows} == {key}


def test_a_table_that_is_emptied_while_it_is_searched_has_no_rows(
    master: MasterDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.log("b_inbound_simple")
    instants = RowReader.instants

    def emptied(reader: RowReader, value: object) -> Instants:
        master.run("DELETE FROM cel")
        return instants(reader, value)

    monkeypatch.setattr(RowReader, "instants", emptied)
    assert source(master.path).rows_of(["1.1"], start_of("b_inbound_simple") + 86_400, None) == []


def test_an_empty_table_and_an_unknown_call_have_no_rows(master: MasterDb) -> None:
    assert source(master.path).rows_of(["1.1"], 1.0, 2.0) == []
    master.log("b_inbound_simple")
    assert source(master.path).rows_of(["1.1"], start_of("b_inbound_simple"), None) == []


def test_local_times_in_the_hour_that_autumn_repeats_are_told_apart_by_their_uniqueid(
    master: MasterDb,
) -> None:
    first, second = 1_792_888_200.0, 1_792_891_800.0  # 02:30 in Budapest on 2026-10-25, summer and winter
    for number, began in enumerate((first, second)):
        for event, clock in (("CHAN_START", "02:30:00"), ("HANGUP", "02:31:05"), ("CHAN_END", "02:31:05")):
            uniqueid = f"{began:.0f}.{number}"
            values = {"eventtype": event, "eventtime": f"2026-10-25 {clock}", "uniqueid": uniqueid}
            master.insert("cel", {**values, "linkedid": uniqueid, "channame": "PJSIP/trunk-00000001"})
    for number, began in enumerate((first, second)):
        rows = source(master.path, "Europe/Budapest").rows_of([f"{began:.0f}.{number}"], began, began + 60)
        assert [row.at - began for row in rows] == [0, 65, 65]


def test_a_row_without_a_time_is_left_out_and_logged(master: MasterDb) -> None:
    master.log("b_inbound_simple")
    master.run("UPDATE cel SET eventtime = 'yesterday' WHERE AcctId = 3")
    with capture_logs() as logs:
        key = cel_rows_of("b_inbound_simple")[0].linkedid
        rows = source(master.path).rows_of([key], start_of("b_inbound_simple"), None)
    assert len(rows) == len(cel_rows_of("b_inbound_simple")) - 1
    assert ("cel.bad_row", 3) in [(entry["event"], entry["number"]) for entry in logs]


@pytest.mark.parametrize("lost", ["eventextra", "linkedid", "eventtime"])
def test_a_column_that_cannot_be_done_without_is_named(tmp_path: Path, lost: str) -> None:
    master = MasterDb(tmp_path / "master.db", tuple(name for name in CEL_COLUMNS if name != lost))
    with pytest.raises(SourceError, match=rf"table cel has no column {lost}.*asterisk\.cel\.columns"):
        source(master.path).rows_of(["1.1"], 1.0, None)


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    renamed = tuple("extra" if name == "eventextra" else name for name in CEL_COLUMNS)
    master = MasterDb(tmp_path / "master.db", renamed)
    values = {"eventtype": "PICKUP", "eventtime": "1795409377.5", "uniqueid": "a.1", "linkedid": "a.1"}
    master.insert("cel", {**values, "channame": "PJSIP/200-00000001", "extra": '{"x": 1}'})
    [row] = SqliteCel(options(master.path, eventextra="extra"), ZoneInfo("UTC")).rows_of(["a.1"], 0.0, None)
    assert (row.extra, row.at) == ('{"x": 1}', 1795409377.5)


def test_a_missing_file_or_table_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"does not exist \(yet\): load cel_sqlite3_custom"):
        source(tmp_path / "master.db").rows_of(["1.1"], 1.0, None)
    with closing(sqlite3.connect(tmp_path / "master.db")) as connection, connection:
        connection.execute("CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY)")
    with pytest.raises(SourceError, match=r"has no table cel \(yet\): correct asterisk\.cel\.table"):
        source(tmp_path / "master.db").rows_of(["1.1"], 1.0, None)


def test_other_databases_are_refused() -> None:
    with pytest.raises(SourceError, match="CEL sources of the kind mysql are not supported yet"):
        SqliteCel(Cdr(Secret("mysql://h/db"), "cel", "cel", {}, CEL_PRESET.time_format), ZoneInfo("UTC"))


# -- calls completed by it ------------------------------------------------------------------

CONFIGURATION = """
node: test
timezone: UTC
asterisk:
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
  cel: {{source: 'sqlite:///{folder}/master.db'}}
numbers: {{trunks: ['PJSIP/trunk*']}}
clients:
  billing: {{kind: call_end, url: 'http://host/cdr'}}
"""


class Bench:
    """The rooms between CDR, CEL, tracker and store, with a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = start_of(REFER) + 60
        self.connected = False
        self.master = MasterDb(folder / "master.db")
        settings = load_text(CONFIGURATION.format(folder=folder), Path("config.yaml"), {}).settings
        assert settings.cdr is not None
        assert settings.cel is not None
        self.store = Store(f"sqlite:///{folder}/state.db", "test")
        self.tracker = Tracker(numbering_of(settings.numbers))
        self.ending = Ending(
            settings,
            self.tracker,
            self.store,
            Telling(settings),
            Poller(settings.cdr, settings.timezone, None, clock=self.clock),
            ami_connected=lambda: self.connected,
            channel_events=ChannelEvents(SqliteCel(settings.cel, settings.timezone), clock=self.clock),
            claiming=unclaimed,
            clock=self.clock,
            monotonic=self.clock,
        )
        self.step()

    def clock(self) -> float:
        return self.now

    def step(self, seconds: float = 0.0) -> None:
        """Time goes on, with a round every second."""
        rounds = max(1, round(seconds))
        for _ in range(rounds):
            self.now += seconds / rounds
            asyncio.run(self.ending.step())

    def told(self) -> list[Delivery]:
        return self.store.deliveries(client="billing")

    def document(self) -> dict[str, object]:
        [delivery] = self.told()
        assert delivery.request is not None
        document: dict[str, object] = json.loads(delivery.request.body or "")
        return document


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


def parts(document: dict[str, object]) -> list[tuple[object, ...]]:
    """The parts as (direction, exten, ringtime, billsec)."""
    found = document["sub_cdrs"]
    assert isinstance(found, list)
    return [(part["direction"], part["exten"], part["ringtime"], part["billsec"]) for part in found]


def test_a_call_that_cel_says_is_over_is_told_when_it_has_settled(bench: Bench) -> None:
    bench.master.log("with_cel/blind_code")
    bench.master.write(rows_of("with_cel/blind_code"))
    bench.step(1)
    bench.step(2)
    assert bench.told() == []
    bench.step(2)
    assert parts(bench.document()) == [(1, "251", 1, 3), (1, "252", 2, 2)]


def test_a_call_of_which_cel_knows_nothing_is_told_from_the_cdr_as_before(bench: Bench) -> None:
    bench.master.log("b_inbound_simple")
    bench.master.write(rows_of("d_ring_group"))
    bench.step(9)
    assert bench.told() == []
    bench.step(3)
    assert bench.document()["exten"] == "251"


def test_a_call_that_cel_shows_going_on_is_not_told_from_the_rows_there_are(bench: Bench) -> None:
    """The picked-up telephone's row lands at the pickup, long before the call ends."""
    rows = rows_of("g1_pickup_code")
    cel_lines = len(cel_rows_of("g1_pickup_code"))
    bench.master.log("g1_pickup_code", until=cel_lines - 4)
    bench.now = start_of("g1_pickup_code") + 6
    bench.master.write(rows[:1])
    bench.step(120)
    assert bench.told() == []
    bench.master.run("DELETE FROM cel")
    bench.master.log("g1_pickup_code")
    bench.master.write(rows[1:])
    bench.step(5)
    assert parts(bench.document()) == [(2, "200", 5, 0), (1, "251", 0, 4)]


def test_with_ami_there_its_word_decides_whether_a_call_goes_on(bench: Bench) -> None:
    """Asterisk was killed: CEL never says that the call is over."""
    bench.connected = True
    bench.master.log("b_inbound_simple", until=8)
    bench.master.write(rows_of("b_inbound_simple"))
    bench.step(12)
    assert bench.document()["exten"] == "251"


def test_two_calls_by_their_rows_that_cel_knows_to_be_one_are_told_once(bench: Bench) -> None:
    rows = [row for row in rows_of(REFER) if row.dstchannel]
    linkedids = {row.linkedid for row in rows}
    apart = [[row for row in rows if row.linkedid == linkedid][:1] for linkedid in sorted(linkedids)]
    assert len(apart) == 2
    bench.master.log(REFER)
    for group in apart:
        bench.master.write(group)
        bench.step()
    bench.step(15)
    assert [(part[0], part[1]) for part in parts(bench.document())] == [(1, "251"), (1, "252")]


def test_a_source_that_fails_is_logged_once_and_keeps_calls_for_a_minute_only(bench: Bench) -> None:
    bench.master.run("ALTER TABLE cel RENAME TO other")
    bench.master.write(rows_of("d_ring_group"))
    with capture_logs() as logs:
        bench.step(55)
        assert bench.told() == []
        bench.step(10)
    assert bench.document()["exten"] == "251"
    assert [entry["event"] for entry in logs].count("cel.source_failed") == 1
    bench.master.write(rows_of("c_inbound_missed"))
    bench.step(12)
    assert len(bench.told()) == 2, "later calls do not wait for it any more"


def test_a_look_that_breaks_off_keeps_no_call_from_being_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.master.log("with_cel/blind_code")
    bench.master.write(rows_of("with_cel/blind_code"))
    monkeypatch.setattr(RowReader, "rows", lambda reader, found: 1 // 0)
    with capture_logs() as logs:
        bench.step(13)
    failed = [entry for entry in logs if entry["event"] == "cel.look_failed"]
    assert failed[0]["exc_info"] and bench.ending.failed_looks == len(failed)
    assert len(bench.told()) == 1


def test_after_a_look_that_broke_off_no_source_is_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.master.log("with_cel/blind_code")
    bench.master.run("ALTER TABLE cel RENAME TO other")
    bench.master.write(rows_of("with_cel/blind_code"))
    bench.step(20)
    bench.master.run("ALTER TABLE other RENAME TO cel")
    monkeypatch.setattr(RowReader, "rows", lambda reader, found: 1 // 0)
    with capture_logs() as logs:
        bench.step(12)
    assert {e["event"] for e in logs if e["event"].startswith("cel.")} == {"cel.look_failed"}


def test_a_source_that_comes_back_completes_the_calls_that_waited(bench: Bench) -> None:
    bench.master.log("with_cel/blind_code")
    bench.master.run("ALTER TABLE cel RENAME TO other")
    bench.master.write(rows_of("with_cel/blind_code"))
    bench.step(20)
    bench.master.run("ALTER TABLE other RENAME TO cel")
    with capture_logs() as logs:
        bench.step(12)
    assert "cel.source_is_back" in [entry["event"] for entry in logs]
    assert parts(bench.document()) == [(1, "251", 1, 3), (1, "252", 2, 2)]


def test_what_was_seen_before_the_bridge_went_away_is_completed(bench: Bench) -> None:
    stream = gzip.decompress((CAPTURES / "with_cel/blind_code/ami.log.gz").read_bytes())
    for event in [*list(replay(stream))[:30], ConnectionLost(0.0)]:
        bench.tracker.feed(event)
    (record,) = bench.tracker.calls()
    with bench.store.write(bench.now) as writer:
        call_id = writer.identify(record.keys(), bench.now)
    bench.ending.on_ended(call_id, record)
    bench.master.log("with_cel/blind_code")
    bench.master.write(rows_of("with_cel/blind_code"))
    bench.step(12)
    assert parts(bench.document()) == [(1, "251", 1, 3), (1, "252", 2, 2)]
