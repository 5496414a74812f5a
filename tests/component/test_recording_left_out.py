"""A recording that was sound when its call was told, and is not when it is sent: the data go without it."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bridge_process import BridgeProcess
from faulty_server import FaultyServer
from stored import open_in, queued

from vipex_bridge.render.request import Request, Slot
from vipex_bridge.store.outbox import NewDelivery

TOKEN = "vipex" + "0" * 32
CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  agi: null
  recordings: {{root: {root}, max_size: 1kB}}
store: 'sqlite:///{folder}/state.db'
clients:
  billing: {{kind: call_end, url: '{url}', retry: [100ms]}}
"""


def unchanged(file: Path) -> None:
    assert file.is_file()


def grown(file: Path) -> None:
    file.write_bytes(bytes(1001))


def swapped_for_a_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


def swapped_for_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (unchanged, ""),
        (grown, "it has 1001 bytes, more than asterisk.recordings.max_size (1000)"),
        (swapped_for_a_link, "there is no such file below"),
        (swapped_for_a_pipe, "there is no such file below"),
        (gone, "there is no such file below"),
    ],
)
def test_what_became_of_a_recording_after_its_call_was_queued(
    tmp_path: Path, faulty_server: FaultyServer, change: Callable[[Path], None], reason: str
) -> None:
    root = tmp_path / "monitor"
    root.mkdir()
    (root / "a.wav").write_bytes(b"sound")
    request = Request(
        "POST",
        faulty_server.url,
        (("Content-Type", "application/json"),),
        f'{{"id": 1, "monitor_file": {TOKEN}}}',
        (Slot(TOKEN, "recording", "json", True, "/var/spool/asterisk/monitor/a.wav"),),
    )
    with open_in(tmp_path) as store:
        now = time.time()
        queued(store, NewDelivery("billing", "call_end", 1, "call_end", now, request), now=now)
    change(root / "a.wav")
    text = CONFIGURATION.format(root=root, folder=tmp_path, url=faulty_server.url)
    with BridgeProcess(tmp_path, text) as bridge:
        bridge.wait_for("delivery.sent")
        listed = bridge.command("deliveries")
    (received,) = faulty_server.received
    sound = None if reason else base64.b64encode(b"sound").decode()
    assert json.loads(received.body) == {"id": 1, "monitor_file": sound}
    told = [line["reason"] for line in bridge.lines if line["event"] == "recording.left_out"]
    assert [one.startswith(reason) for one in told] == ([True] if reason else [])
    assert "delivered" in listed.stdout
    assert (f"without recording a.wav: {reason}" in listed.stdout) is bool(reason)
