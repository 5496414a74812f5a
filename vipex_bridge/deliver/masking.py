"""What a person may see of a client: its secrets, in whatever shape a text may repeat them, as ********."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlsplit

from vipex_bridge.config.exposure import is_secret_name
from vipex_bridge.config.settings import Client, Secret, revealed
from vipex_bridge.errors import BridgeError
from vipex_bridge.render.escape import escape, sound

MASK = "********"

_TELLING_CHARS = 8
"""From this length on a part of a secret (a word of a header, a folder of a path) is hidden by itself."""

_PARAMETER = re.compile(r"([?&]([^=&#]+)=)([^&#]*)")
"""A parameter of a URL's query: `?name=`, name, value."""


def shown_url(url: str) -> str:
    """A client's URL as it may be seen: of one that came by a tag, only what the network sees anyway.

    Of any other, values in the query whose names say that they are secrets are masked.
    """
    if not isinstance(url, Secret):
        return _PARAMETER.sub(
            lambda found: f"{found[1]}{MASK if is_secret_name(found[2]) else found[3]}", url
        )
    parts = urlsplit(url.reveal())
    return f"{parts.scheme}://{parts.netloc}/{MASK}"


def shown_header(value: str) -> str:
    """A configured header's value as it may be seen."""
    return MASK if isinstance(value, Secret) else value


def hide(text: str, client: Client) -> str:
    """`text`, which a server may have made of what it was sent, without the client's secrets."""
    for shape in _shapes_of(client):
        text = text.replace(shape, MASK)
    return text


@lru_cache(maxsize=256)
def _shapes_of(client: Client) -> tuple[str, ...]:
    """Every shape of every secret, longer ones first: one may be part of another."""
    shapes = {shape for secret in _secrets_of(client) for shape in _shapes(secret)}
    return tuple(sorted(shapes - {""}, key=lambda shape: (-len(shape), shape)))


def _secrets_of(client: Client) -> Iterator[str]:
    if client.basic_auth is not None:
        password = client.basic_auth.password.reveal()
        yield password
        if password:
            yield _base64(f"{client.basic_auth.username}:{password}")
    if client.api_key is not None:
        yield client.api_key.value.reveal()
    yield from map(revealed, client.signing_secrets)
    for _, value in client.headers:
        if isinstance(value, Secret):
            yield value.reveal()
            yield from _telling(value.reveal().split())
    for url in (client.url, *client.lookup.fallback_urls):
        if isinstance(url, Secret):
            yield from _of_url(url.reveal())
        else:
            yield from (value for _, name, value in _PARAMETER.findall(url) if is_secret_name(name))


def _of_url(url: str) -> Iterator[str]:
    """A URL's path and query, as a server sees them, and their parts."""
    parts = urlsplit(url)
    yield from (url, parts.path if len(parts.path) > 1 else "", parts.query)
    yield from _telling(parts.path.split("/"))
    yield from _telling([value for _, value in parse_qsl(parts.query)])


def _telling(parts: list[str]) -> Iterator[str]:
    return (part for part in parts if len(part) >= _TELLING_CHARS)


def _shapes(secret: str) -> Iterator[str]:
    """A secret as it may stand in an answer: plain, escaped for each place, in base64."""
    yield secret
    yield _base64(secret)
    percent = quote(sound(secret), safe="")
    yield from (percent, percent.lower(), quote(sound(secret)))
    # As others write JSON: all but ASCII as \uXXXX, PHP's `/` as `\/`; and a JSON body within JSON.
    in_json = _json_strings(secret)
    for text in (*in_json, *(text for once in in_json for text in _json_strings(once))):
        yield from (text, text.replace("/", "\\/"), text.replace("/", "\\\\/"))
    for place in ("url", "xml"):
        try:
            yield escape(secret, place)
        except BridgeError:
            continue


def _json_strings(text: str) -> list[str]:
    return [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]


def _base64(text: str) -> str:
    return base64.b64encode(sound(text).encode()).decode()
