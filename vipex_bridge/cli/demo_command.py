"""`demo`: the whole thing on this machine; see the README. It needs a checkout, whose laboratory it uses."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from vipex_bridge.errors import BridgeError

LABORATORY = Path(__file__).parents[2] / "tests" / "pbx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long to stay up."""
    parser.add_argument("--stay", action="store_true", help="stay up after the calls, until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Places the specification's two example calls for real and shows each request as it arrives."""
    if not LABORATORY.is_dir():
        raise BridgeError("demo needs the source checkout with its laboratory: run ./demo there")
    sys.path.insert(0, str(LABORATORY))
    return int(import_module("demonstration").demonstrate(stay=arguments.stay))
