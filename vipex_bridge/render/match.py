"""Which calls a client is told of: the `match` of its configuration (contract, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from vipex_bridge.config.settings import Match


def matches(
    match: Match,
    *,
    src: str | None,
    dst: str | None,
    extens: Sequence[str],
    queues: Sequence[str],
    context: str | None,
    account: str | None,
) -> bool:
    """Say whether a call is one that `match` lets through.

    Globs are case-sensitive (`*`, `?`, `[...]`). Any glob of a key suffices, every key that is given must
    be met, and a key that is given is not met by what is unknown (None, '' or no extension at all).
    `extens` is a notification's one extension, or all of a finished call; `queues` likewise.
    """
    return (
        _met(match.src, (src,))
        and _met(match.dst, (dst,))
        and _met(match.exten, extens)
        and _met(match.queue, queues)
        and _met(match.context, (context,))
        and _met(match.account, (account,))
    )


def _met(globs: Sequence[str], values: Sequence[str | None]) -> bool:
    if not globs:
        return True
    return any(fnmatchcase(value, glob) for value in values if value for glob in globs)
