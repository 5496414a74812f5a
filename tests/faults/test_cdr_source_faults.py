"""The CDR source in trouble: every call reaches the receiver, once.

Each fault meets a call that AMI saw and calls that only the CDR knows. Real files, store, workers and
sockets; time is passed in.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cdr_file import COLUMNS
from delivering import Bridge, client
from ending_bench import START, Bench
from faulty_server import FaultyServer
from story import inbound_example
from structlog.testing import capture_logs

from vipex_bridge.deliver.http import Transport

SEEN = "3642999425"
"""The caller of the call that AMI sees."""


@pytest.fixture
def bench(tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("vipex_bridge.cdr.sqlite.BUSY_TIMEOUT_S", 0.05)
    made = Bench(tmp_path, server.url)
    yield made
    made.store.close()


def _row(bench: Bench, number: int, **changed: object) -> None:
    """The row of a call that AMI did not see; its caller is that number."""
    bench.row(
        **{
            "uniqueid": f"1795409430.{number}",
            "linkedid": f"1795409430.{number}",
            "channel": f"PJSIP/trunk-000a{number:04x}",
            "dstchannel": f"PJSIP/252-0000{number:04x}",
            "src": str(number),
            "sequence": number,
            **changed,
        }
    )


def _seen(bench: Bench) -> None:
    """AMI tells a whole call; its row is still to come."""
    bench.happens(inbound_example(START))


def _arrived(bench: Bench, server: FaultyServer) -> dict[str, int]:
    """Three minutes go by, and all that is queued is sent: how often each caller's call arrived."""
    for _ in range(3):
        bench.step(60)
    transport = Transport()
    due = bench.store.deliveries(client="billing", status="queued")
    with Bridge(bench.store, transport).running(client("billing", url=server.url)):
        server.wait_for(len(due), 20)
    transport.close()
    bodies: list[dict[str, Any]] = [json.loads(request.body) for request in server.received]
    return dict(Counter(str(body["src"]) for body in bodies if "direction" in body))


def _once(*callers: object) -> dict[str, int]:
    return {str(caller): 1 for caller in callers}


# -- locked, missing ------------------------------------------------------------------------


