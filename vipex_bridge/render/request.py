"""A request as it is frozen in the outbox: complete but for its secrets and recordings.

Where a secret or a recording belongs there stands a token, which `slots` explains; it is filled in
at each try (contract, section 4), so that none lies in the store and a changed one serves.
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
    """Method, URL with its query, headers in order, body (None for GET)."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
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
