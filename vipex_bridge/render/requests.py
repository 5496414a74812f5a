"""The exact request that tells a call to one client: every option of contract, section 2, in one place.

The order of what is sent is that of the client's `parameters`. A Content-Type goes out with a body only:
JSON and forms bare, as they are UTF-8 by definition, any other with `; charset=utf-8`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vipex_bridge.config.settings import Client, Secret, revealed
from vipex_bridge.errors import RenderError
from vipex_bridge.render.escape import escape
from vipex_bridge.render.fields import chosen_parts
from vipex_bridge.render.numbers import rewritten
from vipex_bridge.render.request import Request
from vipex_bridge.render.slots import Mark, Slots, dumps, marked
from vipex_bridge.render.templates import NO_DEFAULT_XML, NO_OTHER_CHARSET, fill_in, place_of, sends_utf8

_URL_KEEPS = "!$%&'()*+,-./:;=?@[]_~"
"""What stays as it is in a query template's own text; anything else is percent-encoded."""


def render(
    client: Client,
    fields: Mapping[str, object],
    event: str | None,
    args: Mapping[str, str],
    token: Callable[[], str],
) -> Request:
    """Give the request for this client, with slots where its API key and the recordings belong.

    `fields` are the wire values by parameter name, `event` what is told, `args` what the dialplan gave;
    the last two are seen by templates only. `token` gives a fresh text of letters and digits that is found
    nowhere else. The client's URL, its headers, Basic authentication, an API key in a header, User-Agent and
    the like are added when the request is sent. Raises RenderError.
    """
    fields = rewritten(chosen_parts(fields, client), client.numbers)
    slots = Slots(token)
    url = _query(client, fields, event, args, slots)
    body = _body(client, fields, event, args, slots) if client.method == "POST" else None
    headers = _headers(client, with_body=body is not None)
    return Request(client.method, url, headers, body, slots.settled(url, body or ""))


def _query(
    client: Client, fields: Mapping[str, object], event: str | None, args: Mapping[str, str], slots: Slots
) -> str:
    query = ""
    if client.query is not None:
        text = fill_in(client.query, "url", client.kind, fields, event, args, slots)
        query = _url_text(text.strip().lstrip("?&"))
    elif client.method == "GET":
        query = "&".join(_pairs(_selected(client, fields), "url", slots))
    key = client.api_key
    if key and key.place == "query" and not slots.has_api_key():
        pair = f"{escape(key.name, 'url')}={Mark(slots, 'api_key', 'url')}"
        query = f"{query}&{pair}" if query else pair
    return f"?{query}" if query else ""


def _body(
    client: Client, fields: Mapping[str, object], event: str | None, args: Mapping[str, str], slots: Slots
) -> str:
    place = place_of(client.content_type)
    if client.body is not None:
        return fill_in(client.body, place, client.kind, fields, event, args, slots)
    values = _selected(client, fields)
    key = client.api_key if client.api_key and client.api_key.place == "body" else None
    if place == "form":
        pairs = _pairs(values, "form", slots)
        if key:
            pairs.append(f"{escape(key.name, 'form')}={Mark(slots, 'api_key', 'form')}")
        return "&".join(pairs)
    if place == "xml":
        raise RenderError(NO_DEFAULT_XML)
    document = {name: marked(value, slots, "json") for name, value in values.items()}
    if key:
        document[key.name] = Mark(slots, "api_key", "json")
    return dumps(document, slots, "json")


def _selected(client: Client, fields: Mapping[str, object]) -> dict[str, object]:
    """The client's parameters in its order; one that this occasion does not have (`exten`) is left out."""
    return {name: fields[name] for name in client.parameters if name in fields}


def _pairs(values: Mapping[str, object], place: str, slots: Slots) -> list[str]:
    """Form-encoded pairs, unknown ones left out; a list is given as JSON text."""
    pairs = []
    for name, value in values.items():
        if value is None:
            continue
        item = marked(value, slots, place)
        text = str(item) if isinstance(item, str | int | float | Mark) else dumps(item, slots, place)
        pairs.append(f"{escape(name, place)}={escape(text, place)}")
    return pairs


def _url_text(text: str) -> str:
    """A query template's result, with what no URL can hold (spaces, line ends, other scripts) encoded."""
    kept = frozenset(_URL_KEEPS)
    return "".join(
        character
        if character in kept or (character.isascii() and character.isalnum())
        else _percent(character)
        for character in text
    )


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))


def _headers(client: Client, *, with_body: bool) -> tuple[tuple[str, str], ...]:
    """The Content-Type of a body, which the body is frozen with; one among the configured headers wins.

    One that is a secret is not frozen: like every other header it is put in when the request is sent.
    """
    if not with_body:
        return ()
    own = next((pair for pair in client.headers if pair[0].lower() == "content-type"), None)
    name, value = own or ("Content-Type", _content_type(client.content_type))
    sent = escape(revealed(value), "header")
    return () if isinstance(value, Secret) else ((name, sent),)


def _content_type(content_type: str) -> str:
    if not sends_utf8(content_type):
        raise RenderError(NO_OTHER_CHARSET)
    bare = "charset=" in content_type.lower() or place_of(content_type) in ("json", "form")
    return content_type if bare else f"{content_type}; charset=utf-8"
