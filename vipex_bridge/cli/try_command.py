"""`try CLIENT`: sends the sample (or a given) request once and prints the answer."""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid

from vipex_bridge import recordings
from vipex_bridge.cli import render_command
from vipex_bridge.cli.configuration import client_of, load_checked
from vipex_bridge.cli.telling import tell
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.deliver.fill import fill, masked
from vipex_bridge.deliver.http import HttpAnswer, Transport
from vipex_bridge.deliver.masking import hide
from vipex_bridge.deliver.signing import sign
from vipex_bridge.errors import ExchangeError
from vipex_bridge.lookup.exchange import Lookups
from vipex_bridge.render.request import Request

SHOWN_CHARACTERS = 4_096
MAX_BYTES = 1_048_576


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The same as `render`."""
    render_command.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints request and answer; 0 when the client would count it as a success."""
    settings = load_checked(arguments.config)
    client = client_of(settings, arguments.client)
    request = render_command.request_of(settings, client, arguments)
    tell(render_command.shown(masked(request, client)), end="\n\n")
    transport = Transport()
    try:
        if client.kind == "lookup":
            return _look_up(client, request, transport)
        return _send(settings, client, request, transport)
    finally:
        transport.close()


def _look_up(client: Client, request: Request, transport: Transport) -> int:
    lookups = Lookups(transport)
    try:
        result = asyncio.run(lookups.ask(client, request))
    finally:
        lookups.close()
    if result.answer is not None:
        tell(_shown(result.answer, client), end="\n\n")
    code = "" if result.http_code is None else result.http_code
    tell(f"VIPEX_STATUS={result.status}\nVIPEX_HTTP_CODE={code}")
    for name, value in result.variables:
        tell(f"{name}={hide(value, client)}")
    if result.detail:
        tell(f"({result.detail})")
    return 0 if result.status in ("OK", "NOMATCH") else 1


def _send(settings: Settings, client: Client, request: Request, transport: Transport) -> int:
    outgoing = fill(
        request,
        client,
        lambda name: recordings.opened(settings.recordings, name),
        idempotency_key=None,
    )
    outgoing = sign(outgoing, client.signing_secrets, uuid.uuid4().hex, time.time())
    try:
        answer = transport.exchange(outgoing, tls=client.tls, timeout_s=client.timeout_s, max_bytes=MAX_BYTES)
    except ExchangeError as error:
        tell(f"no answer: {error}")
        return 1
    tell(_shown(answer, client))
    return 0 if 200 <= answer.status < 300 else 1


def _shown(answer: HttpAnswer, client: Client) -> str:
    """The answer as text; a server may repeat what it was sent, so secrets are masked in it."""
    body = hide(answer.body.decode("utf-8", "replace"), client)[:SHOWN_CHARACTERS]
    headers = "\n".join(f"{name}: {hide(value, client)}" for name, value in answer.headers)
    return f"HTTP {answer.status} after {answer.elapsed_s * 1000:.0f} ms\n{headers}\n\n{body}".rstrip()
