"""`replay`, `explain` and `simulate`, as an operator runs them: calls of the past, told and understood."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bridge_process import BridgeProcess
from captured_rows import CAPTURES

from vipex_bridge.cli.main import main
from vipex_bridge.receive.server import Receiver

CONFIGURATION = """
timezone: UTC
asterisk:
  agi: {{listen: null, socket: {folder}/agi.sock}}
  cdr: {{source: 'sqlite:///{folder}/master.db', poll: 100ms, settle: 0s}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: sqlite:///{folder}/state.db
clients:
  billing:
    kind: call_end
    url: {url}/cdr
    api_key: {{in: header, name: X-Key, value: planted-key}}
  archive: {{kind: call_end, url: {url}/archive}}
  crm:
    kind: notify
    on: [arrival, ringing, answer, hangup]
    url: {url}/calls
    api_key: {{in: query, name: key, value: planted-key}}
"""


def rows_of(case: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CAPTURES / case / "cdr.jsonl").read_text("utf-8").splitlines()]


def keep(folder: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])[1:]
    with closing(sqlite3.connect(folder / "master.db")) as database:
        names = ", ".join(f'"{column}"' for column in columns)
        database.execute(f"CREATE TABLE IF NOT EXISTS cdr (AcctId INTEGER PRIMARY KEY, {names})")
        for row in rows:
            marks = ", ".join("?" for _ in columns)
            database.execute(
                f"INSERT INTO cdr ({names}) VALUES ({marks})", [row[column] for column in columns]
            )
        database.commit()


class Past:
    """A bridge started after its PBX had been used for a while."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        keep(folder, [*rows_of("e2_blind_code"), *rows_of("n1_hold"), *rows_of("o3_same_moment_internal")])
        self.bridge = BridgeProcess(folder, CONFIGURATION.format(folder=folder, url=receiver.url))

    def run(self, *arguments: str) -> str:
        done = self.bridge.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    with Receiver() as receiver:
        past = Past(tmp_path, receiver)
        with past.bridge:
            yield past


def test_what_happened_before_the_first_start_is_told_on_demand_alone(past: Past) -> None:
    assert past.receiver.requests_received() == []
    said = past.run("replay", "--since", "2026-11-23 00:00", "--until", "2026-11-24 00:00")
    assert "queued again" in said.splitlines()[-1]
    past.bridge.wait_for("delivery.sent", client="billing")
    told = past.receiver.wait_for(6, 20.0)
    documents: dict[str, list[dict[str, Any]]] = {}
    for request in told:
        documents.setdefault(request.path, []).append(json.loads(request.body))
    assert sorted(documents) == ["/archive", "/cdr"], "nothing of the past is notified"
    [transferred] = [d for d in documents["/cdr"] if d["sub_cdrs"]]
    assert [(part["direction"], part["exten"]) for part in transferred["sub_cdrs"]] == [
        (1, "251"),
        (1, "252"),
    ]
    assert "is told to nobody" in said, "the calls between colleagues"


def test_a_call_replayed_again_is_the_same_call_in_a_new_delivery(past: Past) -> None:
    when = ["--since", "2026-11-23 00:00", "--client", "billing"]
    past.run("replay", *when)
    first = past.receiver.wait_for(3, 20.0)
    past.run("replay", *when)
    both = past.receiver.wait_for(6, 20.0)
    assert {request.path for request in both} == {"/cdr"}
    assert sorted(r.body for r in both[:3]) == sorted(r.body for r in both[3:])
    assert len({request.header("Idempotency-Key") for request in both}) == 6
    assert len(first) == 3


def test_what_calls_shows_of_one_can_be_rendered_as_it_was_told(past: Past, tmp_path: Path) -> None:
    past.run("replay", "--since", "2026-11-23 00:00", "--client", "billing")
    past.bridge.wait_for("delivery.sent", client="billing")
    for request in past.receiver.wait_for(3, 20.0):
        told = json.loads(request.body)
        shown = past.run("calls", str(told["id"]))
        assert not shown.rstrip().endswith("}"), "a time line follows the JSON"
        file = tmp_path / "shown"
        file.write_text(shown)
        rendered = past.run("render", "billing", "--call", str(file))
        assert json.loads(rendered[rendered.index("{") :]) == told


def test_replay_names_what_is_wrong(past: Past) -> None:
    done = past.bridge.command("replay", "--since", "1h", "--client", "crm")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "notify client" in done.stderr
    assert past.bridge.command("replay", "--since", "yesterday").returncode == 2
    assert past.bridge.command("replay").returncode == 2


def test_a_call_is_explained_from_its_rows_to_the_answer_of_each_client(past: Past) -> None:
    past.run("replay", "--since", "2026-11-23 00:00")
    past.receiver.wait_for(6, 20.0)
    past.bridge.wait_for("delivery.sent", client="archive")
    uniqueid = rows_of("e2_blind_code")[0]["uniqueid"]
    shown = past.run("explain", uniqueid)
    assert "sources: AMI is not configured; " in shown
    assert "extension 251 rings" in shown
    assert "2: extension 252" in shown
    assert "call_end to billing: 200 in" in shown
    assert "planted-key" not in shown
    call_id = shown.split()[1]
    assert past.run("explain", call_id) == shown
    assert past.bridge.command("explain", "no-such").returncode == 1


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIGURATION.format(folder=tmp_path, url="http://127.0.0.1:9"), "utf-8")
    return path


def test_a_recording_shows_what_each_client_would_get(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CAPTURES / "f5_blonde_refer"
    wanted = ["simulate", "--config", str(configuration), str(case / "ami.log.gz")]
    assert main([*wanted, "--cdr", str(case / "cdr.jsonl")]) == 0
    shown = capsys.readouterr().out
    heads = [line.split("  ", 1)[1] for line in shown.splitlines() if line.startswith("== ")]
    assert heads == [
        "crm: arrival of call 1",
        "crm: ringing of call 1",
        "crm: answer of call 1",
        "crm: ringing of call 1",
        "crm: answer of call 1",
        "crm: hangup of call 1",
        "billing: call_end of call 1",
        "archive: call_end of call 1",
    ]
    assert "planted-key" not in shown
    assert "POST http://127.0.0.1:9/calls?key=********" in shown
    bodies = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert [(part["exten"], part["ringtime"]) for part in bodies[6]["sub_cdrs"]] == [("251", 1), ("252", 3)]
    assert not (configuration.parent / "state.db").exists(), "a simulation keeps nothing"


def test_two_configurations_are_compared(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = str(CAPTURES / "b_inbound_simple" / "ami.log.gz")
    wanted = ["simulate", "--config", str(configuration), capture, "--against"]
    assert main([*wanted, str(configuration)]) == 0
    assert capsys.readouterr().out == "the same requests\n"
    other = configuration.parent / "other.yaml"
    other.write_text(configuration.read_text("utf-8").replace("ringing, answer", "answer"), "utf-8")
    assert main([*wanted, str(other)]) == 1
    changed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("-== ")]
    assert [line.split("  ", 1)[1] for line in changed] == ["crm: ringing of call 1"]


def test_a_capture_that_is_none_is_one_line(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--config", str(configuration), str(configuration.parent / "none.gz")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
