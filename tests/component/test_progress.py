"""How far something long has come: a bar on a terminal that leaves no trace, plain lines elsewhere."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from asterisk_tree import PLAIN, write_tree
from captured_rows import CAPTURES
from terminal import on_a_terminal, screen

from vipex_bridge.cli.progress import Progress

CONFIGURATION = """
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: sqlite:///{folder}/state.db
clients: {{billing: {{kind: call_end, url: 'http://127.0.0.1:1/'}}}}
"""
REPLAY = ("replay", "--since", "2026-11-23 00:00", "--until", "2026-11-24 00:00")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    lines = [
        json.loads(line)
        for case in ("e2_blind_code", "n1_hold", "o3_same_moment_internal")
        for line in (CAPTURES / case / "cdr.jsonl").read_text("utf-8").splitlines()
    ]
    columns = [name for name in lines[0] if name != "AcctId"]
    with closing(sqlite3.connect(tmp_path / "master.db")) as database:
        database.execute(f"CREATE TABLE cdr ({', '.join(f'{name!r}' for name in columns)})")
        marks = ", ".join("?" for _ in columns)
        database.executemany(
            f"INSERT INTO cdr VALUES ({marks})", [[line.get(name) for name in columns] for line in lines]
        )
        database.commit()
    (tmp_path / "config.yaml").write_text(CONFIGURATION.format(folder=tmp_path))
    return tmp_path / "config.yaml"


def command(config: Path, *arguments: str) -> list[str]:
    name, *rest = arguments
    return [sys.executable, "-m", "vipex_bridge.cli.main", name, "--config", str(config), *rest]


def calls_in(lines: list[str]) -> list[str]:
    """The lines of calls, each whole."""
    return [line for line in lines if re.fullmatch(r" +\d+  2026-11-23 [\d:]{8}  \S+ -> \S+: .+", line)]


def test_on_a_terminal_a_bar_moves_and_leaves_nothing_behind(config: Path) -> None:
    written = on_a_terminal(*command(config, *REPLAY))
    assert "replay [" in written
    assert "CDR rows read: " in written
    left = screen(written)
    assert not [line for line in left if "replay [" in line or "rows read" in line]
    assert left[-2].endswith("deliveries")
    assert len(calls_in(left)) == int(left[-2].split()[2])
    assert any("recording.left_out" in line for line in left), "the log is to be read, too"


def test_elsewhere_what_is_printed_is_the_same_and_has_no_bar(config: Path, tmp_path: Path) -> None:
    done = subprocess.run(command(config, *REPLAY), capture_output=True, text=True, check=True, timeout=60)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    (tmp_path / "state.db").unlink()
    assert calls_in(screen(on_a_terminal(*command(config, *REPLAY)))) == calls_in(done.stdout.splitlines())


def test_init_shows_it_too(tmp_path: Path) -> None:
    write_tree(tmp_path / "root", dict(PLAIN))
    written = on_a_terminal(
        sys.executable, "-m", "vipex_bridge.cli.main", "init", "--yes", "--root", str(tmp_path / "root")
    )
    assert "writing [" in written
    assert not [line for line in screen(written) if line.startswith("writing")]
    assert len([line for line in screen(written) if line.startswith("written: ")]) == 17


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_elsewhere_a_line_comes_every_few_seconds_and_none_for_what_is_short() -> None:
    stream, time = io.StringIO(), Time()
    shown = Progress("replay", 400, stream, time)
    for _ in range(300):
        time.now += 0.1
        shown.step()
    shown.clear()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5 or len(lines) == 6
    assert lines[0] in ("replay: 50 of 400, 12%", "replay: 51 of 400, 13%")


def test_a_bar_is_drawn_seldom_however_fast_it_goes() -> None:
    stream, time = Terminal(), Time()
    shown = Progress("replay", 100_000, stream, time)
    for _ in range(100_000):
        time.now += 0.00001
        shown.step()
    assert stream.getvalue().count("\r") <= 12
    shown.clear()
    assert screen(stream.getvalue()) == [""]


def test_a_bar_says_how_much_is_done_and_fits_the_line() -> None:
    shown = Progress("replay", 8, Terminal(), Time())
    shown.step(2)
    assert shown.text(79) == "replay [######..................] 2 of 8, 25%"
    assert len(shown.text(20)) == 20
    unknown = Progress("rows", None, Terminal(), Time())
    unknown.step(7)
    assert unknown.text(79) == "rows: 7"
    assert Progress("none", 0, Terminal(), Time()).text(79) == "none: 0"
