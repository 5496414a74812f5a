"""Whether the bridge is well: `GET /healthz`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from vipex_bridge.errors import StoreError
from vipex_bridge.store.store import Store


class Line(BaseModel):
    """How one part is, in a line that says what to do about it."""

    well: bool
    says: str


class Health(BaseModel):
    """Whether all is well; what is not configured is left out."""

    well: bool
    ami: Line | None = None
    cdr: Line | None = None
    store: Line


@dataclass(frozen=True, slots=True)
class Part:
    """One thing the bridge lives by, and how it is: one line, with what to do about it."""

    name: str
    is_well: bool
    says: str


def store_part(store: Store) -> Part:
    """How the store is, tried now."""
    try:
        store.cursor()
    except StoreError as error:
        return Part("store", False, str(error))
    return Part("store", True, "well")


def told(parts: Sequence[Part]) -> tuple[int, Mapping[str, object]]:
    """The answer's status, and its JSON: `well`, and a line for each part."""
    is_well = all(part.is_well for part in parts)
    lines = {part.name: {"well": part.is_well, "says": part.says} for part in parts}
    return (200 if is_well else 503), {"well": is_well, **lines}
