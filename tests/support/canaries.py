"""Secrets that are planted to be found again, in every shape that a text may give them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus


@dataclass
class Canaries:
    """Each secret by its name; `written` is everything that was written, by where."""

    secrets: dict[str, str] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)

    def plant(self, name: str, text: str = "") -> str:
        """A secret of this name, `canary-NAME-` and what makes its shapes differ."""
        self.secrets[name] = text or f'canary-{name}-/+"&é'
        return self.secrets[name]

    def wrote(self, where: str, what: str | bytes) -> None:
        """Adds what was written there."""
        self.written[where] = self.written.get(where, b"") + (
            what.encode() if isinstance(what, str) else what
        )

    def found(self) -> list[str]:
        """Where which secret is to be seen, in which shape."""
        return [
            f"{name} in {where}: {shape!r}"
            for name, secret in self.secrets.items()
            for shape in shapes(secret)
            for where, data in self.written.items()
            if shape in data
        ]

    def arrived(self, name: str, data: bytes) -> bool:
        """Whether the secret is in the data in any shape."""
        return any(shape in data for shape in shapes(self.secrets[name]))


def shapes(secret: str) -> Iterator[bytes]:
    """Plain (UTF-8, Latin-1), base64 wherever in the encoded data it begins, percent-encoded, in JSON."""
    yield secret.encode()
    yield secret.encode("latin-1", "replace")
    for before in range(3):
        # The first and last letters depend on the neighbours too.
        encoded = base64.b64encode(b"\0" * before + secret.encode()).rstrip(b"=")
        yield encoded[4 if before else 0 : -1]
    for written in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield from (written.encode(), written.lower().encode())
    for ascii_only in (True, False):
        text = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        for nested in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
            yield from (nested.encode(), nested.replace("/", "\\/").encode())
