"""What a recorded stream would make: the bridge's own path, from events to requests, without its rims.

The daemon's `Live` and `Ending` live in an event loop, keep a store and wait for a clock; a recording
has its own time and needs none of them. Tracker, testimony, tree and rendering are the daemon's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vipex_bridge.bridge.telling import Telling, numbering_of, tariff_of
from vipex_bridge.calls import testimony
from vipex_bridge.calls.document import Notice
from vipex_bridge.calls.events import CallEvent
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build, call_end, numbered, recordings, without_recording
from vipex_bridge.config.settings import Settings
from vipex_bridge.render.request import Request


@dataclass(frozen=True, slots=True)
class Simulated:
    """One request that a client would get at `at` (epoch seconds), or why there would be none."""

    at: float
    client: str
    event: str
    call_id: int
    request: Request | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """All requests in the order of time, and the calls that were still up when the recording ended."""

    told: list[Simulated]
    unfinished: list[str]


class _Ids:
    """Ids as the store gives them, one sequence for calls and legs, but from 1."""

    def __init__(self) -> None:
        self._of_key: dict[str, int] = {}
        self._next = 1

    def new(self, count: int) -> list[int]:
        given = list(range(self._next, self._next + count))
        self._next += count
        return given

    def of(self, record: CallRecord) -> int:
        names = record.keys()
        known = [self._of_key[name] for name in names if name in self._of_key]
        call_id = self._of_key.get(record.key) or (min(known) if known else self.new(1)[0])
        self._of_key |= dict.fromkeys(names, call_id)
        return call_id


def simulate(settings: Settings, events: Iterable[CallEvent], rows: Sequence[CdrRow]) -> Simulation:
    """The requests that every client of the configuration would get; a call is told `settle` after its end.

    `rows` are the calls' CDR rows, if there are any: they belong to the calls whose ids they name.
    """
    numbering = numbering_of(settings.numbers)
    tracker, telling, ids = Tracker(numbering), Telling(settings), _Ids()
    told: list[Simulated] = []
    for event in events:
        for output in tracker.feed(event):
            record = tracker.call(output.call.key) if isinstance(output, Notice) else None
            if isinstance(output, Notice) and record is not None:
                deliveries = telling.of_notice(output, ids.of(record), output.at)
                told += [
                    Simulated(output.at, d.client, d.event, d.call_id, d.request, d.error) for d in deliveries
                ]
    settle_s = settings.cdr.settle_s if settings.cdr is not None else 3.0
    unfinished: list[str] = []
    for record in _with_rows(list(tracker.calls()), rows, settings):
        if not record.is_over():
            unfinished.append(record.key)
            continue
        document = build(record, numbering, tariff_of(settings.numbers, settings.timezone).price)
        if document is None:
            continue
        call_id = ids.of(record)
        # Whether a file can be read shows on the PBX alone; without a folder none is ever sent.
        for path in recordings(document) if settings.recordings is None else ():
            document = without_recording(document, path)
        references = [f"call{call_id}recording{n}" for n, _ in enumerate(recordings(document), 1)]
        document = numbered(document, call_id, ids.new(len(document.all_legs)), references)
        at = max([call_end(record), *(c.ended or 0.0 for c in record.channels.values())]) + settle_s
        owed = tracker.hangup_owed(record.key, document.main.hangup_time)
        notices = telling.of_notice(owed, call_id, at) if owed is not None else []
        deliveries = [*notices, *telling.of_call(document, call_id, record.key, at)]
        told += [Simulated(at, d.client, d.event, d.call_id, d.request, d.error) for d in deliveries]
    return Simulation(sorted(told, key=lambda simulated: simulated.at), unfinished)


def _with_rows(records: list[CallRecord], rows: Sequence[CdrRow], settings: Settings) -> list[CallRecord]:
    """The calls with their rows added, and those that only rows testify."""
    numbering = numbering_of(settings.numbers)
    found = list(records)
    for group in testimony.groups(rows):
        names = set(testimony.keys(group))
        record = next((record for record in records if names.intersection(record.keys())), None)
        if record is not None:
            testimony.add_rows(record, group, numbering)
        else:
            found.append(testimony.from_rows(group, numbering))
    return found
