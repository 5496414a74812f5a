"""What we make of a call: a view while it lives, a document when it is over.

Field names and meanings are those of the client documentation; times are seconds since the epoch,
rendered to local text only on the wire.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any


class Direction(IntEnum):
    """`direction` on the wire."""

    OUTBOUND = 0
    INBOUND = 1
    MISSED = 2


class Kind(StrEnum):
    """What kind of call this is, by its root channel."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class CallView:
    """A live call as lookups and notifications tell it. `key` finds its id in the store."""

    key: str
    kind: Kind
    start_time: float
    src: str | None
    dst: str | None
    ivr_digits: str | None = None
    queue: str | None = None
    cc_call: str | None = None
    """The dialplan's own word (`VIPEX_CC_CALL`), which wins over `queue`."""
    custom_field: str | None = None
    context: str = ""
    account: str = ""
    trunks: tuple[str, ...] = ()
    """The outside lines of the call so far, as `PJSIP/trunk`."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to be told at once. `event` is arrival, ringing, answer, hangup (or dialplan)."""

    event: str
    call: CallView
    at: float
    exten: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of the call: the path as Asterisk named it, and the id it can be fetched by."""

    path: str
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part CDR, or the main document's common fields."""

    direction: Direction
    start_time: float
    answer_time: float | None
    hangup_time: float
    src: str | None
    src_user_id: int | str | None
    dst: str | None
    dst_user_id: int | str | None
    exten: str | None
    duration: int
    billsec: int
    ringtime: int
    pincode: str | None = None
    ivr_digits: str | None = None
    cc_call: str | None = None
    """`VIPEX_CC_CALL`, where the dialplan set it."""
    queue: str | None = None
    """The queue that this part came through."""
    recording: Recording | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class CallDocument:
    """A finished call: the main part, what only the main has, and its legs.

    `legs` is the `sub_cdrs` of the default `parallel_legs: answerer`, `all_legs` that of `all`;
    both are empty where the specification (3-call-trees, section 6) says `[]`.
    """

    main: Part
    kind: Kind
    price: Decimal | None
    cost_location: str | None
    custom_field: str | None
    other_party_number: str | None
    last_exten: str | None
    user_number: str | None
    in_queue: bool
    """Whether any leg came through a queue."""
    context: str = ""
    account: str = ""
    extens: tuple[str, ...] = ()
    """Every extension that took part, for filters."""
    queues: tuple[str, ...] = ()
    trunks: tuple[str, ...] = ()
    """Every outside line of the call, as `PJSIP/trunk`, likewise."""
    legs: tuple[Part, ...] = field(default=())
    all_legs: tuple[Part, ...] = field(default=())


def to_json(document: CallDocument) -> str:
    """The document as it is kept."""
    return json.dumps(asdict(document), default=str, ensure_ascii=False)


def from_json(text: str) -> CallDocument:
    """The document that `to_json` was made of."""
    data = json.loads(text)
    price = data["price"]
    return CallDocument(
        **{
            **data,
            "main": _part_from(data["main"]),
            "kind": Kind(data["kind"]),
            "price": Decimal(price) if price is not None else None,
            "extens": tuple(data["extens"]),
            "queues": tuple(data["queues"]),
            # Documents of before 0.7 do not say.
            "trunks": tuple(data.get("trunks", ())),
            "legs": tuple(_part_from(leg) for leg in data["legs"]),
            "all_legs": tuple(_part_from(leg) for leg in data["all_legs"]),
        }
    )


def _part_from(data: dict[str, Any]) -> Part:
    recording = data["recording"]
    return Part(
        **{
            **data,
            "direction": Direction(data["direction"]),
            "recording": Recording(**recording) if recording is not None else None,
        }
    )