@contextmanager
def _held_by_another(path: Path) -> Iterator[None]:
    """Another process has the file for itself."""
    hold = f"""
import sqlite3, sys
database = sqlite3.connect({str(path)!r}, isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate("")


def test_a_file_that_another_program_holds_for_minutes(bench: Bench, server: FaultyServer) -> None:
    _row(bench, 1)
    _seen(bench)
    bench.row()
    with capture_logs() as logs, _held_by_another(bench.master):
        bench.step(30)
        assert bench.told() == [], "its rows may say more than AMI"
        bench.step(300)
    assert [line["event"] for line in logs].count("cdr.source_failed") == 1
    _row(bench, 2)
    assert _arrived(bench, server) == _once(1, 2, SEEN)


@pytest.mark.parametrize("place", ["master.db", "not/there/yet/master.db"], ids=["file", "folder"])
def test_a_file_that_is_not_there_yet(tmp_path: Path, server: FaultyServer, place: str) -> None:
    bench = Bench(tmp_path, server.url, place, exists=False)
    with closing(bench.store):
        bench.step(60)
        _seen(bench)
        bench.step(120)
        bench.master.parent.mkdir(parents=True, exist_ok=True)
        bench.make_master()
        _row(bench, 1)
        assert _arrived(bench, server) == _once(1, SEEN)


def test_a_file_that_is_away_for_ten_minutes(bench: Bench, server: FaultyServer) -> None:
    _row(bench, 1)
    bench.step(1)
    _row(bench, 2)
    folder = bench.folder / "away"
    folder.mkdir()
    bench.master.rename(folder / "master.db")
    _seen(bench)
    bench.step(600)
    (folder / "master.db").rename(bench.master)
    bench.row()
    _row(bench, 3)
    assert _arrived(bench, server) == _once(1, 2, 3, SEEN)


def test_a_folder_that_may_not_be_entered_for_a_while(bench: Bench, server: FaultyServer) -> None:
    bench.step(1)
    _row(bench, 1)
    away = bench.master.with_name("x")
    bench.master.rename(away)
    bench.master.mkdir()
    with capture_logs() as logs:
        bench.step(60)
    assert [line["error"] for line in logs if line["event"] == "cdr.source_failed"]
    bench.master.rmdir()
    away.rename(bench.master)
    assert _arrived(bench, server) == _once(1)


# -- log rotation ---------------------------------------------------------------------------

NAMES = ["master.db.1", "master.db-20261123", "master-20261123.db"]


@pytest.mark.parametrize("name", NAMES)
def test_rows_written_just_before_a_rotation(bench: Bench, server: FaultyServer, name: str) -> None:
    for number in range(1, 4):
        _row(bench, number)
    bench.step(1)
    _seen(bench)
    bench.row()
    _row(bench, 4)
    bench.master.rename(bench.folder / name)
    bench.make_master()
    _row(bench, 5)
    assert _arrived(bench, server) == _once(1, 2, 3, 4, 5, SEEN)


def test_rows_that_asterisk_still_writes_to_the_moved_file(bench: Bench, server: FaultyServer) -> None:
    """It holds the file open, and makes a new one only when its module is reloaded."""
    _row(bench, 1)
    bench.step(1)
    moved = bench.folder / "master.db.1"
    place, bench.master = bench.master, bench.master.rename(moved)
    with capture_logs() as logs:
        _row(bench, 2)
        bench.step(60)
        _row(bench, 3)
        bench.step(60)
        _row(bench, 4)
    assert [line["reading"] for line in logs if line["event"] == "cdr.file_moved_away"] == ["master.db.1"]
    bench.master = place
    bench.make_master()
    bench.step(1)
    _row(bench, 5)
    assert _arrived(bench, server) == _once(1, 2, 3, 4, 5)


def test_two_rotations_while_the_bridge_was_away(bench: Bench, server: FaultyServer) -> None:
    _row(bench, 1)
    bench.step(1)
    bench.store.close()
    for number in (2, 4):
        _row(bench, number)
        if (bench.folder / "master.db.1").exists():
            (bench.folder / "master.db.1").rename(bench.folder / "master.db.2")
        bench.master.rename(bench.folder / "master.db.1")
        bench.make_master()
        _row(bench, number + 1)
    bench.start()
    assert _arrived(bench, server) == _once(1, 2, 3, 4, 5)


def test_a_file_copied_and_truncated(bench: Bench, server: FaultyServer) -> None:
    """What logrotate's copytruncate does; Asterisk makes its table again when its module is reloaded."""
    for number in range(1, 4):
        _row(bench, number)
    bench.step(1)
    _row(bench, 4)
    shutil.copy(bench.master, bench.folder / "master.db.1")
    bench.master.write_bytes(b"")
    bench.step(5)
    bench.make_master()
    _row(bench, 5)
    assert _arrived(bench, server) == _once(1, 2, 3, 4, 5)


def test_a_rotated_file_that_was_packed_at_once(bench: Bench, server: FaultyServer) -> None:
    """Nothing can be read of it: the call that AMI saw is told from what AMI saw."""
    _row(bench, 1)
    bench.step(1)
    _seen(bench)
    bench.row()
    bench.master.rename(bench.folder / "master.db.1.gz")
    (bench.folder / "master.db.1.gz").write_bytes(b"\x1f\x8b" + bytes(5000))
    bench.make_master()
    _row(bench, 2)
    assert _arrived(bench, server) == _once(1, 2, SEEN)


def test_files_beside_it_that_are_another_matter(bench: Bench, server: FaultyServer) -> None:
    """A copy of last week, a damaged one, another program's: none of their rows are told."""
    _row(bench, 1)
    bench.step(20)
    _row(bench, 2)
    bench.step(20)
    with closing(sqlite3.connect(bench.folder / "master.db.old")) as another:
        another.execute("CREATE TABLE other (a)")
    (bench.folder / "master.db.broken").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    bench.master.rename(bench.folder / "master.db.1")
    bench.make_master()
    _row(bench, 3)
    assert _arrived(bench, server) == _once(1, 2, 3)


