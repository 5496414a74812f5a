"""CDR rows out of Master.csv, as cdr_csv writes it, across every way of rotating it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from vipex_bridge.cdr import master_csv
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.cdr.sources import open_source
from vipex_bridge.config.presets import CDR_PRESETS
from vipex_bridge.config.settings import Cdr, Secret
from vipex_bridge.errors import SourceError

UTC_ZONE = ZoneInfo("UTC")
EPOCH = 1_795_392_000


@pytest.fixture
def master(tmp_path: Path) -> Path:
    path = tmp_path / "Master.csv"
    path.touch()
    return path


def settings(path: Path) -> Cdr:
    shape = CDR_PRESETS["csv"]
    return Cdr(Secret(f"csv://{path}"), "csv", shape.table, shape.columns, shape.time_format)


def poller(path: Path, cursor: Mapping[str, Any] | None = None) -> Poller:
    return Poller(settings(path), UTC_ZONE, json.loads(json.dumps(cursor)) if cursor is not None else None)


def started(path: Path) -> Poller:
    made = poller(path)
    made.poll()
    return made


def line(number: int, clid: str = "", columns: int = 21) -> str:
    """The row of a 9 s call that began that many minutes after 2026-11-23 00:00, quoted as cdr_csv does."""
    day, minute = divmod(number, 1440)
    clock = f"2026-11-{23 + day:02d} {minute // 60:02d}:{minute % 60:02d}"
    ident = f"{EPOCH + 60 * number}.{number}"
    texts = [
        "",
        "36709676052",
        "200",
        "from-trunk",
        clid,
        f"PJSIP/trunk-{number:08x}",
        "PJSIP/200-1",
        "Dial",
        "",
    ]
    fields = [*map(_quoted, texts), f'"{clock}:00"', f'"{clock}:05"', f'"{clock}:09"', "9", "4"]
    fields += [*map(_quoted, ["ANSWERED", "DOCUMENTATION", ident, "", "", ident]), str(number)]
    return ",".join(fields[:columns]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def write(path: Path, *numbers: int, **how: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(line(number, **how) for number in numbers)


def calls(of: Poller) -> list[int]:
    return [int(row.uniqueid.rpartition(".")[2]) for row in of.poll().rows]


def test_the_first_look_tells_nothing_of_the_past_and_the_next_what_is_new(master: Path) -> None:
    write(master, 1, 2)
    polling = started(master)
    assert calls(polling) == []
    write(master, 5, 4)
    assert calls(polling) == [5, 4]
    assert calls(polling) == []


def test_a_row_reads_as_asterisk_meant_it(master: Path) -> None:
    polling = started(master)
    write(master, 0, clid='"Kovács, Ágnes" <36>')
    row = polling.poll().rows[0]
    assert (row.start, row.answer, row.end) == (EPOCH, EPOCH + 5, EPOCH + 9)
    assert (row.clid, row.src, row.dst, row.disposition) == (
        '"Kovács, Ágnes" <36>',
        "36709676052",
        "200",
        "ANSWERED",
    )
    assert (row.linkedid, row.sequence, row.billsec, row.disposition) == (f"{EPOCH}.0", 0, 4, "ANSWERED")


def test_only_whole_lines_are_read(master: Path) -> None:
    polling = started(master)
    text = line(1)
    for piece in (text[:40], text[40:-1]):
        with master.open("a") as file:
            file.write(piece)
        assert calls(polling) == []
    with master.open("a") as file:
        file.write("\n")
    assert calls(polling) == [1]


def test_a_line_break_in_a_callers_name_makes_no_row_of_its_own(master: Path) -> None:
    polling = started(master)
    forged = "x\n" + line(66).rstrip()
    write(master, 1, clid=forged)
    rows = polling.poll().rows
    assert [row.clid for row in rows] == [forged]


def test_a_line_that_was_torn_off_takes_no_other_with_it(master: Path) -> None:
    polling = started(master)
    with master.open("a") as file:
        file.write('"","367\n')
    write(master, *range(1, 10))
    assert sorted({*calls(polling), *calls(polling)}) == list(range(1, 10))
    assert polling.bad_rows == 1


@pytest.mark.parametrize("glued", [False, True])
def test_a_line_that_was_torn_off_holds_up_none_behind_it(master: Path, *, glued: bool) -> None:
    polling = started(master)
    with master.open("a") as file:
        # Asterisk that is started anew goes on in the line where the one before was killed.
        file.write('"","367' + (line(1) if glued else "\n"))
    assert calls(polling) == []
    write(master, 2)
    assert calls(polling) == [2]
    assert polling.bad_rows == 1


def test_a_quote_in_a_field_without_quotes_holds_up_nothing(master: Path) -> None:
    polling = started(master)
    with master.open("a") as file:
        file.write(line(1, clid="six inch").replace('"', "").replace("six inch", '6" pipe'))
    write(master, 2, clid="two")
    assert [row.clid for row in polling.poll().rows] == ['6" pipe', "two"]


def test_a_name_that_looks_like_a_row_is_none_while_it_is_being_written(master: Path) -> None:
    polling = started(master)
    forged = line(66).replace('"', "")
    text = line(1, clid=f"x\n{forged}{line(67)}y")
    assert text.count("\n") == 4
    for place in [place for place, letter in enumerate(text, 1) if letter == "\n"]:
        with master.open("a") as file:
            file.write(text[master.stat().st_size : place])
        assert calls(polling) == ([1] if place == len(text) else [])
    assert polling.bad_rows == 0


def test_a_restart_goes_on_where_the_last_run_stopped(master: Path) -> None:
    polling = started(master)
    write(master, 1)
    cursor = polling.poll().cursor
    write(master, 2)
    assert calls(poller(master, cursor)) == [2]


def test_rows_that_could_not_be_kept_are_given_again(master: Path) -> None:
    polling = started(master)
    write(master, 1)
    assert calls(polling) == [1]
    polling.again()
    assert calls(polling) == [1]


def renamed(master: Path) -> None:
    master.rename(master.with_name("Master.csv.1"))


def renamed_and_made(master: Path) -> None:
    master.rename(master.with_name("Master-20261123.csv"))
    master.touch()


def copied_and_emptied(master: Path) -> None:
    shutil.copy(master, master.with_name("Master.csv.1"))
    with master.open("r+") as file:
        file.truncate()


@pytest.mark.parametrize("rotate", [renamed, renamed_and_made, copied_and_emptied])
@pytest.mark.parametrize("meanwhile", [True, False])
def test_a_rotation_loses_no_row(master: Path, rotate: Callable[[Path], None], meanwhile: bool) -> None:
    polling = started(master)
    write(master, 1, 2)
    assert calls(polling) == [1, 2]
    write(master, 3)
    rotate(master)
    assert not meanwhile or calls(polling) == [3]
    write(master, 4)
    assert [number for _ in range(3) for number in calls(polling)] == ([4] if meanwhile else [3, 4])
    write(master, 5)
    assert calls(polling) == [5]


def test_several_rotations_during_an_absence_lose_no_row(master: Path) -> None:
    polling = started(master)
    write(master, 1)
    cursor = polling.poll().cursor
    write(master, 2)
    for number in (3, 4):
        moved = master.rename(master.with_name(f"Master.csv.{number}"))
        assert moved.exists()
        write(master, number)
    polling = poller(master, cursor)
    assert [number for _ in range(4) for number in calls(polling)] == [2, 3, 4]


def test_another_file_in_its_place_is_read_from_its_first_line_but_not_its_history(master: Path) -> None:
    write(master, 2000)
    polling = started(master)
    write(master, 2001)
    assert calls(polling) == [2001]
    master.unlink()
    write(master, 5, 2002)
    with capture_logs() as logged:
        assert calls(polling) == [2002]
    assert [entry["event"] for entry in logged] == ["cdr.ids_restarted"]


def test_a_long_absence_is_caught_up_with(master: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_csv, "PIECE_BYTES", 5000)
    cursor = started(master).poll().cursor
    write(master, *range(300))
    polling = poller(master, cursor)
    got: list[int] = []
    while more := calls(polling):
        got += more
    assert got == list(range(300))


def test_a_file_that_comes_later_is_read_from_its_first_line(tmp_path: Path) -> None:
    polling = started(tmp_path / "Master.csv")
    with pytest.raises(SourceError, match=r"does not exist \(yet\): load cdr_csv"):
        polling.poll()
    write(tmp_path / "Master.csv", 1)
    assert calls(polling) == [1]


def test_a_line_without_the_newer_columns_says_what_is_lacking(master: Path) -> None:
    polling = started(master)
    write(master, 1, columns=18)
    row = polling.poll().rows[0]
    assert (row.uniqueid, row.linkedid, row.sequence) == (f"{EPOCH + 60}.1", "", None)
    lines = open_source(settings(master), UTC_ZONE).check()
    assert any("no column linkedid:" in text for text in lines)


def test_times_of_another_zone_are_noticed(master: Path) -> None:
    write(master, 1, 2)
    lines = open_source(settings(master), ZoneInfo("Europe/Budapest")).check()
    assert any("usegmtime = no" in text and text.endswith("or correct `timezone`") for text in lines)
    assert not any("usegmtime" in text for text in open_source(settings(master), UTC_ZONE).check())


def test_a_line_that_is_no_call_is_left_out_alone(master: Path) -> None:
    polling = started(master)
    with master.open("a") as file:
        file.write("some,other,table\n\n")
    write(master, 1)
    assert calls(polling) == [1]
    assert polling.bad_rows == 1


def test_a_line_that_no_reader_takes_is_left_out_alone(master: Path) -> None:
    polling = started(master)
    write(master, 1, clid="B" * 140_000)
    write(master, 2)
    assert calls(polling) == [2]
    assert polling.bad_rows == 1


def test_replay_and_comparison_read_the_moved_files_too(master: Path) -> None:
    write(master, 0, 1)
    renamed(master)
    write(master, 2)
    source = open_source(settings(master), UTC_ZONE)
    assert [row.sequence for row in source.since(EPOCH + 60, None)] == [1, 2]
    found = source.passed(source.newest(), EPOCH, lambda uniqueids: {f"{EPOCH}.0"} & set(uniqueids))
    assert [row.sequence for row in found] == [0]
