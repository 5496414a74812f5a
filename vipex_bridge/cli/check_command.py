"""`check`: every fault of the configuration as `FILE:LINE: path: what`, or one line that all is well."""

from __future__ import annotations

import argparse
from collections import Counter

from vipex_bridge.cli.configuration import load_checked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing but `--config`."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """0 when the configuration can be used; faults are raised and printed by the caller."""
    settings, warnings = load_checked(arguments.config)
    kinds = Counter(client.kind for client in settings.clients.values())
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    print(f"{arguments.config}: well. Clients: {counted}.")
    for file in settings.exposed:
        print(f"warning: {file.file}: {file.what}")
    for warning in (*settings.as_shipped, *warnings):
        print(f"warning: {warning}")
    return 0
