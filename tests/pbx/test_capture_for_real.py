"""A real call recorded by `capture` beside the bridge, and what `simulate` makes of the recording."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from house import House
from laboratory import DEFAULT_PORTS, SECRET
from phones import caller, extension
from played import Played, played

pytestmark = pytest.mark.pbx

CALLER, DID = "3642999425", "3642999409"
NUMBERS_OF_A_RUN = {"id", "main_reference_id"}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House(DEFAULT_PORTS) as running:
        yield running


class Recorded:
    """`vipex-bridge capture` while entered, logged in before the block begins."""

    def __init__(self, house: House, file: Path, *options: str) -> None:
        self._command = [
            *(sys.executable, "-m", "vipex_bridge.cli.main", "capture"),
            *("--config", str(house.bridge.config), str(file), *options),
        ]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = ""
        while "ami.connected" not in said:
            line = self._process.stderr.readline()
            assert line, f"capture ended: {said}"
            said += line

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        _, errors = self._process.communicate(timeout=20)
        assert self._process.returncode == 0, errors


def play_a_transfer(house: House) -> Played:
    """251 answers and sends the caller on to 252: every kind of notice, and two legs."""
    return played(
        house,
        [
            extension("252").rings(1).answers().waits_for_bye(),
            extension("251").rings(2).answers().talks(2).transfers("252"),
            caller(CALLER).dials(DID).is_answered().waits_for_bye(12),
        ],
    )
