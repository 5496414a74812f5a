"""The latest lookups as they went, in memory: what was asked about a call, and what was answered."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from vipex_bridge.config.settings import Client
from vipex_bridge.deliver.fill import masked
from vipex_bridge.deliver.masking import hide
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.render.request import Request

KEPT, KEPT_S = 1_000, 86_400.0
"""So many at most, and none that is older."""
MOST_BYTES = 4_096
"""Of an answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One lookup as a person may see it: no secret stands in it. `at` is when it began, epoch seconds."""

    at: float
    call_id: int
    client: str
    request: Request
    status: str
    http_code: int | None
    elapsed_s: float
    detail: str
    answer: str
    variables: tuple[tuple[str, str], ...]


def asked(client: Client, call_id: int, request: Request, result: LookupResult, now: float) -> Asked:
    """What is kept of a lookup that has just ended."""
    body = result.answer.body[:MOST_BYTES] if result.answer is not None else b""
    return Asked(
        at=now - result.elapsed_s,
        call_id=call_id,
        client=client.name,
        request=masked(request, client),
        status=result.status,
        http_code=result.http_code,
        elapsed_s=result.elapsed_s,
        detail=result.detail,
        answer=hide(body.decode("utf-8", "replace"), client),
        variables=result.variables,
    )


class LookupLog:
    """Takes lookups as they end, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Asked] = deque(maxlen=KEPT)

    def add(self, lookup: Asked) -> None:
        """One more; what is too old by then goes."""
        with self._lock:
            self._kept.append(lookup)
        self.drop(lookup.at - KEPT_S)

    def drop(self, before: float) -> None:
        """Forgets what ended before then (epoch seconds)."""
        with self._lock:
            while self._kept and self._kept[0].at + self._kept[0].elapsed_s < before:
                self._kept.popleft()

    def of_call(self, call_id: int) -> list[Asked]:
        """The lookups about a call, in the order in which they ended."""
        with self._lock:
            return [lookup for lookup in self._kept if lookup.call_id == call_id]
