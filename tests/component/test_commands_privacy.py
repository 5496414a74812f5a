"""`render`, `try`, `simulate`: the keys that a caller pressed are stars, whatever a client calls them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from captured_rows import CAPTURES

from vipex_bridge.cli.main import main
from vipex_bridge.receive.server import Receiver, parse_answer

KEYS, PART_KEYS = "7,18", "5,9"
CONFIGURATION = """
timezone: UTC
asterisk:
  cdr: {{source: 'sqlite:////nowhere.db', columns: {{start: calldate, answer: answerdate, end: enddate}}}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: sqlite:////nowhere/state.db
clients:
  menu: {{kind: notify, on: [answer], url: '{url}/menu', body: '{{"menu": "{{{{ ivr_digits }}}}"}}'}}
  billing: {{kind: call_end, url: '{url}/cdr'}}
"""


class Commands:
    """Prints what a command does, for one configuration."""

    def __init__(self, folder: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.receiver, self._capsys = folder, receiver, capsys
        self.hides(False)

    def hides(self, keys: bool) -> None:
        """Writes the configuration; gives its name."""
        text = CONFIGURATION.format(url=self.receiver.url) + f"privacy: {{mask_digits: {keys}}}\n"
        (self.folder / "config.yaml").write_text(text, "utf-8")

    def says(self, command: str, *arguments: object) -> str:
        """What it prints when it ends well."""
        words = [command, "--config", str(self.folder / "config.yaml"), *map(str, arguments)]
        assert main(words) == 0
        return self._capsys.readouterr().out


@pytest.fixture
def commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Commands]:
    path, answer = parse_answer(f'/cdr={{"ivr_digits": "{KEYS}"}}')
    with Receiver(answers={path: answer}) as receiver:
        yield Commands(tmp_path, receiver, capsys)


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """A call as a file, its caller's keys in it and in its part."""
    part = {"id": 8, "exten": "251", "ivr_digits": PART_KEYS}
    fields = {"id": 7, "src": "3611111", "dst": "3622222", "exten": "251", "ivr_digits": KEYS}
    path = tmp_path / "call.json"
    path.write_text(json.dumps({**fields, "sub_cdrs": [part]}))
    return path


def test_a_request_is_shown_with_stars_and_sent_with_keys(commands: Commands, call: Path) -> None:
    assert f'"menu": "{KEYS}"' in commands.says("render", "menu", "--call", call)
    commands.hides(True)
    assert '"menu": "*,**"' in commands.says("render", "menu", "--call", call)
    shown = commands.says("render", "billing", "--call", call) + commands.says(
        "try", "billing", "--call", call
    )
    for keys, stars, times in ((KEYS, "*,**", 3), (PART_KEYS, "*,*", 2)):
        assert keys not in shown
        assert shown.count(f'"ivr_digits": "{stars}"') == times, "the request twice, and the answer"
    [sent] = commands.receiver.requests_received()
    assert json.loads(sent.body)["ivr_digits"] == KEYS
    assert json.loads(sent.body)["sub_cdrs"][0]["ivr_digits"] == PART_KEYS


def test_a_simulation_shows_no_keys(commands: Commands, tmp_path: Path) -> None:
    """Of a recording in which the dialplan noted them, and of its CDR rows."""
    case = CAPTURES / "a_inbound_ivr_queue"
    stream = gzip.decompress((case / "ami.log.gz").read_bytes()).decode()
    noted = stream.replace("Variable: D1\r\nValue: 1\r\n", f"Variable: VIPEX_IVR_DIGITS\r\nValue: {KEYS}\r\n")
    (tmp_path / "ami.log").write_text(noted, newline="")
    plain = commands.says("simulate", tmp_path)
    assert f'"menu": "{KEYS}"' in plain
    commands.hides(True)
    assert commands.says("simulate", tmp_path) == plain.replace(KEYS, "*,**")
    rows_alone = commands.says("simulate", case)
    assert '"ivr_digits": "*,*"' in rows_alone
    assert '"ivr_digits": "1' not in rows_alone
