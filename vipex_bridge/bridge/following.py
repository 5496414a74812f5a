"""With `recordings.when: separate`: the second deliveries, begun as soon as the recordings are whole.

They are in the outbox from the moment their call is told, due when the wait is over: what becomes of the
bridge meanwhile only makes them later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from vipex_bridge import recordings
from vipex_bridge.bridge.finishing import with_files
from vipex_bridge.bridge.telling import Telling
from vipex_bridge.calls.document import CallDocument, from_json, to_json
from vipex_bridge.calls.tree import recordings as recordings_of
from vipex_bridge.config.settings import Recordings
from vipex_bridge.errors import BridgeError
from vipex_bridge.store.store import Store

log = structlog.get_logger()

LOOKED_AT_EVERY_S = 1.0


@dataclass(slots=True)
class Following:
    """Looks at the files of calls whose recordings are still to follow."""

    store: Store
    telling: Telling
    options: Callable[[], Recordings | None]
    wake: Callable[[str], None]
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _seen: dict[int, dict[str, recordings.FileState]] = field(default_factory=dict)

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            options = self.options()
            if options is not None and options.is_separate:
                try:
                    await asyncio.to_thread(self.step, options)
                except BridgeError as error:
                    log.error("recording.not_begun", error=str(error))
            await asyncio.sleep(LOOKED_AT_EVERY_S)

    def step(self, options: Recordings) -> None:
        """One look; blocking. Raises StoreError."""
        waiting: dict[int, list[tuple[int, str]]] = {}
        for delivery_id, client, call_id in self.store.awaiting_recordings(self.clock()):
            waiting.setdefault(call_id, []).append((delivery_id, client))
        self._seen = {call_id: self._seen.get(call_id, {}) for call_id in waiting}
        for call_id, deliveries in waiting.items():
            stored = self.store.call(call_id)
            if stored is None or stored.document is None:
                continue
            document = from_json(stored.document)
            names = recordings_of(document)
            if recordings.are_whole(options, names, self._seen[call_id], self.monotonic()):
                self._begin(call_id, document, options, deliveries)

    def _begin(
        self, call_id: int, document: CallDocument, options: Recordings, deliveries: list[tuple[int, str]]
    ) -> None:
        now = self.clock()
        found = with_files(document, options)
        moved = zip(recordings_of(document), recordings_of(found), strict=True)
        with self.store.write(now) as writer:
            for path, file in moved:
                if path != file:
                    writer.move_recording(call_id, path, file, to_json(found))
            for delivery_id, client in deliveries:
                told = self.telling.with_sound(client, found, call_id, now)
                if told is not None and told.request is not None:
                    writer.begin(delivery_id, told.request)
        for _, client in deliveries:
            self.wake(client)
