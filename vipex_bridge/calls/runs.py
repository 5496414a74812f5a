"""Which run of Asterisk a row is of: channel names, counted from 0, come again after each restart. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from vipex_bridge.calls.rows import CdrRow

_RACE = 16
"""Channels made at the same moment may get their second and their number in another order."""
_UNIQUEID = re.compile(r"(.*?)(\d{9,11})\.(\d{1,18})(?:;\d)?", re.ASCII)
"""System name, epoch, and a counter that begins anew with Asterisk (`ast_channel_alloc`)."""


class Runs:
    """The runs of Asterisk that rows come from, as far as their uniqueids show."""

    def __init__(self, rows: Iterable[CdrRow]) -> None:
        made: dict[str, set[tuple[int, int]]] = {}
        for row in rows:
            if found := _UNIQUEID.fullmatch(row.uniqueid):
                made.setdefault(found[1], set()).add((int(found[2]), int(found[3])))
        self._begun = {system: _restarts(sorted(channels)) for system, channels in made.items()}

    def of(self, row: CdrRow) -> str:
        """A name of the run in which the row's channel was made; '' when nothing tells runs apart."""
        found = _UNIQUEID.fullmatch(row.uniqueid)
        if found is None:
            return ""
        run = bisect_right(self._begun[found[1]], int(found[2]))
        return f"{found[1]}{run}" if run else ""


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
