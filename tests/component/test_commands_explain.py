"""`explain`: a call's story as an operator reads it, whoever testified."""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from captured_rows import CAPTURES, rows_of
from stored import open_in

from vipex_bridge.ami.translate import replay
from vipex_bridge.bridge.finishing import finish
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build
from vipex_bridge.cli.configuration import load_checked
from vipex_bridge.cli.main import main
from vipex_bridge.store.outbox import NewAttempt
from vipex_bridge.store.results import Result

CONFIGURATION = """
node: pbx1
timezone: Europe/Budapest
asterisk: {{cel: {{source: 'sqlite:///{folder}/master.db'}}}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: sqlite:///{folder}/state.db
clients:
  billing:
    kind: call_end
    url: http://127.0.0.1:9/cdr
    api_key: {{in: header, name: X-Key, value: planted-key}}
"""
CASE = "e1_blind_refer"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIGURATION.format(folder=tmp_path), "utf-8")
    return path


def remembered(config: Path, *, from_message: int = 0, with_rows: bool = False) -> tuple[int, float]:
    """The call as the bridge keeps it that saw AMI from some event on; its id, and when it ended."""
    settings, _ = load_checked(str(config))
    numbering = numbering_of(settings.numbers)
    tracker = Tracker(numbering)
    events = list(replay(gzip.decompress((CAPTURES / CASE / "ami.log.gz").read_bytes())))
    for event in events[from_message:]:
        tracker.feed(event)
    (record,) = tracker.calls()
    document = build(record, numbering, lambda *_: None)
    assert document is not None
    ended = document.main.hangup_time
    with open_in(config.parent) as store:
        with store.write(ended) as writer:
            call_id = writer.identify(record.keys(), events[0].at)
            writer.save_call(
                call_id,
                state="ended",
                started_at=events[0].at,
                ended_at=ended,
                facts=json.dumps(record.to_dict()),
            )
            if with_rows:
                writer.add_rows(rows_of(CASE), call_id)
            finish(writer, Telling(settings), call_id, document, ended + 1)
        with store.write(ended + 1.5) as writer:
            [delivery] = writer.claim("billing", 1)
        with store.write(ended + 2) as writer:
            tried = NewAttempt(ended + 1.5, 0.25, 503, "retry", "the server is busy", "")
            writer.record([Result(delivery.id, tried, time.time() + 60, 1)])
    return call_id, ended


def log_in_cel(folder: Path) -> None:
    rows = [json.loads(line) for line in (CAPTURES / CASE / "cel.jsonl").read_text("utf-8").splitlines()]
    columns = [name for name in rows[0] if name not in ("_rowid", "AcctId", "eventtime_f")]
    with closing(sqlite3.connect(folder / "master.db")) as database, database:
        database.execute(f"CREATE TABLE cel (AcctId INTEGER PRIMARY KEY, {', '.join(columns)})")
        for row in rows:
            marks = ", ".join("?" for _ in columns)
            database.execute(
                f"INSERT INTO cel ({', '.join(columns)}) VALUES ({marks})", [row[name] for name in columns]
            )


def explained(config: Path, call: object, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["explain", "--config", str(config), str(call)]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_call_is_told_from_the_first_ring_to_the_last_answer(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_id, _ = remembered(config)
    lines = explained(config, call_id, capsys)
    text = "\n".join(lines)
    assert "sources: AMI saw all of it; 0 CDR rows; CEL is not needed" in lines
    assert "kind:    inbound, since PJSIP/trunk-00000016 (outside) began it" in lines
    story = [line for line in lines if line[:4].isdigit()]
    assert story == sorted(story, key=lambda line: line[:23])
    assert story[0].startswith("2026-11-23 05:50:52.781  pbx     3642999425"), "local time, milliseconds"
    whats = [line[25:] for line in story]
    order = [
        "leg     1: extension 251: rang 2 s, then 3 s of talk",
        "pbx     extension 251 sends the other party on to 252 (blind transfer)",
        "told    the call is told: 2 sub CDRs, 12 s of talk",
        "queued  call_end for billing (queued)",
        "sent    call_end to billing: 503 in 250 ms, the server is busy",
    ]
    assert [what for what in whats if what in order] == order
    assert any("2: extension 252, put through by extension 251 (blind transfer): rang" in w for w in whats)
    assert "planted-key" not in text


def test_what_ami_missed_is_explained_by_cel(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_in_cel(config.parent)
    call_id, _ = remembered(config, from_message=25, with_rows=True)
    lines = explained(config, call_id, capsys)
    assert "sources: AMI saw a part of it (the bridge or its connection was away for a while)" in lines[2]
    rows = len((CAPTURES / CASE / "cel.jsonl").read_text("utf-8").splitlines())
    assert f"; {rows} CEL rows" in lines[2]
    assert any("extension 251 is dialled" in line for line in lines), "the beginning, which AMI missed"


def test_a_cel_source_that_cannot_be_read_is_said_and_keeps_nothing_back(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_id, _ = remembered(config, from_message=25, with_rows=True)
    lines = explained(config, call_id, capsys)
    assert "CEL cannot be read now: " in lines[2]
    assert any("sub CDRs" in line for line in lines)


def test_a_call_is_found_by_asterisks_names(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_id, _ = remembered(config)
    by_id = explained(config, call_id, capsys)
    assert explained(config, "1795409452.52", capsys) == by_id
    assert explained(config, "1795409452.53", capsys) == by_id, "any channel's uniqueid"
    assert main(["explain", "--config", str(config), "1795409452.99"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
