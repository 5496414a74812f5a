"""The commands that README.hu.md gives for the night in which a CRM missed a call, run in its order."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bridge_process import BridgeProcess
from cdr_file import make_table, write_ended_call
from delivering import wait_until
from faulty_server import FaultyServer, running
from pages import ROOT

CONFIGURATION = """
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', poll: 100ms}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
clients:
  billing: {{kind: call_end, url: '{url}/cdr', retry: []}}
"""


def _night() -> list[str]:
    """The commands of the bridge's own in that section, as they stand; the capture's have their own tests."""
    text = (ROOT / "README.hu.md").read_text("utf-8")
    section = text[text.index("## Éjjel") : text.index("### Mi számít")]
    lines = re.findall(r"^(vipex-bridge [^#\n]*)", section, re.MULTILINE)
    return [line.strip() for line in lines if line.split()[1] not in ("capture", "simulate")]


@pytest.fixture
def failed(tmp_path: Path) -> Iterator[tuple[BridgeProcess, FaultyServer]]:
    """A bridge that told of one call in vain, and a receiver that is well again."""
    make_table(tmp_path / "master.db")
    with running() as receiver:
        receiver.answer = receiver.replies(500)
        with BridgeProcess(tmp_path, CONFIGURATION.format(folder=tmp_path, url=receiver.url)) as bridge:
            bridge.wait_for("reconcile.done")
            write_ended_call(tmp_path / "master.db")
            bridge.wait_for("delivery.parked", timeout_s=60)
            receiver.answer = receiver.replies(200)
            yield bridge, receiver


def test_the_night_ends_well(failed: tuple[BridgeProcess, FaultyServer]) -> None:
    bridge, receiver = failed
    call_id = json.loads(receiver.received[0].body)["id"]
    said = {command: _run(bridge, command, call_id) for command in _night()}

    def of(words: str) -> str:
        return next(text for command, text in said.items() if words in command)

    assert "36305551001" in of("calls --limit")
    assert "500" in of("explain")
    assert "billing" in of("deliveries --status failed")
    assert "POST" in of("render billing")
    assert "200" in of("try billing")
    # What failed, what was tried, what was sent again, what was replayed.
    wait_until(lambda: len(_keys(receiver)) >= 4, 30)
    first, tried, again, replayed = _keys(receiver)[:4]
    assert first is not None
    assert tried is None, "a sample has no key"
    assert again == first
    assert replayed not in (None, first)


def _keys(receiver: FaultyServer) -> list[str | None]:
    return [request.header("Idempotency-Key") for request in receiver.received]


def _run(bridge: BridgeProcess, command: str, call_id: int) -> str:
    """What the command prints, with the ids and the times of this night in place of the guide's."""
    hour = [time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + at_s)) for at_s in (-3600, 3600)]
    for theirs, ours in (
        ("91059", str(call_id)), ("5120 5121", "1"),
        ("2026-11-23 22:00", hour[0]), ("2026-11-23 23:30", hour[1]),
    ):  # fmt: skip
        command = command.replace(theirs, ours)
    words = [sys.executable, "-m", "vipex_bridge.cli.main", *shlex.split(command)[1:]]
    done = subprocess.run(
        [*words, "--config", str(bridge.config)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout
