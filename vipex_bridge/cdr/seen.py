"""Which rows of a table without growing ids were read, by start time: so that none is lost or given twice.

A row stands under its call's start and is written at the call's end, an hour or a day later, in any order,
and perhaps committed later than another. So it is not times that are compared but how many rows stand
under each start time: where that number changed, the rows are read, and those not known are new. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from uuid import uuid4

from vipex_bridge.cdr.moments import Moment

Look = list[object]
"""Which look of which run it was, as JSON."""


class Seen:
    """What was read, kept in memory. What the last look read counts only when the next one goes on from it.

    After a restart nothing is known: what comes again then, the store knows by `CdrRow.key`.
    """

    def __init__(self) -> None:
        self._run = uuid4().hex
        self._number = self._begun_from = 0
        self.is_blank = True
        """Whether the last day is still to be read before it is known what of it is new."""
        self._kept: dict[Moment, tuple[int, ...]] = {}
        self._tried: dict[Moment, tuple[int, ...]] = {}

    @property
    def look(self) -> Look:
        """The last look, for the cursor behind it."""
        return [self._run, self._number]

    def go_on_from(self, look: object) -> bool:
        """Begin a look from the cursor behind an earlier one.

        False when what the last look read does not count: from there on it is to be read again.
        """
        was_kept = look == self.look
        if was_kept:
            self._kept.update(self._tried)
            self._begun_from = self._number
        elif look != [self._run, self._begun_from]:
            self.forget()
        self._tried = {}
        self._number += 1
        return was_kept

    def changed(self, counts: Mapping[Moment, int]) -> list[Moment]:
        """The start times under which there is another number of rows than was read."""
        return [start for start, count in counts.items() if count != len(self._kept.get(start, ()))]

    def is_another_table(self, counts: Mapping[Moment, int], low: Moment | None) -> bool:
        """Whether rows that were read are gone, by all start times there are from `low` on."""
        return any(
            counts.get(start, 0) < len(rows)
            for start, rows in self._kept.items()
            if low is None or start >= low
        )

    def new(self, start: Moment, rows: Iterable[Hashable]) -> list[int]:
        """The places of those rows, of all that stand under `start` now, that were not read before."""
        marks = [hash(row) for row in rows]
        known = Counter(self._kept.get(start, ()))
        fresh = []
        for place, mark in enumerate(marks):
            if known[mark]:
                known[mark] -= 1
            else:
                fresh.append(place)
        self._tried[start] = tuple(marks)
        return fresh

    def forget(self) -> None:
        """Another table is there: nothing of it is known."""
        self._kept.clear()
        self._tried = {}
        self.is_blank = True

    def forget_before(self, low: Moment) -> None:
        """What is older is not looked at any more."""
        for start in [start for start in self._kept if start < low]:
            del self._kept[start]
