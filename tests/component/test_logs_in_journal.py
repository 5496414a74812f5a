"""The log in systemd's journal: `journalctl -p warning` goes by the priority that each line begins with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from delivering import wait_until

CONFIGURATION = """
node: pbx1
asterisk: {{agi: null}}
store: 'sqlite:///{folder}/state.db'
clients:
  crm: {{kind: notify, url: 'http://127.0.0.1:9/', api_key: {{in: header, name: X-Key, value: planted}}}}
"""


def _log_of_run(folder: Path, *, in_journal: bool) -> list[str]:
    """What a bridge writes from its start to its end; its configuration is one that is warned of."""
    config, log = folder / "config.yaml", folder / "log"
    config.write_text(CONFIGURATION.format(folder=folder))
    config.chmod(0o644)
    words = [sys.executable, "-m", "vipex_bridge.cli.main", "run", "--config", str(config)]
    with log.open("w") as stream:
        bridge = subprocess.Popen(words, stderr=stream, env=_environment(log, in_journal=in_journal))
        try:
            wait_until(lambda: "bridge.started" in log.read_text(), 60)
            bridge.send_signal(signal.SIGTERM)
            assert bridge.wait(30) == 0
        finally:
            bridge.kill()
            bridge.wait(10)
    return log.read_text().splitlines()


def _environment(stream: Path, *, in_journal: bool) -> dict[str, str]:
    """With the variable that systemd sets; of another stream when standard error was sent elsewhere."""
    opened = stream.stat()
    inode = opened.st_ino if in_journal else opened.st_ino + 1
    return {**os.environ, "JOURNAL_STREAM": f"{opened.st_dev}:{inode}"}


def test_each_line_begins_with_its_priority_in_the_journal(tmp_path: Path) -> None:
    priorities = {}
    for line in _log_of_run(tmp_path, in_journal=True):
        found = re.fullmatch(r"<(\d)>(\{.*\})", line)
        assert found, line
        priorities[json.loads(found[2])["event"]] = int(found[1])
    assert priorities["bridge.started"] == 6
    assert priorities["configuration.readable_by_all"] == 4


def test_lines_elsewhere_are_json_alone(tmp_path: Path) -> None:
    events = [json.loads(line)["event"] for line in _log_of_run(tmp_path, in_journal=False)]
    assert {"bridge.started", "configuration.readable_by_all"} <= set(events)


@pytest.mark.parametrize(("in_journal", "begins"), [(True, "<3>"), (False, "")])
def test_a_configuration_that_is_refused_at_the_start_is_an_error_there(
    tmp_path: Path, in_journal: bool, begins: str
) -> None:
    config, log = tmp_path / "config.yaml", tmp_path / "log"
    config.write_text("nodee: x\n")
    words = [sys.executable, "-m", "vipex_bridge.cli.main", "run", "--config", str(config)]
    with log.open("w") as stream:
        done = subprocess.run(words, stderr=stream, env=_environment(log, in_journal=in_journal), check=False)
    assert done.returncode == 2
    assert log.read_text().startswith(f"{begins}{config}:1: nodee: unknown key")
