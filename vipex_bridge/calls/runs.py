"""Which run of Asterisk a row is of: channel names, counted from 0, come again after each restart. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from vipex_bridge.calls.rows import CdrRow, Created, created

_RACE = 16
"""Channels made at the same moment may get their second and their number in another order."""
_MOST_DIGITS = 18
"""A longer counter is none of Asterisk's."""


class Runs:
    """The runs of Asterisk that rows come from, as far as their uniqueids show."""

    def __init__(self, rows: Iterable[CdrRow]) -> None:
        made: dict[str, set[tuple[int, int]]] = {}
        for row in rows:
            channel = _channel(row)
            if channel is not None:
                made.setdefault(channel.system, set()).add((channel.epoch, int(channel.counter)))
        self._begun = {system: _restarts(sorted(channels)) for system, channels in made.items()}

    def of(self, row: CdrRow) -> str:
        """A name of the run in which the row's channel was made; '' when nothing tells runs apart."""
        channel = _channel(row)
        if channel is None:
            return ""
        run = bisect_right(self._begun[channel.system], channel.epoch)
        return f"{channel.system}{run}" if run else ""


def _channel(row: CdrRow) -> Created | None:
    channel = created(row.uniqueid)
    return channel if channel is not None and len(channel.counter) <= _MOST_DIGITS else None


def _restarts(channels: list[tuple[int, int]]) -> list[int]:
    """When the counter was seen to begin anew, by channels in order of time."""
    begun: list[int] = []
    highest = -1
    for epoch, counter in channels:
        if counter < highest - _RACE:
            begun.append(epoch)
            highest = counter
        highest = max(highest, counter)
    return begun
