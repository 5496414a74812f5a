"""`reconcile --since T`: compares the CDR source with what was told, and tells what is missing."""

from __future__ import annotations

import argparse
import time

from vipex_bridge.bridge.reconciling import missing
from vipex_bridge.bridge.replaying import replay
from vipex_bridge.calls import testimony
from vipex_bridge.cdr.sources import open_source
from vipex_bridge.cli.arguments import a_time, moment
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.opened import local, opened
from vipex_bridge.cli.progress import progress
from vipex_bridge.cli.replay_command import line_of, log_of
from vipex_bridge.cli.telling import tell_line
from vipex_bridge.errors import BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Since when, and whether to tell."""
    parser.add_argument(
        "--since", type=a_time, metavar="T", required=True, help="2026-11-23 14:05, or 2h ago"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what is missing")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each call that was not told, and the sum; a running bridge sends it in seconds."""
    settings = load_working(arguments.config)
    if settings.cdr is None:
        raise BridgeError("there is nothing to compare with: `asterisk.cdr` is not configured")
    now = time.time()
    since = moment(arguments.since, now, settings.timezone)
    source = open_source(settings.cdr, settings.timezone)
    with opened(settings) as store:
        cursor = store.cursor()
        if cursor is None or cursor.get("source") != source.name:
            raise BridgeError("the bridge has not read this CDR source yet: start it, then compare")
        with progress("channels compared", None) as shown:
            groups = testimony.groups(missing(store, source, cursor, since, compared=shown.step))
        if arguments.dry_run:
            for rows in groups:
                src, dst = rows[0].src or "-", rows[0].dst or "-"
                tell_line(f"{local(rows[0].start, settings.timezone)}  {src} -> {dst}: not told")
            tell_line(f"{len(groups)} calls missing")
            return 0
        told = 0
        with progress("reconcile", len(groups)) as shown:
            for replayed in replay(settings, store, groups, log_of(settings), None, now):
                shown.say(line_of(replayed, settings.timezone))
                shown.step()
                told += bool(replayed.clients)
    tell_line(f"{len(groups)} calls missing, {told} of them queued now")
    return 0
