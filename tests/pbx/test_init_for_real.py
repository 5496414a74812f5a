"""A stranger's Asterisk set up by `init`: the bridge runs with what it wrote, and all of it is taken back."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asterisk_tree import snapshot
from bridge_process import BridgeProcess
from house import CLIENTS, ROUTE
from laboratory import ROOT, SECOND_PORTS, Asterisk
from phones import caller, extension
from playing import play
from timeline import Lived

from vipex_bridge.receive.server import Receiver, parse_answer

pytestmark = pytest.mark.pbx

OURS = ("cdr.conf", "cdr_sqlite3_custom.conf", "cel.conf", "cel_sqlite3_custom.conf", "extensions_vipex.conf")
SAMPLES = ("cdr.conf", "cdr_sqlite3_custom.conf", "cel.conf")
"""Those of Debian's samples that Asterisk takes: its cel_sqlite3_custom.conf it refuses."""


def as_a_stranger_has_it(folder: Path) -> None:
    """The laboratory's Asterisk without anything of ours, with Debian's samples in place of it."""
    etc = folder / "etc"
    for name in OURS:
        (etc / name).unlink()
    for name in SAMPLES:
        if (ROOT / "etc/asterisk" / name).exists():
            shutil.copy(ROOT / "etc/asterisk" / name, etc)
    shutil.rmtree(etc / "manager.d")
    for name in ("vipex-lookup", "vipex-notify", "vipex_agi.py"):
        (folder / "agi-bin" / name).unlink()
    taken_out = {
        "manager.conf": r"#include .*|timestampevents.*",
        "extensions.conf": r"#include .*",
        "modules.conf": r"(pre)?load => (cdr_sqlite3_custom|cel_sqlite3_custom|res_cdrel_custom)\.so",
    }
    for name, lines in taken_out.items():
        kept = re.sub(rf"(?m)^({lines})\n?", "", (etc / name).read_text("utf-8"))
        (etc / name).write_text(kept.rstrip("\n"), "utf-8")


def written_by_people(asterisk: Asterisk) -> dict[str, tuple[str, int, bytes]]:
    """All of its configuration and scripts, but for what Python itself puts beside those it runs."""
    return {
        f"{folder}/{name}": entry
        for folder in ("etc", "agi-bin")
        for name, entry in snapshot(asterisk.folder / folder).items()
        if "__pycache__" not in name
    }


class SetUp:
    """A stranger's Asterisk that runs, and `vipex-bridge` commands for it."""

    def __init__(self, asterisk: Asterisk, folder: Path) -> None:
        self.asterisk = asterisk
        self.config = folder / "config.yaml"

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        where = ["--root", str(self.asterisk.root), "--asterisk-conf", self.asterisk.main_file]
        words = [name, "--config", str(self.config), *where, *arguments]
        return subprocess.run(
            [sys.executable, "-m", "vipex_bridge.cli.main", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[SetUp]:
    with Asterisk(SECOND_PORTS, prepare=as_a_stranger_has_it) as asterisk:
        # The laboratory's Asterisk looks for the bridge in its own folder, any other in /run.
        asterisk.agi_socket.symlink_to("/run/vipex-bridge/agi.sock")
        yield SetUp(asterisk, tmp_path / "vipex-bridge")


def test_a_strangers_asterisk_is_set_up_told_of_and_taken_back(stranger: SetUp) -> None:
    asterisk = stranger.asterisk
    before = written_by_people(asterisk)
    assert "vipex" not in asterisk.cli("manager show users")
    dry = stranger.command("init", "--dry-run")
    assert (dry.returncode, written_by_people(asterisk)) == (0, before), dry.stderr

    done = stranger.command("init", "--yes")
    assert done.returncode == 0, done.stderr
    commands = re.findall(r"asterisk -rx '(.+)'", done.stdout)
    for command in commands:
        asterisk.cli(command)
    status = asterisk.cli("cdr show status")
    assert re.search("(?i)sqlite3.custom", status), status
    assert re.search(r"Log unanswered calls: +Yes", status), status
    cel = asterisk.cli("cel show status")
    for event in ("LINKEDID_END", "APP_START", "ATTENDEDTRANSFER"):
        assert f"CEL Tracking Event: {event}" in cel, cel
    again = written_by_people(asterisk)
    assert stranger.command("init", "--yes").returncode == 0
    assert written_by_people(asterisk) == again

    _is_told(stranger)

    assert stranger.command("init", "--undo").returncode == 0
    assert written_by_people(asterisk) == before
    asterisk.cli("manager reload")
    assert "vipex" not in asterisk.cli("manager show users")


def _is_told(stranger: SetUp) -> None:
    """Two real calls, by the routine and by the script, with the configuration that init wrote."""
    path, answer = parse_answer(f"/route={ROUTE}")
    folder, lived = stranger.config.parent, list[Lived]()
    (folder / "clients.d").mkdir()
    with Receiver(answers={path: answer}) as receiver:
        clients = (folder / "clients.d/receiver.yaml").absolute()
        clients.write_text("clients:\n" + CLIENTS.format(url=receiver.url))
        with BridgeProcess(folder, stranger.config.read_text("utf-8")) as bridge:
            examined = stranger.command("doctor")
            assert examined.returncode == 0, examined.stdout
            assert "lets vipex read and ask what is needed" in examined.stdout
            assert not [line for line in bridge.lines if line.get("event") == "ami.no_timestamps"]
            for number in ("3642999415", "3642999418"):
                mark = bridge.mark()
                phones = play(
                    stranger.asterisk,
                    [
                        extension("251").rings(2).answers().waits_for_bye(),
                        caller("3642999425").dials(number).is_answered().talks(2).hangs_up(),
                    ],
                )
                lived.append(phones.of("251"))
                bridge.wait_for("delivery.sent", client="billing", timeout_s=40.0, after=mark)
            rows = stranger.asterisk.cdr_rows()
        told = [
            json.loads(request.body) for request in receiver.requests_received() if request.path == "/cdr"
        ]
    assert [(d["direction"], d["exten"]) for d in told] == [(1, "251")] * 2
    for document, phone in zip(told, lived, strict=True):
        # Whole seconds, cut off at both ends.
        assert document["ringtime"] == pytest.approx(phone.ring_s, abs=1)
        assert document["billsec"] == pytest.approx(phone.talk_s, abs=1)
    assert told[0]["monitor_file"] is not None
    assert any(row["userfield"].startswith("OK ") for row in rows), "the script asked the bridge"


def test_the_distributions_own_files_are_set_up_and_taken_back(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("etc/asterisk", "var/lib/dpkg", "usr/share/asterisk/agi-bin"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, root / name, symlinks=True, dirs_exist_ok=True)
    before = snapshot(root)
    command = [sys.executable, "-m", "vipex_bridge.cli.main", "init", "--root", str(root)]
    done = subprocess.run([*command, "--yes"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    after = snapshot(root)
    assert all(after[name][2].startswith(content) for name, (_, _, content) in before.items())
    assert len(after) > len(before)
    undone = subprocess.run([*command, "--undo"], capture_output=True, text=True, timeout=60, check=False)
    assert undone.returncode == 0, undone.stdout
    assert snapshot(root) == before
