"""What strangers chose, shown to an operator on a terminal: it moves nothing there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import NOW, document, new, open_in, queued, record
from terminal import on_a_terminal

from vipex_bridge.calls.document import to_json
from vipex_bridge.printable import printable

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2028\x00\x08Kovács"
CONFIGURATION = "timezone: UTC\nasterisk: {{agi: null}}\nstore: 'sqlite:///{folder}/state.db'\n"


def is_quiet(text: str) -> bool:
    return not {char for char in text.replace("\r\n", "\n") if not (char.isprintable() or char in "\n\t")}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIGURATION.format(folder=tmp_path))
    with open_in(tmp_path, "pbx1") as store:
        with store.write(NOW) as writer:
            call_id = writer.identify(["1.1"], NOW)
            told = document(EVIL)
            writer.tell(call_id, told, to_json(told))
        [delivery] = queued(store, new(call_id=call_id))
        with store.write(NOW) as writer:
            writer.claim("billing", 1)
        record(store, delivery, "failed")
    return file


@pytest.mark.parametrize("command", [["calls"], ["calls", "1"], ["explain", "1"], ["deliveries"]])
def test_a_command_shows_a_strangers_text_as_text(config: Path, command: list[str]) -> None:
    name, *rest = command
    shown = on_a_terminal(sys.executable, "-m", "vipex_bridge.cli.main", name, "--config", str(config), *rest)
    assert is_quiet(shown), ascii(shown)
    assert "owned" in shown or name != "calls"


LOGGING = """
import logging
import structlog
from vipex_bridge.cli import logs
logs.configure()
log = structlog.get_logger()
evil = {evil!r}
log.warning("lookup.no_client", client=evil, nested=[evil, {{"a": evil}}])
try:
    raise ValueError(evil)
except ValueError:
    log.exception("it.broke", client=evil)
    logging.getLogger("library").exception("said %s", evil)
"""


def test_the_log_on_a_terminal_is_legible() -> None:
    shown = on_a_terminal(sys.executable, "-c", LOGGING.format(evil=EVIL))
    assert "owned" in shown
    without_colours = re.sub(r"\x1b\[\d+m", "", shown)
    assert is_quiet(without_colours), ascii(shown)


def test_the_log_as_json_is_a_line_an_event_and_reads_back_equal() -> None:
    evil = EVIL + "\r\n\n"
    done = subprocess.run(
        [sys.executable, "-c", LOGGING.format(evil=evil)], capture_output=True, check=True, timeout=60
    )
    text = done.stderr.decode()
    assert is_quiet(text), ascii(text)
    first, second, library = (json.loads(line) for line in text.splitlines())
    assert (first["client"], second["client"]) == (evil, evil)
    assert (library["event"], library["exception"][0]["exc_value"]) == (f"said {evil}", evil)


@given(st.text(st.characters()))
def test_printable_text_has_nothing_unseen_in_it_and_loses_nothing(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text
