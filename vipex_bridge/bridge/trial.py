"""A client's test: one request sent past the queue, and exactly what went and came, secrets masked."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass

from vipex_bridge import recordings
from vipex_bridge.bridge.telling import fresh_token
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.deliver.fill import fill, masked
from vipex_bridge.deliver.http import HttpAnswer, Transport
from vipex_bridge.deliver.masking import hide
from vipex_bridge.deliver.signing import sign
from vipex_bridge.errors import BridgeError
from vipex_bridge.lookup.exchange import Lookups
from vipex_bridge.render.request import Request, as_text
from vipex_bridge.render.requests import render
from vipex_bridge.render.sample import sample_fields

SHOWN_CHARACTERS = 4_096
MAX_BYTES = 1_048_576
EVENTS = ("arrival", "dialplan", "ringing", "answer", "hangup")


@dataclass(frozen=True, slots=True)
class Trial:
    """What went (`sent`) and what came (`came`, `status` of HTTP); `fault` says why there was no answer."""

    is_well: bool
    sent: str
    status: int | None = None
    elapsed_s: float | None = None
    came: str = ""
    fault: str = ""
    verdict: str = ""
    """Of a lookup: its status of the contract, section 3."""
    variables: tuple[tuple[str, str], ...] = ()


async def sampled(settings: Settings, transport: Transport, client: Client, event: str) -> Trial:
    """Send `client` the sample call, as `event` if it is a notification; gives what came of it."""
    told = event if client.kind == "notify" else client.kind
    try:
        request = render(client, sample_fields(client, told, settings.timezone), told, {}, fresh_token)
        sent = as_seen(request, client, settings)
    except BridgeError as error:
        return Trial(False, "", fault=str(error))
    return await tried(settings, transport, client, request, sent)


def as_seen(request: Request, client: Client, settings: Settings) -> str:
    """A request as a person may see it. Raises BridgeError where it cannot be filled."""
    # What stands in a client's own format may be its secret too.
    return settings.privacy.shown(hide(as_text(masked(request, client)), client))


async def tried(
    settings: Settings, transport: Transport, client: Client, request: Request, sent: str
) -> Trial:
    """Send `request` to `client` now; `sent` is how it is shown."""
    if client.kind == "lookup":
        return await _looked_up(settings, transport, client, request, sent)
    return await asyncio.to_thread(_exchanged, settings, transport, client, request, sent)


async def _looked_up(
    settings: Settings, transport: Transport, client: Client, request: Request, sent: str
) -> Trial:
    # Lookups of its own: no cache answers instead of the server, and no caller meets a breaker of ours.
    lookups = Lookups(transport)
    try:
        result = await lookups.ask(client, request)
    finally:
        lookups.close()
    return Trial(
        is_well=result.status in ("OK", "NOMATCH"),
        sent=sent,
        status=result.http_code,
        elapsed_s=result.elapsed_s,
        came=_text(result.answer, client, settings) if result.answer is not None else "",
        fault=hide(result.detail, client),
        verdict=result.status,
        variables=tuple((name, hide(value, client)) for name, value in result.variables),
    )


def _exchanged(
    settings: Settings, transport: Transport, client: Client, request: Request, sent: str
) -> Trial:
    try:
        outgoing = fill(
            request,
            client,
            lambda name: recordings.opened(settings.recordings, name),
            idempotency_key=None,
        )
        outgoing = sign(outgoing, client.signing_secrets, uuid.uuid4().hex, time.time())
        answer = transport.exchange(outgoing, tls=client.tls, timeout_s=client.timeout_s, max_bytes=MAX_BYTES)
    except BridgeError as error:
        return Trial(False, sent, fault=hide(str(error), client))
    is_well = 200 <= answer.status < 300
    return Trial(is_well, sent, answer.status, answer.elapsed_s, _text(answer, client, settings))


def _text(answer: HttpAnswer, client: Client, settings: Settings) -> str:
    """The answer's headers and body; a server may repeat what it was sent, so secrets are masked in it."""
    body = hide(answer.body.decode("utf-8", "replace"), client)[:SHOWN_CHARACTERS]
    headers = "\n".join(f"{name}: {hide(value, client)}" for name, value in answer.headers)
    return settings.privacy.shown(f"{headers}\n\n{body}".rstrip())
