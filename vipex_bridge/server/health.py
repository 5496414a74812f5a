"""Whether the bridge is well: `GET /healthz`."""

from __future__ import annotations

import asyncio
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


TRIED_WITHIN_S = 2.0
"""After so long whoever asks is told that the store gives no answer."""


async def store_part(store: Store) -> Part:
    """How the store is, tried now."""
    try:
        async with asyncio.timeout(TRIED_WITHIN_S):
            await asyncio.to_thread(store.cursor)
    except TimeoutError:
        says = (
            f"the store gave no answer within {TRIED_WITHIN_S:g} s: see that its server, or its disk, works"
        )
        return Part("store", False, says)
    except StoreError as error:
        return Part("store", False, str(error))
    return Part("store", True, "well")


def told(parts: Sequence[Part]) -> tuple[int, Mapping[str, object]]:
    """The answer's status, and its JSON: `well`, and a line for each part."""
    is_well = all(part.is_well for part in parts)
    lines = {part.name: {"well": part.is_well, "says": part.says} for part in parts}
    return (200 if is_well else 503), {"well": is_well, **lines}
