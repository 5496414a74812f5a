"""What an operator mistypes on the command line: one readable line and exit code 2, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from vipex_bridge.cli.main import main
from vipex_bridge.store.store import Store

CONFIGURATION = """
node: pbx1
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
store: 'sqlite:///{folder}/state.db'
clients:
  crm: {{kind: notify, url: 'http://127.0.0.1:9/'}}
  billing: {{kind: call_end, url: 'http://127.0.0.1:9/'}}
"""
HUGE = "9" * 23
WRONG = [
    ["calls", HUGE],
    ["calls", "0"],
    ["calls", "x"],
    ["calls", "--limit", HUGE],
    ["calls", "--limit", "0"],
    ["deliveries", "--limit", HUGE],
    ["deliveries", "--limit=-3"],
    ["deliveries", "--since", "99999999999999999999h"],
    ["deliveries", "--since", "1000-01-01"],
    ["deliveries", "--since", "²h"],
    ["deliveries", "--since", "10x"],
    ["resend", HUGE],
    ["resend", "--failed", "--since", "yesterday"],
    ["replay", "--since", "2026-13-30"],
    ["replay", "--since", "1h", "--until", "9999-12-31 23:59"],
    ["reconcile", "--since", "9999-12-31 23:59"],
    ["capture", "x.log", "--seconds", "10s"],
    ["receive", "--listen", "foo"],
    ["receive", "--listen", "127.0.0.1:99999"],
]


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIGURATION.format(folder=tmp_path))
    Store(f"sqlite:///{tmp_path}/state.db", "pbx1").close()
    return str(file)


def _code(arguments: list[str]) -> int:
    """The exit code, however the command comes by it."""
    try:
        return main(arguments)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_numbers_and_times_are_wrong_usage(
    words: list[str], config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _code([*words, "--config", config]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith(f"vipex-bridge {words[0]}: error: argument ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["render", "nope"], "no client named 'nope' in the configuration; there are: billing, crm"),
        (["try", "nope"], "no client named 'nope' in the configuration; there are: billing, crm"),
        (["replay", "--since", "1h", "--client", "nope"], "no client named 'nope' in the configuration"),
        (["replay", "--since", "1h", "--client", "crm"], "crm is a notify client"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_client_that_is_none_is_wrong_usage(
    words: list[str], said: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _code([*words, "--config", config]) == 2
    assert capsys.readouterr().err.startswith(f"vipex-bridge: {said}")


@pytest.mark.parametrize("name", [HUGE, "9" * 5000, "²", "1795409430.17"])
def test_a_name_that_is_no_calls_is_told(name: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(["explain", name, "--config", config]) == 1
    assert capsys.readouterr().err.startswith("vipex-bridge: there is no call ")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("since", ["1970-01-01", "2999-12-31 23:59", "999999d"])
def test_the_first_and_the_last_time_are_times_in_every_zone(
    zone: str, since: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(config).write_text(f"timezone: {zone}\n" + Path(config).read_text())
    assert _code(["deliveries", "--since", since, "--config", config]) == 0
    assert capsys.readouterr().err == ""
