"""CEL out of a CSV file, as cel_custom writes it: the rows of one call, across rotations, however long."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from captured_cel import cel_rows_of
from captured_rows import CAPTURES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vipex_bridge.calls.rows import CelRow
from vipex_bridge.cdr import csv_blocks
from vipex_bridge.cdr.cel_rows import CelSource
from vipex_bridge.cdr.sources import open_cel
from vipex_bridge.config.load import load_text
from vipex_bridge.config.presets import CEL_PRESET_OF_CSV
from vipex_bridge.config.settings import Cdr, Secret
from vipex_bridge.errors import SourceError

REFER = "with_cel/attended_refer"
"""Two calls of 251, of two linkedids, that become one."""
SIMPLE = "b_inbound_simple"
COLUMNS = sorted(CEL_PRESET_OF_CSV.columns, key=lambda name: int(CEL_PRESET_OF_CSV.columns[name]))


class Master:
    """`cel-custom/Master.csv` as Asterisk writes it by the shipped cel_custom.conf."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "Master.csv"
        self.path.touch()

    def log(self, case: str, *, later_s: float = 0.0, prefix: str = "", until: int | None = None) -> None:
        """Writes the rows of a captured call, in another call's time and names."""
        lines = (CAPTURES / case / "cel.jsonl").read_text("utf-8").splitlines()[:until]
        for data in map(json.loads, lines):
            data["eventtime"] = f"{float(data['eventtime']) + later_s:.6f}"
            data |= {name: prefix + data[name] for name in ("uniqueid", "linkedid")}
            data["eventextra"] = data.get("eventextra", "").replace('uniqueid":"', f'uniqueid":"{prefix}')
            self.write(**data)

    def write(self, **values: object) -> None:
        names = [*COLUMNS[:12], "amaflags", *COLUMNS[12:]]
        fields = ('"' + str(values.get(name, "")).replace('"', '""') + '"' for name in names)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(",".join(fields) + "\n")

    def source(self, timezone: str = "UTC", **columns: str) -> CelSource:
        shape = CEL_PRESET_OF_CSV
        options = Cdr(
            Secret(f"csv://{self.path}"), "cel", "cel", {**shape.columns, **columns}, shape.time_format
        )
        return open_cel(options, ZoneInfo(timezone))


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return Master(tmp_path)


def start_of(case: str) -> float:
    return cel_rows_of(case)[0].at


def told(rows: list[CelRow]) -> list[tuple[str, str, str, str]]:
    return [(row.event, row.channel, row.caller_number, row.extra) for row in rows]


def test_a_call_is_found_among_others_with_all_that_it_speaks_of(master: Master) -> None:
    for number in range(40):
        master.log(SIMPLE, later_s=86_400 + number * 600.0, prefix=f"before{number}-")
    start = start_of(SIMPLE) + 86_400 + 40 * 600.0
    later_s = start - start_of(REFER)
    master.log(REFER, later_s=later_s)
    for number in range(41, 60):
        master.log(SIMPLE, later_s=86_400 + number * 600.0, prefix=f"after{number}-")
    first = cel_rows_of(REFER)[0].linkedid
    rows = master.source().rows_of([first], start, start + 5)
    assert told(rows) == told(cel_rows_of(REFER))
    assert {row.linkedid for row in rows} > {first}, "the consultation's own linkedid"
    assert rows[0].at == pytest.approx(start)


def test_what_is_written_after_the_first_question_is_in_the_next_answer(master: Master) -> None:
    whole = cel_rows_of(SIMPLE)
    source, key = master.source(), whole[0].linkedid
    assert source.rows_of([key], start_of(SIMPLE), None) == []
    master.log(SIMPLE, until=4)
    assert told(source.rows_of([key], start_of(SIMPLE), None)) == told(whole[:4])
    master.path.unlink()
    master.log(SIMPLE)
    assert told(source.rows_of([key], start_of(SIMPLE), None)) == told(whole)


def renamed(path: Path) -> None:
    path.rename(path.with_name("Master.csv.1"))


def renamed_and_made(path: Path) -> None:
    path.rename(path.with_name("Master-20261123.csv"))
    path.touch()


def copied_and_emptied(path: Path) -> None:
    shutil.copy2(path, path.with_name("Master.csv.1"))
    with path.open("r+") as file:
        file.truncate()


