"""Rows of Asterisk's call detail records and of its channel event logging, as every source gives them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNIQUEID = re.compile(r"(.*-)?(\d{9,11})\.(\d+)(?:;\d)?", re.ASCII | re.DOTALL)
"""`epoch.counter` or `systemname-epoch.counter`, where the name may hold both - and . itself."""


@dataclass(frozen=True, slots=True)
class Created:
    """What a uniqueid says of its channel's creation."""

    system: str
    """The system name with its dash, '' where Asterisk has none."""
    epoch: int
    counter: str
    """Digits: how many channels this run of Asterisk had made before."""


def created(uniqueid: str) -> Created | None:
    """When and where the channel of this uniqueid was made; None for an id that was assigned."""
    found = _UNIQUEID.fullmatch(uniqueid)
    return Created(found[1] or "", int(found[2]), found[3]) if found else None


def uniqueid_epoch(uniqueid: str) -> float | None:
    """When the channel of this uniqueid was created; None when the id was assigned and tells nothing."""
    made = created(uniqueid)
    return float(made.epoch) if made is not None else None


@dataclass(frozen=True, slots=True)
class CdrRow:
    """One CDR row. Times are seconds since the epoch (UTC), None when unset; texts are '' when empty.

    The last seven fields are None when the source has no such column. `uniqueid` is party A's channel.
    """

    uniqueid: str
    linkedid: str
    channel: str
    dstchannel: str
    start: float | None
    answer: float | None
    end: float | None
    duration: int
    billsec: int
    disposition: str
    src: str = ""
    dst: str = ""
    clid: str = ""
    dcontext: str = ""
    lastapp: str = ""
    lastdata: str = ""
    accountcode: str = ""
    peeraccount: str = ""
    userfield: str = ""
    sequence: int | None = None
    ivr_digits: str | None = None
    custom_field: str | None = None
    pincode: str | None = None
    cost_location: str | None = None
    cc_call: str | None = None
    recordingfile: str | None = None
    did: str | None = None
    """The number that a caller from outside dialled, where the dialplan sent him on to another."""

    occurrence: int = 0
    """Of rows without a sequence that are each other's like: how many stood before it in the source."""

    @property
    def likeness(self) -> tuple[float | str | None, ...]:
        """What, beside the rest of its key, makes two rows without a sequence alike; no number is in it."""
        return (self.answer, self.end, self.duration, self.billsec, self.disposition, self.lastapp)

    @property
    def key(self) -> tuple[float | str | None, ...]:
        """What tells this row from any other: `sequence` restarts with Asterisk, so not alone."""
        plain = (self.uniqueid, self.sequence, self.dstchannel, self.start)
        return plain if self.sequence is not None else (*plain, *self.likeness, self.occurrence)


@dataclass(frozen=True, slots=True)
class CelRow:
    """One row of channel event logging: something that happened to `channel` at `at` (epoch seconds, UTC).

    `event` is Asterisk's name of it, such as CHAN_START or BRIDGE_ENTER (Asterisk's CEL specification).
    `extra` is the JSON text that some events bring. `number` is the row's place in its source: it tells
    rows of the same instant apart.
    """

    event: str
    at: float
    uniqueid: str
    linkedid: str
    channel: str
    caller_number: str = ""
    context: str = ""
    exten: str = ""
    app: str = ""
    app_data: str = ""
    account: str = ""
    extra: str = ""
    number: int = 0