def test_a_table_dropped_and_made_anew(bench: Bench, server: FaultyServer) -> None:
    for number in range(1, 4):
        _row(bench, number)
    bench.step(1)
    with closing(sqlite3.connect(bench.master)) as database:
        database.execute("DROP TABLE cdr")
        database.commit()
    _seen(bench)
    bench.step(30)
    bench.make_master()
    bench.row()
    for number in range(4, 9):
        _row(bench, number)
    assert _arrived(bench, server) == _once(*range(1, 9), SEEN)


# -- rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("late_s", "late_rows"), [(55, 0), (80, 1)], ids=["in time", "too late"])
def test_a_row_that_comes_a_minute_late(
    bench: Bench, server: FaultyServer, late_s: float, late_rows: int
) -> None:
    _seen(bench)
    bench.step(late_s)
    bench.row(custom_field="vip")
    assert _arrived(bench, server) == _once(SEEN)
    assert bench.ending.late_rows == late_rows
    [body] = [json.loads(r.body) for r in server.received if b'"direction"' in r.body]
    assert ("vip" in str(body["custom_field"])) == (late_rows == 0)


def test_a_second_row_of_a_call_that_comes_a_minute_late(bench: Bench, server: FaultyServer) -> None:
    _row(bench, 1)
    bench.step(70)
    _row(bench, 1, channel="PJSIP/trunk-000000aa")
    bench.step(70)
    bench.row(uniqueid="1795409430.9", linkedid="1795409430.1", src="1", sequence=9)
    assert _arrived(bench, server) == _once(1)


def test_two_rows_for_one_sequence(bench: Bench, server: FaultyServer) -> None:
    _row(bench, 1)
    _row(bench, 1)
    bench.step(3)
    _row(bench, 1)
    bench.step(3)
    _row(bench, 1, disposition="BUSY")
    _seen(bench)
    bench.row()
    bench.row(billsec=5)
    assert _arrived(bench, server) == _once(1, SEEN)
    assert len(bench.told()) == 2


NONSENSE: list[tuple[str, object]] = [
    ("start", "the day before yesterday"),
    ("duration", "many"),
    ("billsec", "1e400"),
    ("uniqueid", ""),
    ("channel", None),
    ("end", "9999-99-99 99:99:99"),
    ("sequence", "x" * 100_000),
    ("clid", b"\xff\xfe\0"),
    ("dst", "\x1b[2J\r\n\0"),
]


def test_nonsense_in_a_row_harms_that_row_alone(bench: Bench, server: FaultyServer) -> None:
    _row(bench, 1)
    with capture_logs() as logs:
        for number, (column, value) in enumerate(NONSENSE, start=100):
            _row(bench, number, **{column: value})
        _row(bench, 2)
        arrived = _arrived(bench, server)
    assert {caller: arrived.get(caller) for caller in ("1", "2")} == _once(1, 2)
    assert all(count == 1 for count in arrived.values())
    assert [line["event"] for line in logs].count("cdr.bad_row") >= 5


def test_calls_on_both_sides_of_an_asterisk_restart_read_at_once(bench: Bench, server: FaultyServer) -> None:
    """The bridge was away, and Asterisk began again: so did the names of its channels."""
    _row(bench, 1)
    bench.step(20)
    bench.store.close()
    for run, hour in enumerate((1_795_413_000, 1_795_416_600)):
        for number in range(2, 25):
            names = {"uniqueid": f"{hour + number}.{number}", "linkedid": f"{hour + number}.{number}"}
            _row(bench, number, **names, src=str(100 * run + number))
    bench.start()
    callers = [100 * run + number for run in (0, 1) for number in range(2, 25)]
    assert _arrived(bench, server) == _once(1, *callers)


# -- columns --------------------------------------------------------------------------------


def _without(column: str) -> str:
    return re.sub(rf"\b{column}, |, {column}$", "", COLUMNS)