def copied_and_not_yet_emptied(path: Path) -> None:
    shutil.copy2(path, path.with_name("Master.csv.1"))


@pytest.mark.parametrize(
    "rotate", [renamed, renamed_and_made, copied_and_emptied, copied_and_not_yet_emptied]
)
@pytest.mark.parametrize("meanwhile", [True, False])
def test_a_call_that_a_rotation_cuts_in_two_is_whole(
    master: Master, rotate: Callable[[Path], None], meanwhile: bool
) -> None:
    whole = cel_rows_of(SIMPLE)
    source, key = master.source(), whole[0].linkedid
    master.log("with_cel/blind_code", later_s=start_of(SIMPLE) - start_of("with_cel/blind_code") - 600)
    master.log(SIMPLE, until=5)
    if meanwhile:
        assert told(source.rows_of([key], whole[0].at, whole[4].at)) == told(whole[:5])
    rotate(master.path)
    assert told(source.rows_of([key], whole[0].at, whole[4].at)) == told(whole[:5])
    lines = (CAPTURES / SIMPLE / "cel.jsonl").read_text("utf-8").splitlines()[5:]
    for line in lines:
        master.write(**json.loads(line))
    if rotate is not copied_and_not_yet_emptied:
        assert told(source.rows_of([key], whole[0].at, whole[4].at)) == told(whole)


def test_a_line_break_in_a_callers_name_makes_no_row_of_its_own(master: Master) -> None:
    forged = 'x\n"HANGUP","1795409377.5","","","","","","","","PJSIP/9","","","","","a.1","a.1","","","",""'
    master.write(
        eventtype="CHAN_START", eventtime="1795409377.5", cidname=forged, uniqueid="a.1", linkedid="a.1"
    )
    rows = master.source().rows_of(["a.1"], 1795409377.0, None)
    assert [row.event for row in rows] == ["CHAN_START"]


def test_a_line_that_no_reader_takes_is_left_out_alone(master: Master) -> None:
    master.write(eventtype="CHAN_START", eventtime="1795409377.5", cidname="B" * 140_000, uniqueid="a.1")
    master.write(eventtype="HANGUP", eventtime="1795409377.6", uniqueid="a.1", linkedid="a.1")
    rows = master.source().rows_of(["a.1"], 1795409377.0, None)
    assert [row.event for row in rows] == ["HANGUP"]


def test_a_line_that_was_torn_off_holds_up_none_behind_it(master: Master) -> None:
    with master.path.open("a") as file:
        file.write('"CHAN_START","17954\n')
    master.write(eventtype="HANGUP", eventtime="1795409377.6", uniqueid="a.1", linkedid="a.1")
    rows = master.source().rows_of(["a.1"], 1795409377.0, None)
    assert [row.event for row in rows] == ["HANGUP"]


def test_only_whole_lines_are_read(master: Master) -> None:
    master.log(SIMPLE)
    text = master.path.read_text()
    whole = cel_rows_of(SIMPLE)
    master.path.write_text(text[:-20])
    rows = master.source().rows_of([whole[0].linkedid], start_of(SIMPLE), None)
    assert told(rows) == told(whole[:-1])


def test_local_times_in_the_hour_that_autumn_repeats_are_told_apart_by_their_uniqueid(master: Master) -> None:
    first, second = 1_792_888_200.0, 1_792_891_800.0  # 02:30 in Budapest on 2026-10-25, summer and winter
    for number, began in enumerate((first, second)):
        for event, clock in (("CHAN_START", "02:30:00"), ("HANGUP", "02:31:05"), ("CHAN_END", "02:31:05")):
            uniqueid = f"{began:.0f}.{number}"
            master.write(
                eventtype=event, eventtime=f"2026-10-25 {clock}", uniqueid=uniqueid, linkedid=uniqueid
            )
    for number, began in enumerate((first, second)):
        rows = master.source("Europe/Budapest").rows_of([f"{began:.0f}.{number}"], began, began + 60)
        assert [row.at - began for row in rows] == [0, 65, 65]


