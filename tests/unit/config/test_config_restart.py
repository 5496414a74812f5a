"""Which changed keys a reload does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from vipex_bridge.config.load import load_text
from vipex_bridge.config.restart import waiting
from vipex_bridge.config.settings import Settings

BEGAN = """
node: pbx1
timezone: UTC
asterisk:
  ami: {username: a, secret: b}
  cdr: {source: 'sqlite:////m.db', poll: 1s}
  cel: {source: 'sqlite:////m.db'}
store: 'sqlite:////s.db'
"""


def _settings(text: str) -> Settings:
    return load_text(text, Path("c.yaml"), {}).settings


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("pbx1", "pbx2", ["node"]),
        ("UTC", "Europe/Budapest", ["timezone (of the times in CDR and CEL)"]),
        ("secret: b", "secret: c", ["asterisk.ami"]),
        ("  cel", "  agi: {socket: /x.sock}\n  cel", ["asterisk.agi"]),
        ("  cel", "  agi: {allow: 10.1.2.3}\n  cel", []),
        ("poll: 1s", "poll: 2s, settle: 9s", []),
        ("poll: 1s", "columns: {did: did}", ["asterisk.cdr"]),
        ("  cdr: {source: 'sqlite:////m.db', poll: 1s}\n", "", ["asterisk.cdr"]),
        ("  cel: {source: 'sqlite:////m.db'}\n", "", ["asterisk.cel"]),
        ("s.db", "t.db", ["store"]),
        ("store", "retention: 3d\nstore", []),
    ],
)
def test_what_waits_for_a_restart(old: str, new: str, keys: list[str]) -> None:
    assert list(waiting(_settings(BEGAN), _settings(BEGAN.replace(old, new)))) == keys
