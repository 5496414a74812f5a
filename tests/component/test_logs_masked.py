"""What a person reads in the log: no telephone number and no pressed key when the configuration says so."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from bridge_process import BridgeProcess

PROGRAM = """
import logging, re, sys
from pathlib import Path
import structlog
from vipex_bridge.cli import logs
from vipex_bridge.config.settings import Privacy

masking = logs.configure()
log = structlog.get_logger().bind(call=7654321)
log.info("shown", src="36709676052")
masking.hide(Privacy(mask_digits=True, mask_numbers_in_logs=True), re.compile(r"^\\d{3}(\\d{4})?$"))
log.info("told", src="36709676052", to=["3642999409", "251"], uniqueid="1795409430.12", ivr_digits="1,22",
         body='{"ivr_digits": "4,5"}', number=36709676052,
         exten="2510002", file=Path("in-36709676052.wav"), by={"36709676052": {"36709676052"}},
         at=1.5, no=None)
try:
    raise ValueError("no route to +36 70 967 6052")
except ValueError:
    log.exception("failed")
    logging.getLogger("library").exception("also 36709676052")
logging.getLogger("library").warning("met %s", "36709676052")
"""


def test_every_text_of_a_line_an_exception_and_a_librarys_word() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    before, told, failed, *library = done.stderr.splitlines()
    raised, met = (json.loads(line) for line in library)
    assert json.loads(before)["src"] == "36709676052"
    line = json.loads(told)
    assert (line["src"], line["to"]) == ("********052", ["*******409", "251"])
    assert (line["ivr_digits"], line["body"]) == ("*,**", '{"ivr_digits": "*,*"}')
    assert (line["uniqueid"], line["number"], line["call"]) == ("1795409430.12", 36709676052, 7654321)
    assert (line["exten"], line["file"]) == ("2510002", "PosixPath('in-********052.wav')")
    assert (line["by"], line["at"], line["no"]) == ({"********052": "{'********052'}"}, 1.5, None)
    assert json.loads(failed)["exception"][0]["exc_value"] == "no route to +** ** *** *052"
    assert "36709676052" not in "\n".join(library)
    assert raised["exception"][0]["exc_value"] == "no route to +** ** *** *052"
    assert (met["logger"], met["level"], met["event"]) == ("library", "warning", "met ********052")


def test_a_terminal_shows_no_more() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", PROGRAM], stderr=theirs, timeout=60, check=True)
    os.close(theirs)
    said = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == 0
    shown, told, *rest = said.splitlines()
    assert "36709676052" in shown
    assert "********052" in told
    assert "ValueError: no route to +** ** *** *052" in "\n".join(rest)
    assert "6052" not in "\n".join(rest).replace("*052", "")


def test_a_reload_begins_and_ends_it(tmp_path: Path) -> None:
    text = f"asterisk: {{agi: null}}\nstore: sqlite:///{tmp_path}/state.db\n"
    masking = text + "privacy: {mask_numbers_in_logs: true}\n"
    wrong = "'36709676052': is no key\n"
    with BridgeProcess(tmp_path, text) as bridge:
        said = [
            reloaded(bridge, written)
            for written in (text + wrong, masking, text + wrong, text, masking + wrong)
        ]
    assert ["36709676052" in line for line in said] == [True, False, False, False, True]
    assert "********052: unknown key" in said[2]


def reloaded(bridge: BridgeProcess, written: str) -> str:
    """What the log says of a reload."""
    bridge.config.write_text(written)
    mark = bridge.mark()
    bridge.signal(signal.SIGHUP)
    well = "is no key" not in written
    return str(bridge.wait_for(f"configuration.{'reloaded' if well else 'refused'}", after=mark))
