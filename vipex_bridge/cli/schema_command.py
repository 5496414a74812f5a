"""`schema KIND`: the JSON Schema of what clients of a kind are sent by default."""

from __future__ import annotations

import argparse
import json

from vipex_bridge.cli.telling import tell
from vipex_bridge.config.settings import PARAMETERS
from vipex_bridge.render.schema import schema_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The kind."""
    parser.add_argument("kind", choices=sorted(PARAMETERS), metavar="KIND", help=", ".join(PARAMETERS))


def run(arguments: argparse.Namespace) -> int:
    """Prints it; no configuration is needed."""
    tell(json.dumps(schema_of(arguments.kind), ensure_ascii=False, indent=2))
    return 0
