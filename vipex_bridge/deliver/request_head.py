"""A request's head as HTTP/1.1 carries it: what is refused in it, and its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vipex_bridge.config.settings import FRAMING_HEADERS
from vipex_bridge.errors import Unreachable

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2, `token`: header names and methods."""
_NOT_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


def checked(method: str, headers: Iterable[tuple[str, str]], length: int | None) -> list[tuple[str, str]]:
    """The headers as they go out with a body of that `length`, None without one.

    Raises Unreachable for what HTTP cannot carry.
    """
    sent = []
    for name, value in headers:
        if not _NAME.fullmatch(name) or name.lower() in FRAMING_HEADERS:
            raise Unreachable(f"header {name!r} cannot be sent: take it out of the configuration")
        if _NOT_VALUE.search(value):
            raise Unreachable(f"header {name} holds a line break or a character that HTTP cannot carry")
        sent.append((name, value))
    if not _NAME.fullmatch(method):
        raise Unreachable(f"{method!r} is no HTTP method")
    if length is not None or method not in ("GET", "HEAD"):
        # A reader without it would go out chunked, which many servers refuse.
        sent.append(("Content-Length", str(length or 0)))
    return sent


def written(method: str, target: str, host: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """The head; `host` unless the headers have one of their own."""
    own = () if any(name.lower() == "host" for name, _ in headers) else (("Host", host),)
    lines = "".join(f"{name}: {value}\r\n" for name, value in (*own, *headers))
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
