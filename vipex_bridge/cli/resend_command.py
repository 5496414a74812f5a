"""`resend`: sends deliveries again, with the same data and the same `Idempotency-Key`."""

from __future__ import annotations

import argparse
import sys
import time

from vipex_bridge.cli.arguments import a_time, an_id, moment
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.opened import opened
from vipex_bridge.cli.running import running_bridge
from vipex_bridge.store.outbox import Delivery
from vipex_bridge.store.store import Store

MOST_NAMED = 10_000
"""Failed deliveries that are looked through for those with nothing left to send."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which deliveries."""
    parser.add_argument("ids", nargs="*", type=an_id, metavar="ID", help="delivery ids, from `deliveries`")
    parser.add_argument("--failed", action="store_true", help="all that were parked as failed")
    parser.add_argument(
        "--since", type=a_time, metavar="T", help="with --failed: 2026-11-23 14:05, or 2h ago"
    )


def run(arguments: argparse.Namespace) -> int:
    """Puts them back in the queue; the running bridge sends them at once, without its API within seconds."""
    if bool(arguments.ids) == arguments.failed or arguments.failed != bool(arguments.since):
        print("vipex-bridge resend: give delivery ids, or --failed --since T", file=sys.stderr)
        return 2
    settings = load_working(arguments.config)
    now = time.time()
    since = moment(arguments.since, now, settings.timezone) if arguments.failed else None
    bridge = running_bridge(settings)
    with opened(settings) as store:
        if bridge is not None:
            queued = bridge.resend(arguments.ids, failed_since=since)
        else:
            with store.write(now) as writer:
                queued = writer.resend(arguments.ids, failed_since=since)
        for delivery_id in _dropped(store, arguments.ids, since):
            print(f"delivery {delivery_id}: {settings.privacy.dropped}")
    print(f"{queued} queued again" + (", the running bridge sends them now" if bridge is not None else ""))
    return 0 if queued >= len(arguments.ids) else 1


def _dropped(store: Store, ids: list[int], failed_since: float | None) -> list[int]:
    """Those that were asked for and have nothing left to send."""
    if failed_since is None:
        asked = [store.delivery(delivery_id) for delivery_id in ids]
    else:
        asked = [d for d in store.deliveries(status="failed", limit=MOST_NAMED) if _is_since(d, failed_since)]
    return [delivery.id for delivery in asked if delivery is not None and delivery.dropped_at is not None]


def _is_since(delivery: Delivery, moment: float) -> bool:
    return delivery.finished_at is not None and delivery.finished_at >= moment
