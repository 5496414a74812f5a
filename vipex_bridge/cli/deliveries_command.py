"""`deliveries`: what was sent, when, and what came back."""

from __future__ import annotations

import argparse
import time

from vipex_bridge.cli.arguments import a_limit, a_time, moment
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.opened import local, opened, shown
from vipex_bridge.cli.telling import tell_line
from vipex_bridge.config.settings import Settings
from vipex_bridge.store.outbox import Delivery
from vipex_bridge.store.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Filters."""
    parser.add_argument("--status", choices=["queued", "sending", "delivered", "failed", "expired"])
    parser.add_argument("--client", metavar="NAME")
    parser.add_argument(
        "--since", type=a_time, metavar="T", help="2026-11-23 14:05, or 2h for the last two hours"
    )
    parser.add_argument("--limit", type=a_limit, default=50, help="how many to list (default: 50)")


def run(arguments: argparse.Namespace) -> int:
    """Prints one line for each delivery, newest first, and one for each of its tries."""
    settings = load_working(arguments.config)
    now = time.time()
    since = moment(arguments.since, now, settings.timezone) if arguments.since else None
    with opened(settings) as store:
        for delivery in store.deliveries(
            status=arguments.status, client=arguments.client, since=since, limit=arguments.limit
        ):
            _print(delivery, store, settings)
    return 0


def _print(delivery: Delivery, store: Store, settings: Settings) -> None:
    zone = settings.timezone
    due = f", next try {local(delivery.next_attempt_at, zone)}" if delivery.status == "queued" else ""
    why = f" ({shown(delivery.error, settings)})" if delivery.error and delivery.attempts == 0 else ""
    if delivery.dropped_at is not None:
        why = f" ({settings.privacy.dropped})"
    tell_line(
        f"{delivery.id:>8}  {local(delivery.created_at, zone)}  {delivery.status:<9} {delivery.client}  "
        f"{delivery.event}  call {delivery.call_id}{due}{why}"
    )
    for attempt in store.attempts(delivery.id):
        began = local(attempt.started_at, zone)
        answer = attempt.status_code if attempt.status_code is not None else "no answer"
        said = f": {shown(attempt.error, settings)}" if attempt.error else ""
        tell_line(f"          {began}  {answer} in {attempt.elapsed_s * 1000:.0f} ms{said}")
