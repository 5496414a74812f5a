"""Whether a call began, moved on or ended: looked for once for all readers of the page Live."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field

from vipex_bridge.calls.record import CallRecord
from vipex_bridge.console.live import signature, up_now

LOOKED_AT_EVERY_S = 0.25
"""How soon a change is seen: a person's eye is no faster."""
PAUSE_PER_CALL_S = 0.02
"""After a change the next is looked for so much later for each call: laying them out takes the event loop."""
MOST_CALLS = 100
"""So many are shown, the ones that are up longest."""
SAID_EVERY_S = 15.0
"""A word at least this often keeps the connection, and finds out when the reader has gone."""
MOVED, HERE = "event: moved\ndata: \n\n", ": here\n\n"


@dataclass(slots=True)
class Watch:
    """Of the event loop: it looks while anybody reads, however many, and not otherwise."""

    calls: Callable[[], Iterable[CallRecord]]
    said_every_s: float = SAID_EVERY_S
    _readers: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _looking: asyncio.Task[None] | None = None

    @property
    def is_looking(self) -> bool:
        """Whether the calls are looked at now."""
        return self._looking is not None and not self._looking.done()

    async def moments(self) -> AsyncGenerator[str, None]:
        """Server-sent events (HTML standard, section 9.2): `moved` at first and whenever something did."""
        self._readers += 1
        try:
            while True:
                if self._looking is None:
                    self._looking = asyncio.create_task(self._look(signature(self.calls())), name="live")
                elif self._looking.done():
                    # It ends by a fault alone, which then ends the stream: the browser comes again.
                    self._looking.result()
                moved = self._moved
                yield MOVED
                while not moved.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(moved.wait(), self.said_every_s)
                        break
                    yield HERE
        finally:
            self._readers -= 1
            if self._looking is not None and (self._readers == 0 or self._looking.done()):
                self._looking.cancel()
                self._looking = None

    async def _look(self, before: object) -> None:
        try:
            while True:
                await asyncio.sleep(LOOKED_AT_EVERY_S)
                present = signature(self.calls())
                if present == before:
                    continue
                before = present
                self._tell()
                await asyncio.sleep(PAUSE_PER_CALL_S * min(len(up_now(self.calls())), MOST_CALLS))
        finally:
            self._tell()

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
