"""`resend`: sends deliveries again, with the same data and the same `Idempotency-Key`."""

from __future__ import annotations

import argparse
import sys
import time

from vipex_bridge.cli.arguments import a_time, an_id, moment
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.opened import opened
from vipex_bridge.cli.running import RunningBridge, running_bridge
from vipex_bridge.config.settings import Privacy
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
    bridge = running_bridge(settings)
    with opened(settings) as store:
        if arguments.failed:
            since = moment(arguments.since, now, settings.timezone)
            refused: list[int] = []
            queued = _failed_since(store, bridge, since, now)
            for delivery_id in _dropped(store, since):
                print(f"delivery {delivery_id}: {settings.privacy.dropped}")
        else:
            ids = list(dict.fromkeys(arguments.ids))
            refused = [one for one in ids if not _is_queued_again(store, bridge, one, now)]
            queued = len(ids) - len(refused)
            for delivery_id in refused:
                why = _why_not(delivery_id, store.delivery(delivery_id), settings.privacy)
                print(f"vipex-bridge resend: {why}", file=sys.stderr)
    sent = ", the running bridge sends them now" if bridge is not None and queued else ""
    print(f"{queued} queued again{sent}")
    return 1 if refused else 0


def _is_queued_again(store: Store, bridge: RunningBridge | None, delivery_id: int, now: float) -> bool:
    if bridge is not None:
        return bridge.resend(delivery_id)
    with store.write(now) as writer:
        return bool(writer.resend([delivery_id]))


def _failed_since(store: Store, bridge: RunningBridge | None, since: float, now: float) -> int:
    if bridge is not None:
        return bridge.resend_failed(since)
    with store.write(now) as writer:
        return writer.resend(failed_since=since)


def _why_not(delivery_id: int, found: Delivery | None, privacy: Privacy) -> str:
    """Why it was not queued again."""
    if found is None:
        return f"there is no delivery {delivery_id}"
    if found.dropped_at is not None:
        return f"delivery {delivery_id} cannot be sent again: {privacy.dropped}"
    if found.request is None:
        return f"delivery {delivery_id} cannot be sent again: it could not be rendered"
    return f"delivery {delivery_id} cannot be sent again: it is {found.status}"


def _dropped(store: Store, failed_since: float) -> list[int]:
    """Those that failed since then and have nothing left to send."""
    failed = store.deliveries(status="failed", limit=MOST_NAMED)
    return [d.id for d in failed if _is_since(d, failed_since) and d.dropped_at is not None]


def _is_since(delivery: Delivery, moment: float) -> bool:
    return delivery.finished_at is not None and delivery.finished_at >= moment
