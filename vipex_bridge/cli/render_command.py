"""`render CLIENT`: the exact request that a client would send, secrets masked."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from vipex_bridge.bridge.telling import fresh_token
from vipex_bridge.cli.configuration import client_of, load_working
from vipex_bridge.cli.given_call import fields_in
from vipex_bridge.cli.telling import tell
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.deliver.fill import masked
from vipex_bridge.privacy import call_without_keys
from vipex_bridge.render.request import Request, as_text
from vipex_bridge.render.requests import render
from vipex_bridge.render.sample import sample_fields


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CLIENT, and which call and event to render."""
    parser.add_argument("client", metavar="CLIENT")
    parser.add_argument(
        "--event",
        choices=["arrival", "dialplan", "ringing", "answer", "hangup"],
        default="ringing",
        help="of a notification (default: ringing)",
    )
    parser.add_argument(
        "--call",
        metavar="FILE",
        help="the call as JSON, in the client documentation's fields, or as `calls ID` prints it",
    )
    parser.add_argument(
        "--arg", action="append", default=[], metavar="KEY=VALUE", help="as the dialplan passes it"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the request."""
    settings = load_working(arguments.config)
    client = client_of(settings, arguments.client)
    tell(as_text(masked(request_to_show(settings, client, arguments), client)))
    return 0


def request_to_show(settings: Settings, client: Client, arguments: argparse.Namespace) -> Request:
    """`request_of`, with a star for each key that the caller in FILE pressed, where keys are hidden."""
    return request_of(settings, client, arguments, hides_keys=settings.privacy.mask_digits)


def request_of(
    settings: Settings, client: Client, arguments: argparse.Namespace, *, hides_keys: bool = False
) -> Request:
    """The request for the sample call, or for the call in `--call FILE`."""
    event = {"notify": arguments.event, "lookup": "lookup", "call_end": "call_end"}[client.kind]
    if arguments.call is None:
        fields: Mapping[str, object] = sample_fields(client, event, settings.timezone)
    else:
        fields = fields_in(Path(arguments.call), client.kind, event)
        # Before it is rendered: a client's own format may send the keys under any name.
        fields = call_without_keys(fields) if hides_keys else fields
    args = dict(part.partition("=")[::2] for part in arguments.arg)
    return render(client, fields, event, args, fresh_token)
