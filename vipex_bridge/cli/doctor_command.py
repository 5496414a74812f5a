"""`doctor`: tries everything that the configuration names; a line for each thing, with what to do."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from vipex_bridge.bridge.diagnosis import FAULT, findings
from vipex_bridge.cli import place
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.main import DEFAULT_CONFIG
from vipex_bridge.cli.telling import tell_line
from vipex_bridge.errors import BridgeError
from vipex_bridge.setup.conf import Conf
from vipex_bridge.setup.found import ASTERISK_CONF, manager_conf
from vipex_bridge.setup.tree import Tree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where Asterisk's own files are, for what only they say."""
    place.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 when everything works; 1 when something does not."""
    settings = load_working(arguments.config)
    faults = 0
    for finding in findings(settings, _manager(arguments), _again(arguments)):
        tell_line(f"{finding.state:<5} {finding.part}: {finding.says}")
        faults += finding.state == FAULT
    tell_line("everything works" if not faults else f"{faults} to mend")
    return 1 if faults else 0


def _again(arguments: argparse.Namespace) -> str:
    """This very command, for another user."""
    words = ["vipex-bridge", "doctor"]
    for option, given, default in (
        ("--config", arguments.config, DEFAULT_CONFIG),
        ("--root", arguments.root, place.ROOT),
        ("--asterisk-conf", arguments.asterisk_conf, ASTERISK_CONF),
    ):
        words += [] if given == default else [option, given]
    return shlex.join(words)


def _manager(arguments: argparse.Namespace) -> Conf | None:
    """Asterisk's manager.conf, where it is on this machine and may be read."""
    try:
        return manager_conf(Tree(Path(arguments.root)), arguments.asterisk_conf)
    except BridgeError:
        return None
