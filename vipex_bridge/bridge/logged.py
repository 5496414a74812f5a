"""What channel event logging knows of the calls that AMI did not see whole: asked for, and given up on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from vipex_bridge.calls import cel
from vipex_bridge.calls.rows import CelRow
from vipex_bridge.cdr.cel_rows import CelSource
from vipex_bridge.errors import SourceError

log = structlog.get_logger()

AWAITED_S = 60.0
"""How long calls wait for a source that cannot be read; from then on they are told without it."""
STILL_ON_S = 86_400.0
"""A call that CEL shows going on, but with nothing new for so long, is believed to be over."""
MOST_SELDOM_S = 30.0
"""How often at least the source is asked about a call that goes on."""
FAILED_AGAIN_S = 5.0
"""How long a source that cannot be read is left alone."""
ASKED_A_ROUND = 50
"""Calls asked about in one round, so that after a long absence telling begins before all are read."""


@dataclass(slots=True)
class Logged:
    """What CEL has told of one call so far; moments of the monotonic clock."""

    rows: list[CelRow] = field(default_factory=list)
    over_at: float | None = None
    """When CEL was first seen to say that the call is over."""
    first_asked_at: float | None = None
    asked_at: float | None = None

    def ask_again(self) -> None:
        """There is news of the call: what CEL has said so far may not be all."""
        self.asked_at = self.over_at = None

    def is_on(self, now: float) -> bool:
        """Whether CEL shows the call still going on."""
        is_known = bool(self.rows) and self.over_at is None
        return is_known and now < max(row.at for row in self.rows) + STILL_ON_S


class ChannelEvents:
    """Asks a CEL source about calls. Without a source nothing is asked, and nothing waited for."""

    def __init__(
        self, source: CelSource | None, poll_s: float = 1.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._poll_s = poll_s
        self._clock = clock
        self._failing_since: float | None = None
        self._failed_at: float | None = None
        self.failed_looks = 0
        """Looks that a fault of ours broke off."""

    def is_due(self, logged: Logged) -> bool:
        """Whether it is time to ask about this call, again the more seldom the longer it goes on."""
        if self._source is None or logged.over_at is not None:
            return False
        now = self._clock()
        if self._failed_at is not None and now < self._failed_at + FAILED_AGAIN_S:
            return False
        if logged.asked_at is None or logged.first_asked_at is None:
            return True
        pause_s = min((now - logged.first_asked_at) / 10, MOST_SELDOM_S)
        return now >= logged.asked_at + max(self._poll_s, pause_s)

    def is_awaited(self, logged: Logged) -> bool:
        """Whether the call must not be told yet: CEL was not asked, or fails since a short while only."""
        if self._source is None or logged.asked_at is not None:
            return False
        return self._failing_since is None or self._clock() < self._failing_since + AWAITED_S

    async def ask(self, logged: Logged, keys: Collection[str], start: float, end: float | None) -> bool:
        """Takes what CEL has of the call; False when the source cannot be read now, which is logged once."""
        if self._source is None:
            return False
        rows = logged.rows
        try:
            rows = await asyncio.to_thread(self._source.rows_of, keys, start, end)
        except SourceError as error:
            self._failed_at = self._clock()
            if self._failing_since is None:
                log.error("cel.source_failed", error=str(error), calls_wait_s=AWAITED_S)
                self._failing_since = self._failed_at
            return False
        except Exception:
            # What is amiss with one call's rows keeps neither it nor the others from being told.
            self.failed_looks += 1
            log.exception("cel.look_failed", keys=list(keys))
        else:
            if self._failing_since is not None:
                log.info("cel.source_is_back")
            self._failing_since = self._failed_at = None
        now = self._clock()
        logged.rows = rows
        logged.asked_at = now
        if logged.first_asked_at is None:
            logged.first_asked_at = now
        if cel.is_over(rows):
            logged.over_at = now
        return True
