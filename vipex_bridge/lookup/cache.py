"""Answers kept by the request that they were given to."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from vipex_bridge.config.settings import Client
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.render.request import Request

MAX_ENTRIES = 10_000

Key = tuple[Client, str, str, tuple[tuple[str, str], ...], str | None]


def key(client: Client, request: Request) -> Key:
    """What makes two lookups the same: the client as configured now, and the request before secrets.

    A slot's token differs at every rendering, so what it stands for is put in its place.
    """

    def settled(text: str) -> str:
        for slot in request.slots:
            text = text.replace(slot.token, f"\0{slot.source}\0{slot.escape}\0{slot.reference}\0")
        return text

    headers = tuple((name, settled(value)) for name, value in request.headers)
    body = None if request.body is None else settled(request.body)
    return client, request.method, settled(request.url), headers, body


@dataclass(frozen=True, slots=True)
class _Entry:
    result: LookupResult
    at: float


class AnswerCache:
    """At most `MAX_ENTRIES` results, the longest unused given up first. Not for several threads."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._max_entries = max_entries

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, key: Key, result: LookupResult, now: float) -> None:
        """Keep an OK or a NOMATCH, if this client's options have any use for it; forget an older one."""
        options = key[0].lookup
        self._entries.pop(key, None)
        if options.cache_s <= 0 and not (options.stale_if_error_s > 0 and result.status == "OK"):
            return
        self._entries[key] = _Entry(result, now)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def fresh(self, key: Key, now: float) -> LookupResult | None:
        """The result that spares asking, or None."""
        return self._within(key, now, key[0].lookup.cache_s)

    def stale(self, key: Key, now: float) -> tuple[LookupResult, float] | None:
        """The OK that may serve when the server fails, and its age in seconds.

        It serves for `stale_if_error_s` after its time in the cache was over (RFC 5861, section 4).
        """
        options = key[0].lookup
        if options.stale_if_error_s <= 0:
            return None
        result = self._within(key, now, options.cache_s + options.stale_if_error_s)
        if result is None or result.status != "OK":
            return None
        return result, now - self._entries[key].at

    def _within(self, key: Key, now: float, age_s: float) -> LookupResult | None:
        entry = self._entries.get(key)
        if entry is None or now - entry.at >= age_s:
            return None
        self._entries.move_to_end(key)
        return entry.result
