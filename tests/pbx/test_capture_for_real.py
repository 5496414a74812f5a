"""A real call recorded by `capture` beside the bridge, and what `simulate` makes of the recording."""

from __future__ import annotations

import gzip
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from house import House
from laboratory import SECRET
from phones import caller, extension
from played import Played, played
from playing import Playing

pytestmark = pytest.mark.pbx

CALLER, DID = "3642999425", "3642999409"
MASK = "********"
OF_ONE_BRIDGE = ("id", "main_reference_id", "monitor_file")
"""What a simulation cannot know: the store's ids, and a recording's content."""


class Capturing:
    """`vipex-bridge capture` while entered; it is logged in when the block begins."""

    def __init__(self, house: House, file: Path, *options: str) -> None:
        self._command = [
            *(sys.executable, "-m", "vipex_bridge.cli.main", "capture"),
            *("--config", str(house.bridge.config), str(file), *options),
        ]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = line = self._process.stderr.readline()
        while "ami.connected" not in line:
            line = self._process.stderr.readline()
            assert line, f"capture ended: {said}"
            said += line

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        errors = self._process.communicate(timeout=20)[1]
        assert self._process.returncode == 0, errors


@dataclass
class Simulated:
    """One request as `simulate` prints it."""

    client: str
    method: str
    path: str
    headers: dict[str, str]
    content: Any


def simulated(house: House, capture: Path, *options: str) -> list[Simulated]:
    done = house.bridge.command("simulate", str(capture), *options)
    assert (done.returncode, done.stderr) == (0, "")
    requests = []
    for block in done.stdout.split("== ")[1:]:
        head, _, body = block.rstrip("\n").partition("\n\n")
        first, request, *headers = head.splitlines()
        method, url = request.split(" ", 1)
        requests.append(
            Simulated(
                client=first.split()[2].rstrip(":"),
                method=method,
                path=urlsplit(url).path,
                headers=dict(header.split(": ", 1) for header in headers),
                content=anywhere(json.loads(body)),
            )
        )
    return requests


def anywhere(content: dict[str, Any]) -> dict[str, Any]:
    """The content without what belongs to one bridge."""
    parts = [anywhere(part) for part in content.get("sub_cdrs", [])]
    kept = {name: value for name, value in content.items() if name not in OF_ONE_BRIDGE}
    return {**kept, "sub_cdrs": parts} if "sub_cdrs" in content else kept


def a_transferred_call(house: House) -> Played:
    return played(
        house,
        [
            extension("251").rings(1).answers().waits(2).transfers_to("252"),
            extension("252").rings(1).answers().talks(1).hangs_up(),
            caller(CALLER).named("Kovács Anna").dials(DID).is_answered().waits_for_bye(),
        ],
    )


def rows_of(house: House, file: Path) -> Path:
    """All CDR rows of the house as `simulate --cdr` reads them."""
    with closing(sqlite3.connect(house.asterisk.cdr_database)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM cdr ORDER BY AcctId DESC LIMIT 2")]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return file


def test_a_recording_makes_the_requests_that_were_really_sent(house: House, tmp_path: Path) -> None:
    file = tmp_path / "bug.log"
    with Capturing(house, file):
        call = a_transferred_call(house)
    assert SECRET.encode() not in file.read_bytes()
    made = simulated(house, file, "--cdr", str(rows_of(house, tmp_path / "cdr.jsonl")))
    assert {request.client for request in made} == {"crm-calls", "crm-events", "billing", "flags"}
    for path, count in {"/calls": 6, "/events": 6, "/cdr": 1, "/cdr-all": 1}.items():
        real = [request for request in call.requests if request.path == path]
        ours = [request for request in made if request.path == path]
        assert len(real) == len(ours) == count
        for sent, told in zip(real, ours, strict=True):
            assert sent.method == told.method
            assert anywhere(json.loads(sent.body)) == told.content
            for name, value in told.headers.items():
                assert sent.header(name) == value or MASK in value


def test_an_anonymised_recording_tells_the_same_call_of_nobody(house: House, tmp_path: Path) -> None:
    plain, given_away = tmp_path / "plain.log", tmp_path / "bug.log.gz"
    with Capturing(house, plain), Capturing(house, given_away, "--anonymise"):
        call = a_transferred_call(house)
    kept = gzip.decompress(given_away.read_bytes())
    for secret in (CALLER, DID, "Kovács", SECRET):
        assert secret.encode() not in kept
    assert [request.content for request in simulated(house, plain) if request.path == "/events"] == [
        request.content for request in simulated(house, given_away) if request.path == "/events"
    ]
    [document] = [request.content for request in simulated(house, given_away) if request.path == "/cdr"]
    real = call.document
    assert [(p["direction"], p["exten"], p["ringtime"], p["billsec"]) for p in document["sub_cdrs"]] == [
        (p["direction"], p["exten"], p["ringtime"], p["billsec"]) for p in real["sub_cdrs"]
    ]
    assert (document["start_time"], document["duration"]) == (real["start_time"], real["duration"])
    assert len(document["src"]) == len(CALLER)
    assert document["src"] != CALLER


def test_a_recording_begun_in_the_middle_of_a_call_knows_who_talks(house: House, tmp_path: Path) -> None:
    file = tmp_path / "late.log"
    before, mark = len(house.receiver.requests_received()), house.bridge.mark()
    playing = Playing(
        house.asterisk,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials(DID).is_answered().talks(6).hangs_up(),
        ],
    )
    house.bridge.wait_for("call.notice", after=mark, notice="answer")
    with Capturing(house, file):
        playing.finish()
        [real] = house.documents(1, before)
    made = simulated(house, file)
    assert [request.content["event"] for request in made if request.path == "/events"] == ["hangup"]
    [told] = [request.content for request in made if request.path == "/cdr"]
    for field_name in ("direction", "exten", "src", "hangup_time", "duration"):
        assert told[field_name] == real[field_name]
