"""How far a table with growing row ids has been read, so that no row is lost or given twice. Pure.

Ids are given out when a row is begun, and rows become visible when they are committed: one with a lower
id may come later. So the last `OVERLAP` ids are looked at again each time, and those that were not there
yet are remembered. And SQLite's ids restart: when the newest rows are deleted, or the file is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

OVERLAP = 200

REREAD_S = 86_400.0
"""How far back a table is told again when its ids restarted: the rows before then are history."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """Every visible row with an id up to `last_id` has been read, those in `missing` excepted."""

    last_id: int = 0
    missing: frozenset[int] = frozenset()
    """Ids among the last `OVERLAP` that were not there when they were looked for."""
    mark: str = ""
    """What the row `last_id` says of itself: another row under that id means that ids restarted."""
    ended: float | None = None
    """When the call of the last row read was over: epoch seconds."""
    floor: float | None = None
    """Rows that ended before this are history, and passed over."""

    def low(self) -> int:
        """Ids above this one are to be looked at."""
        return self.last_id - OVERLAP if self.last_id else 0

    def is_new(self, row_id: int) -> bool:
        """Whether the row of this id has not been read yet."""
        return row_id > self.last_id or row_id in self.missing

    def restarted(self, marks: Mapping[int, str]) -> bool:
        """Whether the table's ids began anew, by id and mark of all rows seen above `low()`."""
        if self.last_id == 0:
            return False
        if not marks or max(marks) < self.last_id:
            return True
        return marks.get(self.last_id, self.mark) != self.mark

    def is_in(self, marks: Mapping[int, str]) -> bool:
        """Whether the row read last is surely there, by id and mark of all rows seen above `low()`."""
        return marks.get(self.last_id) == self.mark

    def over(self) -> Watermark:
        """The beginning of a table whose ids restarted."""
        floor = self.ended - REREAD_S if self.ended is not None else self.floor
        return Watermark(ended=self.ended, floor=floor)

    def advanced(self, row_ids: Iterable[int]) -> Watermark:
        """After the rows of `row_ids` were seen: all that were there from `low()` up to the last."""
        seen = set(row_ids)
        last = max(seen, default=self.last_id)
        if last < self.last_id:
            last = self.last_id
        window = range(max(last - OVERLAP, 0) + 1, last + 1)
        return replace(
            self,
            last_id=last,
            missing=frozenset(row_id for row_id in window if self.is_new(row_id) and row_id not in seen),
        )

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        return {
            "id": self.last_id,
            "missing": sorted(self.missing),
            "mark": self.mark,
            "ended": self.ended,
            "floor": self.floor,
        }


def from_json(data: Mapping[str, Any]) -> Watermark:
    """The watermark that `as_json` gave."""
    return Watermark(data["id"], frozenset(data["missing"]), data["mark"], data["ended"], data["floor"])
