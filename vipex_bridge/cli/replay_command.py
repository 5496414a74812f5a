"""`replay --since T`: builds calls again from the CDR source and queues them again."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

from vipex_bridge import people
from vipex_bridge.bridge.replaying import LogOf, Replayed, replay
from vipex_bridge.calls import testimony
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.sources import open_cel, open_source
from vipex_bridge.cli.arguments import a_time, moment
from vipex_bridge.cli.configuration import client_of, load_working
from vipex_bridge.cli.opened import local, opened
from vipex_bridge.cli.progress import counted, progress
from vipex_bridge.cli.telling import tell_line
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.errors import BridgeError, UsageError

MARGIN_S = 86_400.0
"""Rows this far outside the time asked for are looked at, so that a call on its edge is whole."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From when to when, and for whom."""
    parser.add_argument(
        "--since", type=a_time, metavar="T", required=True, help="2026-11-23 14:05, or 2h ago"
    )
    parser.add_argument(
        "--until", type=a_time, metavar="T", help="the latest beginning of a call (default: now)"
    )
    parser.add_argument("--client", metavar="NAME", help="for this call_end client alone")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each call, and the sum; a running bridge sends them within seconds."""
    settings = load_working(arguments.config)
    settings = replace(settings, numbers=people.present(settings.numbers))
    client = _client(settings, arguments.client)
    if settings.cdr is None:
        raise BridgeError("there is nothing to build calls from: `asterisk.cdr` is not configured")
    now = time.time()
    since = moment(arguments.since, now, settings.timezone)
    until = moment(arguments.until, now, settings.timezone) if arguments.until else now
    source = open_source(settings.cdr, settings.timezone)
    rows = counted(source.since(since - MARGIN_S, until + MARGIN_S), "CDR rows read")
    groups = _calls(rows, since, until)
    calls = queued = 0
    with opened(settings, makes_it=True) as store, progress("replay", len(groups)) as shown:
        for replayed in replay(settings, store, groups, log_of(settings), client, now):
            shown.say(line_of(replayed, settings.timezone))
            shown.step()
            calls += bool(replayed.clients)
            queued += len(replayed.clients)
    tell_line(f"{calls} of {len(groups)} calls queued again, {queued} deliveries")
    return 0


def line_of(replayed: Replayed, timezone: ZoneInfo) -> str:
    """A call, and for whom it was queued or why for nobody."""
    where = ", ".join(replayed.clients) or replayed.why_not or "no client wants it"
    started = local(replayed.started_at, timezone)
    return f"{replayed.call_id:>8}  {started}  {replayed.src or '-'} -> {replayed.dst or '-'}: {where}"


def _client(settings: Settings, name: str | None) -> Client | None:
    if name is None:
        return None
    client = client_of(settings, name)
    if client.kind != "call_end":
        raise UsageError(f"{name} is a {client.kind} client: only call_end clients are told finished calls")
    return client


def _calls(rows: list[CdrRow], since: float, until: float) -> list[list[CdrRow]]:
    """The calls that began in that time."""
    return [group for group in testimony.groups(rows) if since <= (group[0].start or 0.0) <= until]


def log_of(settings: Settings) -> LogOf | None:
    """How to ask CEL about a call, where it is configured."""
    if settings.cel is None:
        return None
    return open_cel(settings.cel, settings.timezone).rows_of
