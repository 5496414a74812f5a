"""Puts into a frozen request what is not frozen with it (contract, section 4): secrets and recordings, and
the client's own URL and headers, which may hold secrets.

The same walk gives `masked`, the request as a person may see it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import PurePosixPath
from urllib.parse import quote_plus

from vipex_bridge import __version__
from vipex_bridge.config.settings import Client, Secret, revealed
from vipex_bridge.deliver.http import Outgoing
from vipex_bridge.deliver.masking import MASK, shown_header, shown_url
from vipex_bridge.deliver.recording import Base64File, Composed
from vipex_bridge.deliver.signing import masked_values, with_headers
from vipex_bridge.errors import RecordingError, RenderError
from vipex_bridge.render.escape import escape, sound
from vipex_bridge.render.request import Request, Slot, whole_url

_ENCODED = frozenset({"url", "form"})
"""Places where `+`, `/` and `=` of base64 are percent-encoded."""


def fill(
    request: Request,
    client: Client,
    open_recording: Callable[[str], FileIO],
    *,
    idempotency_key: str | None,
    on_missing: Callable[[str, str], None] = lambda reference, reason: None,
) -> Outgoing:
    """Give `request` as it goes out now, with `client`'s present URL, headers and secrets; not yet signed.

    `open_recording` gives the file for a slot's reference, open and judged. A recording for which it raises
    RecordingError goes out as JSON null (a literal) or as nothing, and `on_missing` is told its reference
    and the reason. Recordings are read from their files while the body is sent: the body is
    then a reader that whoever takes the Outgoing must close (`Transport.exchange` does).

    Raises RenderError when the API key cannot stand in a header, or the request is not this client's.
    """
    slots = {slot.token: slot for slot in request.slots}

    def text_of(text: str) -> str:
        return _replaced(text, slots, lambda slot: _secret(slot, client))

    url = whole_url(revealed(client.url), text_of(request.url))
    is_hidden = isinstance(client.url, Secret)
    own = [("Idempotency-Key", idempotency_key)] if idempotency_key is not None else []
    configured = [(name, escape(revealed(value), "header")) for name, value in client.headers]
    headers = _headers(
        [(name, text_of(value)) for name, value in request.headers],
        configured,
        own + _credentials(client, masked=False),
    )
    if request.body is None:
        return Outgoing(request.method, url, headers, None, is_hidden)
    parts: list[bytes | Base64File] = []
    try:
        for piece in _split(request.body, slots):
            if isinstance(piece, Slot) and piece.source == "recording":
                parts += _recording(piece, open_recording, on_missing)
            else:
                text = piece if isinstance(piece, str) else _secret(piece, client)
                parts.append(sound(text).encode())
    except BaseException:
        Composed(parts).close()
        raise
    texts = [part for part in parts if isinstance(part, bytes)]
    whole = len(texts) == len(parts)
    return Outgoing(request.method, url, headers, b"".join(texts) if whole else Composed(parts), is_hidden)


def masked(request: Request, client: Client) -> Request:
    """Give `request` as it would be filled, but with every secret as ******** and recordings by name."""
    slots = {slot.token: slot for slot in request.slots}

    def text_of(text: str) -> str:
        return _replaced(text, slots, _shown)

    headers = _headers(
        [(name, text_of(value)) for name, value in request.headers],
        [(name, shown_header(value)) for name, value in client.headers],
        _credentials(client, masked=True),
    )
    if client.signing_secrets:
        headers = with_headers(headers, masked_values(client.signing_secrets))
    return Request(
        method=request.method,
        url=whole_url(shown_url(client.url), text_of(request.url)),
        headers=headers,
        body=None if request.body is None else text_of(request.body),
    )


def _headers(
    frozen: list[tuple[str, str]], configured: list[tuple[str, str]], added: list[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """Content-Type, the configured headers, User-Agent (unless configured), then ours: ours win."""
    names = {name.lower() for name, _ in configured}
    # Requests of earlier versions were frozen with the headers that were configured then.
    kept = [(name, value) for name, value in frozen if name.lower() not in names - {"content-type"}]
    typed = {name.lower() for name, _ in kept} & {"content-type"}
    kept += [(name, value) for name, value in configured if name.lower() not in typed]
    ours = {name.lower() for name, _ in added}
    kept = [(name, value) for name, value in kept if name.lower() not in ours]
    if not any(name.lower() == "user-agent" for name, _ in kept):
        kept.append(("User-Agent", f"vipex-bridge/{__version__}"))
    return (*kept, *added)


def _credentials(client: Client, *, masked: bool) -> list[tuple[str, str]]:
    """Authorization and API key headers, as the client has them."""
    headers = []
    if client.basic_auth is not None:
        # RFC 7617, section 2: user-id ":" password; UTF-8 as in section 2.1.
        pair = f"{client.basic_auth.username}:{client.basic_auth.password.reveal()}"
        basic = f"Basic {base64.b64encode(sound(pair).encode()).decode()}"
        headers.append(("Authorization", MASK if masked else basic))
    if client.api_key is not None and client.api_key.place == "header":
        value = MASK if masked else escape(client.api_key.value.reveal(), "header")
        headers = [header for header in headers if header[0].lower() != client.api_key.name.lower()]
        headers.append((client.api_key.name, value))
    return headers


def _split(text: str, slots: dict[str, Slot]) -> Iterator[str | Slot]:
    """The pieces of `text` in order: what stands between tokens, and each token's slot."""
    if not slots:
        yield text
        return
    for piece in re.split("(" + "|".join(map(re.escape, slots)) + ")", text):
        if piece:
            yield slots.get(piece, piece)


def _replaced(text: str, slots: dict[str, Slot], value: Callable[[Slot], str]) -> str:
    return "".join(piece if isinstance(piece, str) else value(piece) for piece in _split(text, slots))


def _secret(slot: Slot, client: Client) -> str:
    if slot.source != "api_key":
        raise RenderError("a recording can only stand in the body: take monitor_file out of url and headers")
    if client.api_key is None:
        raise RenderError(f"the request needs the API key, but client {client.name} has no api_key any more")
    return _written(client.api_key.value.reveal(), slot)


def _shown(slot: Slot) -> str:
    if slot.source == "api_key":
        return f'"{MASK}"' if slot.literal else MASK
    return _written(f"<recording {PurePosixPath(slot.reference).name}, base64>", slot)


def _written(text: str, slot: Slot) -> str:
    """`text` where the slot stands; a literal is JSON text, itself escaped unless the place is JSON."""
    if not slot.literal:
        return escape(text, slot.escape)
    return _literal(json.dumps(sound(text), ensure_ascii=False), slot)


def _literal(json_text: str, slot: Slot) -> str:
    return json_text if slot.escape == "json" else escape(json_text, slot.escape)


def _recording(
    slot: Slot, open_recording: Callable[[str], FileIO], on_missing: Callable[[str, str], None]
) -> list[bytes | Base64File]:
    try:
        file = open_recording(slot.reference)
    except RecordingError as error:
        on_missing(slot.reference, str(error))
        return [_literal("null", slot).encode()] if slot.literal else []
    encoded = slot.escape in _ENCODED
    quote = _literal('"', slot).encode() if slot.literal else b""
    return [quote, Base64File(file, _percent_encoded if encoded else bytes, grows=encoded), quote]


def _percent_encoded(data: bytes) -> bytes:
    return quote_plus(data).encode()