def test_a_call_of_yesterday_is_found_in_a_long_file_without_reading_it_all(master: Master) -> None:
    master.log(SIMPLE, prefix="@@")
    one = master.path.read_text()
    times = [f"{row.at:.6f}" for row in cel_rows_of(SIMPLE)]
    with master.path.open("w") as file:
        for number in range(10_000):
            text = one.replace("@@", f"{number}-")
            for written in times:
                text = text.replace(written, f"{float(written) + number * 10:.6f}")
            file.write(text)
    size = master.path.stat().st_size
    assert size > 30_000_000
    source, linkedid = master.source(), cel_rows_of(SIMPLE)[0].linkedid
    for number, most in ((4_000, size // 4), (4_001, size // 20), (3_999, size // 20)):
        began = start_of(SIMPLE) + number * 10
        before = bytes_read()
        rows = source.rows_of([f"{number}-{linkedid}"], began, began + 9)
        assert told(rows) == told(cel_rows_of(SIMPLE))
        assert bytes_read() - before < most


def bytes_read() -> int:
    """How much this process has read from files so far."""
    return int(Path("/proc/self/io").read_text().partition("rchar: ")[2].partition("\n")[0])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(st.sampled_from([SIMPLE, REFER, "with_cel/blind_code"]), st.booleans()), max_size=8
    ),
    block=st.integers(900, 9_000),
    asked=st.permutations(range(8)),
    data=st.data(),
)
def test_every_call_is_found_whole_however_blocks_and_files_lie(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[tuple[str, bool]],
    block: int,
    asked: list[int],
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", block)
    monkeypatch.setattr(csv_blocks, "MOST_BLOCKS", 5)
    master = Master(tmp_path_factory.mktemp("cel"))
    source = master.source()
    began: list[float] = []
    for number, (case, rotates) in enumerate(calls):
        began.append((began[-1] if began else 1_795_409_377.0) + data.draw(st.sampled_from([3, 700])))
        if rotates and number:
            master.path.rename(master.path.with_name(f"Master.csv.{number}"))
        master.log(case, later_s=began[-1] - start_of(case), prefix=f"{number}-")
        if data.draw(st.booleans()):
            assert source.rows_of(["1.1"], began[-1], None) == []
    for number in asked:
        if number < len(calls):
            case = calls[number][0]
            linkedid = f"{number}-{cel_rows_of(case)[0].linkedid}"
            end = data.draw(st.sampled_from([None, began[number] + 4]))
            rows = source.rows_of([linkedid], began[number], end)
            assert [(r.event, r.channel) for r in rows] == [(r.event, r.channel) for r in cel_rows_of(case)]


# -- what is said of a file that cannot be used -------------------------------------------------


def test_a_missing_file_is_said_to_be(tmp_path: Path) -> None:
    master = Master(tmp_path)
    master.path.unlink()
    with pytest.raises(SourceError, match=r"does not exist \(yet\): load cel_custom.*asterisk\.cel\.source"):
        master.source().rows_of(["1.1"], 1.0, None)


@pytest.mark.parametrize("number", ["extra", "0", "-1"])
def test_columns_that_are_no_numbers_are_refused(master: Master, number: str) -> None:
    with pytest.raises(SourceError, match=r"asterisk\.cel\.columns of a CSV file are numbers"):
        master.source(eventextra=number)


def test_a_file_of_other_columns_is_noticed(master: Master) -> None:
    assert master.source().check() == []
    master.log(SIMPLE)
    assert master.source().check() == []
    with pytest.raises(SourceError, match="has no column 30 for eventextra"):
        master.source(eventextra="30").check()
    [line] = master.source(eventtime="1").check()
    assert "the newest row has no eventtime in column 1" in line


def test_columns_may_stand_elsewhere(master: Master) -> None:
    master.path.write_text('a.1,b.1,PICKUP,1795409377.5,PJSIP/200-00000001,"{""x"": 1}"\n')
    columns = "{uniqueid: 1, linkedid: 2, eventtype: 3, eventtime: 4, channame: 5, eventextra: 6}"
    text = f"asterisk: {{cel: {{source: 'csv://{master.path}', columns: {columns}}}}}"
    cel = load_text(text, Path("config.yaml"), {}).settings.cel
    assert cel is not None
    [row] = open_cel(cel, ZoneInfo("UTC")).rows_of(["b.1"], 1795409377.0, None)
    assert (row.event, row.extra, row.at) == ("PICKUP", '{"x": 1}', 1795409377.5)
