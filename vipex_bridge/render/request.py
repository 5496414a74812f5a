"""A request as it is frozen in the outbox: all that depends on the call, and nothing that is a secret.

Where a secret or a recording belongs there stands a token, which `slots` explains; it is filled in
at each try (contract, section 4), so that none lies in the store and a changed one serves. The client's
own URL and headers, which may hold secrets as well, are put in at each try too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Slot:
    """What stands for `token` in the URL, a header or the body."""

    token: str
    source: str
    """api_key or recording."""
    escape: str
    """url, json, xml, form, header or text: how the value is escaped where the token stands."""
    literal: bool = False
    """The token stands for a whole JSON literal: the value comes with its quotes, or is null."""
    reference: str = ""
    """The recording's path as Asterisk named it; '' for the API key."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a call makes of a client's request; `body` is None for GET."""

    method: str
    url: str
    """`?` and the query that the client's URL is followed by, '' without one; a whole URL in requests that
    were frozen before this was so, and in those that are shown."""
    headers: tuple[tuple[str, str], ...]
    """The body's Content-Type; in requests frozen earlier the configured headers too."""
    body: str | None
    slots: tuple[Slot, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form for the outbox."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Request:
        """The request that `to_dict` was made of."""
        return cls(
            method=data["method"],
            url=data["url"],
            headers=tuple((name, value) for name, value in data["headers"]),
            body=data["body"],
            slots=tuple(Slot(**slot) for slot in data["slots"]),
        )


def as_text(request: Request) -> str:
    """A request as text: its line, its headers, its body."""
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers)]
    return "\n".join([*lines, "", request.body] if request.body is not None else lines)


def whole_url(base: str, frozen: str) -> str:
    """The URL of a request: the client's own `base`, followed by what was `frozen` with the request."""
    if frozen and not frozen.startswith("?"):
        return frozen
    base, query = base.partition("#")[0], frozen.removeprefix("?")
    if not query:
        return base
    if "?" not in base:
        return f"{base}?{query}"
    return f"{base}{query}" if base.endswith(("?", "&")) else f"{base}&{query}"
