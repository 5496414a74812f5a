"""Commands run before the first start, often as root: they leave nothing that the bridge may not open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cdr_file import make_table, write_ended_call

from vipex_bridge.cli.main import main

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/own/state.db'
clients:
  billing: {{kind: call_end, url: 'http://127.0.0.1:9/'}}
"""
A_STRANGER = 64_321


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "own").mkdir()
    make_table(tmp_path / "master.db")
    write_ended_call(tmp_path / "master.db")
    file = tmp_path / "config.yaml"
    file.write_text(CONFIGURATION.format(folder=tmp_path))
    return str(file)


@pytest.mark.parametrize(
    "words",
    [
        ["calls"],
        ["calls", "1"],
        ["deliveries"],
        ["explain", "1"],
        ["resend", "1"],
        ["resend", "--failed", "--since", "1h"],
        ["reconcile", "--since", "1h"],
    ],
    ids=" ".join,
)
def test_what_only_looks_makes_no_store(
    words: list[str], config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--config", config]) == 1
    said = f"{tmp_path}/own/state.db is not there yet: the bridge makes it at its first start"
    assert capsys.readouterr().err == f"vipex-bridge: {said}\n"
    assert list((tmp_path / "own").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another's file")
def test_a_store_that_root_had_to_make_is_of_its_folders_owner(config: str, tmp_path: Path) -> None:
    os.chown(tmp_path / "own", A_STRANGER, A_STRANGER)
    assert main(["replay", "--since", "1h", "--config", config]) == 0
    made = [file.stat() for file in (tmp_path / "own").iterdir()]
    assert made
    assert {(file.st_uid, file.st_gid, file.st_mode & 0o777) for file in made} == {
        (A_STRANGER, A_STRANGER, 0o600)
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="it is root who makes it")
def test_a_store_that_cannot_be_made_is_told_with_what_to_do(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # There root may write, and can make no file.
    store = "/proc/state.db"
    text = CONFIGURATION.format(folder=tmp_path)
    Path(config).write_text(text.replace(f"{tmp_path}/own/state.db", store))
    assert main(["replay", "--since", "1h", "--config", config]) == 1
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"vipex-bridge: {store} cannot be made (")
    assert said.endswith("): start the bridge before, or correct `store`")
