"""What the commands list: a line for each thing, whatever lines a stranger wrote into his number."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cdr_file import COLUMNS

from vipex_bridge.cli.main import main

NUMBER = "3670\r\nforged line\x1b[2J\u2028forged too\u202eő"
CONFIGURATION = """
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', preset: sqlite3_custom}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
clients:
  billing: {{kind: call_end, url: 'http://127.0.0.1:9/cdr'}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose CDR source holds one call of an hour ago."""
    written = datetime.fromtimestamp(time.time() - 3600, UTC).strftime("%Y-%m-%d %H:%M:%S")
    row = {
        "start": written, "answer": written, "end": written, "src": NUMBER, "dst": NUMBER, "clid": NUMBER,
        "channel": "PJSIP/trunk-00000001", "dstchannel": "PJSIP/251-00000002", "dcontext": NUMBER,
        "duration": 0, "billsec": 0, "disposition": "ANSWERED", "uniqueid": "1700000000.1",
        "linkedid": "1700000000.1", "sequence": 1,
    }  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "master.db")) as database:
        database.execute(f"CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, {COLUMNS})")
        marks = ", ".join("?" for _ in row)
        database.execute(f"INSERT INTO cdr ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        database.commit()
    file = tmp_path / "config.yaml"
    file.write_text(CONFIGURATION.format(folder=tmp_path))
    return file


def said(capsys: pytest.CaptureFixture[str], config: Path, name: str, *arguments: str) -> list[str]:
    """The lines of a command's output, in a file or a pipe."""
    code = main([name, "--config", str(config), *arguments])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return shown.out.rstrip("\n").split("\n")


def test_a_line_break_in_a_number_begins_no_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replayed = said(capsys, config, "replay", "--since", "2h")
    assert len(replayed) == 2
    assert "forged line" in replayed[0]
    [listed] = said(capsys, config, "calls")
    assert "forged line" in listed
    [_, delivered] = ["", *said(capsys, config, "deliveries")]
    assert "billing" in delivered
    call_id = listed.split()[0]
    for command in ("calls", "explain"):
        lines = said(capsys, config, command, call_id)
        assert any("forged line" in line for line in lines)
        assert not [line for line in lines if line.lstrip().startswith("forged")]
    for line in (*replayed, listed):
        assert line.isprintable(), ascii(line)


def test_an_output_that_knows_no_accents_gets_escapes_and_no_traceback(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, config, "replay", "--since", "2h")
    done = subprocess.run(
        [sys.executable, "-m", "vipex_bridge.cli.main", "calls", "--config", str(config)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u0151" in done.stdout