def _remade(bench: Bench, columns: str) -> None:
    """The table as somebody changed it, its rows kept."""
    kept = ", ".join(sorted({*columns.split(", ")} & _have(bench)))
    with closing(sqlite3.connect(bench.master)) as database:
        database.execute("ALTER TABLE cdr RENAME TO before")
        database.execute(f"CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, {columns})")
        database.execute(f"INSERT INTO cdr (AcctId, {kept}) SELECT AcctId, {kept} FROM before")
        database.execute("DROP TABLE before")
        database.commit()


def _have(bench: Bench) -> set[str]:
    with closing(sqlite3.connect(bench.master)) as database:
        return {row[1] for row in database.execute("PRAGMA table_info(cdr)")}


@pytest.mark.parametrize("column", ["pincode", "recordingfile", "cost_location"])
def test_a_column_of_ours_that_goes_and_comes_back(bench: Bench, server: FaultyServer, column: str) -> None:
    _row(bench, 1)
    bench.step(1)
    _remade(bench, _without(column))
    _row(bench, 2)
    bench.step(30)
    _remade(bench, COLUMNS)
    _row(bench, 3)
    assert _arrived(bench, server) == _once(1, 2, 3)


@pytest.mark.parametrize("column", ["uniqueid", "channel"])
def test_a_column_that_nothing_goes_without_is_missed_and_taken_up_when_it_is_back(
    bench: Bench, server: FaultyServer, column: str
) -> None:
    _row(bench, 1)
    bench.step(1)
    with closing(sqlite3.connect(bench.master)) as database:
        database.execute(f"ALTER TABLE cdr RENAME COLUMN {column} TO mislaid")
        database.commit()
    with capture_logs() as logs:
        bench.step(60)
    [line] = [line for line in logs if line["event"] == "cdr.source_failed"]
    assert f"no column {column}, which the bridge cannot do without" in line["error"]
    with closing(sqlite3.connect(bench.master)) as database:
        database.execute(f"ALTER TABLE cdr RENAME COLUMN mislaid TO {column}")
        database.commit()
    _row(bench, 2)
    assert _arrived(bench, server) == _once(1, 2)


# -- the disk under it ----------------------------------------------------------------------

WRITER = """
import resource, sqlite3, sys
room = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
database = sqlite3.connect(sys.argv[1])
try:
    for number in range(1000, 2000):
        database.execute(
            "INSERT INTO cdr (uniqueid, channel, start, end, src, duration, userfield) "
            "VALUES (?, ?, '2026-11-23 04:50:30', '2026-11-23 04:50:31', ?, 1, ?)",
            (f"1795409430.{number}", f"PJSIP/trunk-{number}", number, "x" * 500),
        )
        database.commit()
        print(number, flush=True)
except sqlite3.Error as error:
    print(error, file=sys.stderr)
"""


def test_a_full_disk_under_it(bench: Bench, server: FaultyServer) -> None:
    """Asterisk can write no more rows; those it wrote are told, and so is what AMI saw meanwhile."""
    _row(bench, 1)
    bench.step(1)
    room = bench.master.stat().st_size + 20_000
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(bench.master), str(room)],
        capture_output=True,
        text=True,
        check=True,
    )
    written = done.stdout.split()
    assert written and done.stderr, "the disk was full before the end"
    _seen(bench)
    bench.step(120)
    _row(bench, 2)
    assert _arrived(bench, server) == _once(1, 2, SEEN, *written)


KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
database.execute("UPDATE cdr SET userfield = 'half done'")
for number in range(1000, 1200):
    database.execute("INSERT INTO cdr (uniqueid, userfield) VALUES (?, ?)", (number, "x" * 4000))
os.kill(os.getpid(), 9)
"""


def test_an_asterisk_that_died_in_the_middle_of_a_row(bench: Bench, server: FaultyServer) -> None:
    """Its journal stays behind: only one who may write can clear it up, which Asterisk does at its start."""
    _row(bench, 1)
    bench.step(1)
    _row(bench, 2)
    subprocess.run([sys.executable, "-c", KILLED, str(bench.master)], check=False)
    assert bench.master.with_name("master.db-journal").stat().st_size > 0
    _seen(bench)
    bench.step(120)
    _row(bench, 3)
    assert _arrived(bench, server) == _once(1, 2, 3, SEEN)
