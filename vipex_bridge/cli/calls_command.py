"""`calls`: the recent calls; `calls ID`: one as its end-of-call JSON and as a time line."""

from __future__ import annotations

import argparse
import json

from vipex_bridge.calls.document import from_json
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.timeline import timeline
from vipex_bridge.cli.arguments import a_limit, an_id
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.opened import local, opened, shown
from vipex_bridge.cli.telling import tell, tell_line
from vipex_bridge.config.settings import PARAMETERS, Client, Settings
from vipex_bridge.errors import BridgeError
from vipex_bridge.privacy import call_without_keys
from vipex_bridge.render.fields import call_end_fields
from vipex_bridge.store.calls import StoredCall
from vipex_bridge.store.store import Store

_DIRECTIONS = {0: "outgoing", 1: "inbound", 2: "missed", None: "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which call, or how many."""
    parser.add_argument("id", nargs="?", type=an_id, metavar="ID")
    parser.add_argument("--limit", type=a_limit, default=20, help="how many calls to list (default: 20)")


def run(arguments: argparse.Namespace) -> int:
    """Prints the list, or the one call."""
    settings = load_working(arguments.config)
    with opened(settings) as store:
        if arguments.id is None:
            for call in store.calls(limit=arguments.limit):
                tell_line(_line(call, settings))
            return 0
        found = store.call(arguments.id)
        if found is None:
            raise BridgeError(f"there is no call {arguments.id}: `vipex-bridge calls` lists those there are")
        _print_call(found, store, settings)
    return 0


def _line(call: StoredCall, settings: Settings) -> str:
    return (
        f"{call.id:>8}  {local(call.started_at, settings.timezone)}  {call.state:<7} "
        f"{_DIRECTIONS[call.direction]:<8}  {call.src or '-'} -> {call.dst or '-'}  exten {call.exten or '-'}"
    )


def _print_call(call: StoredCall, store: Store, settings: Settings) -> None:
    if call.dropped_at is not None:
        tell_line(f"call {call.id} is {call.state}: {settings.privacy.dropped}")
    elif call.document is None:
        tell_line(f"call {call.id} is {call.state}: there is no document of it yet")
    else:
        client = Client("calls", "call_end", "http://localhost", "POST", PARAMETERS["call_end"])
        fields = call_end_fields(from_json(call.document), settings.timezone, client)
        if settings.privacy.mask_digits:
            fields = call_without_keys(fields)
        tell(json.dumps(fields, indent=2, ensure_ascii=False, default=lambda mark: f"<{mark.path}>"))
    lines: list[tuple[float, str]] = []
    if call.facts is not None:
        lines += timeline(CallRecord.from_dict(json.loads(call.facts)))
    for delivery in store.deliveries(call_id=call.id):
        lines.append((delivery.created_at, f"{delivery.event} queued for {delivery.client}"))
        for attempt in store.attempts(delivery.id):
            answer = attempt.status_code if attempt.status_code is not None else attempt.error
            elapsed_ms = round(attempt.elapsed_s * 1000)
            lines.append(
                (attempt.started_at, f"{delivery.event} sent to {delivery.client}: {answer}, {elapsed_ms} ms")
            )
    print()
    for at, what in sorted(lines):
        tell_line(f"{local(at, settings.timezone)}.{int(at * 1000) % 1000:03d}  {shown(what, settings)}")
