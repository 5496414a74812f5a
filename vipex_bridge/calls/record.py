"""Everything testified about one call, whoever testified: the tracker writes it, the tree reads it.

A record is journalled in the store as JSON, so it holds plain values only. Channels are known by
`uniqueid`; one that only a CDR's `dstchannel` names is known by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from math import floor
from typing import Any

from vipex_bridge.calls.numbering import Role

_SOMEBODY = (Role.OUTSIDE, Role.EXTENSION)


@dataclass(slots=True)
class Channel:
    """One channel of the call, from its creation to its end."""

    uniqueid: str
    name: str
    role: Role
    extension: str
    created: float
    number: str = ""
    """The caller's number, or the number of the far end."""
    dialled: str = ""
    """What the channel dialled when it was created."""
    context: str = ""
    account: str = ""
    up: float | None = None
    up_is_estimate: bool = False
    """It was found up; since when, nobody saw."""
    ended: float | None = None
    end_is_estimate: bool = False
    cause: int = 0
    seen_from_start: bool = False
    originated: bool = False


@dataclass(slots=True)
class Dial:
    """One attempt: `caller` (None for an originated channel) has `dest` rung."""

    caller: str | None
    dest: str
    begin: float
    dial_string: str = ""
    ringing: float | None = None
    end: float | None = None
    status: str = ""
    queue: str | None = None
    picked_up_by: str | None = None
    """The channel that took the ringing call by pickup."""
    handed_over: float | None = None
    """When the outside party was put through to this attempt; before that it was a consultation."""
    handed_by: str = ""
    """The extension that put it through."""
    called: str = ""
    """The extension that the dialling side shows as its other party."""


@dataclass(slots=True)
class Talk:
    """An extension's channel and the outside party hear each other from `start` to `end`."""

    channel: str
    start: float
    end: float | None = None
    start_is_estimate: bool = False
    """They were found talking; since when, nobody saw."""


@dataclass(slots=True)
class QueueVisit:
    """A caller in a queue."""

    channel: str
    queue: str
    joined: float
    left: float | None = None


@dataclass(slots=True)
class Parking:
    """A channel in a parking lot, and the channel that took it out of there (None: nobody did)."""

    channel: str
    space: str
    start: float
    end: float | None = None
    retriever: str | None = None


@dataclass(slots=True)
class Transfer:
    """Extension `by` sent the other party to `to`, an extension or a number; `kind` is blind or attended."""

    at: float
    kind: str
    by: str
    to: str


@dataclass(slots=True)
class Hold:
    """A channel's user has put the other party on hold."""

    channel: str
    start: float
    end: float | None = None


@dataclass(slots=True)
class Noted:
    """A variable's value from `at` on."""

    at: float
    channel: str
    name: str
    value: str


@dataclass(slots=True)
class CallRecord:
    """All that is known of one call.

    `partial` says that some of it was missed (the bridge or AMI was away): CDR rows then add their
    testimony to the attempts, not only to the accounting fields.
    """

    key: str
    linkedids: list[str] = field(default_factory=list)
    channels: dict[str, Channel] = field(default_factory=dict)
    dials: list[Dial] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    queue_visits: list[QueueVisit] = field(default_factory=list)
    parkings: list[Parking] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    partial: bool = False
    arrival_told: bool = False
    hangup_told: bool = False
    rung: list[str] = field(default_factory=list)
    """Channels whose `ringing` has been told."""
    answered: list[str] = field(default_factory=list)
    """Channels whose `answer` has been told."""

    def keys(self) -> list[str]:
        """Every linkedid and uniqueid by which this call can be found."""
        return list(dict.fromkeys([self.key, *self.linkedids, *self.channels]))

    def root(self) -> Channel | None:
        """The oldest channel that is somebody; it decides what kind of call this is.

        A caller who was put through to extensions that had been talking among themselves is the root:
        until then nobody outside was in their call.
        """
        somebody = [c for c in self.channels.values() if c.role in _SOMEBODY]
        if len(somebody) < 2:
            return somebody[0] if somebody else None
        by_others = {dial.dest for dial in self.dials if dial.caller is not None}
        by_others -= {c.uniqueid for c in somebody if c.originated}
        # A line that was dialled from within the call did not begin it.
        people = [c for c in somebody if c.role is Role.EXTENSION or c.uniqueid not in by_others] or somebody
        oldest = min(people, key=self._age)
        if oldest.role is Role.OUTSIDE:
            return oldest
        dialled = {dial.dest for dial in self.dials}
        outside = [c for c in people if c.role is Role.OUTSIDE]
        if any(channel.uniqueid in dialled for channel in outside):
            return oldest
        # A channel that dialled in, rather than being dialled, began with a linkedid of its own.
        called_in = [c for c in outside if c.uniqueid in self.linkedids and not c.originated]
        return min(called_in, key=self._age, default=oldest)

    def _age(self, channel: Channel) -> tuple[int, bool, float]:
        """Of channels made in the same second, one that others have as their linkedid is the older."""
        return (floor(channel.created), channel.uniqueid not in self.linkedids, channel.created)

    def is_over(self) -> bool:
        """Whether every channel has hung up."""
        return all(channel.ended is not None for channel in self.channels.values())

    def by_name(self, name: str) -> Channel | None:
        """The channel of that name, None when the call has none."""
        return next((channel for channel in self.channels.values() if channel.name == name), None)

    def role_of(self, uniqueid: str) -> Role | None:
        """What the channel is, None when the call has none of that uniqueid."""
        channel = self.channels.get(uniqueid)
        return channel.role if channel is not None else None

    def note(self, name: str) -> str | None:
        """The latest value of a variable on any of the call's channels, None when never set."""
        if not self.notes:
            return None
        return next((noted.value for noted in reversed(self.notes) if noted.name == name), None)

    def comes_from_outside(self, dial: Dial) -> bool:
        """Whether it is an outside party that is being put through to the attempt's target."""
        if dial.handed_over is not None:
            return True
        origin = self.origin(dial)
        return origin is not None and origin.role is Role.OUTSIDE

    def present_queue(self, uniqueid: str) -> str | None:
        """The queue that a channel is in now, None when in none."""
        visits = (v for v in reversed(self.queue_visits) if v.channel == uniqueid and v.left is None)
        return next((visit.queue for visit in visits), None)

    def origin(self, dial: Dial) -> Channel | None:
        """Who had this attempt made: the caller, followed back through Local halves and dials."""
        seen: set[str] = set()
        uniqueid = dial.caller
        while uniqueid is not None and uniqueid not in seen:
            seen.add(uniqueid)
            channel = self.channels.get(uniqueid)
            reached = self.behind(channel) if channel is not None else None
            if channel is None or reached is not None:
                return reached
            twin = self.by_name(channel.name[:-1] + "1") if channel.name.endswith(";2") else channel
            back = next((d for d in self.dials if twin is not None and d.dest == twin.uniqueid), None)
            uniqueid = back.caller if back is not None else None
        return None

    def behind(self, half: Channel) -> Channel | None:
        """Whom the second half of a Local channel reached, for its first half; any other channel is itself.

        A first half dials by itself only when it was sent on: then it is that party who calls.
        """
        seen: set[str] = set()
        while half.role is Role.LOCAL and half.name.endswith(";1") and half.uniqueid not in seen:
            seen.add(half.uniqueid)
            twin = self.by_name(half.name[:-1] + "2")
            tried = [d.dest for d in self.dials if twin is not None and d.caller == twin.uniqueid]
            up = [self.channels[dest] for dest in tried if self.channels[dest].up is not None]
            if not up:
                return None
            half = up[-1]
        return half if half.role is not Role.LOCAL else None

    def note_originated(self, dials: Iterable[Dial]) -> None:
        """Marks what Asterisk had rung by itself: any channel, or a line by way of a Local channel."""
        for dial in dials:
            dest = self.channels[dial.dest]
            is_line = dial.caller is None or dest.role is Role.OUTSIDE
            dest.originated = dest.originated or (is_line and self._is_originated(dial))

    def _is_originated(self, dial: Dial) -> bool:
        """Whether nobody's channel had it made: followed back through the second halves of Local channels."""
        seen: set[str] = set()
        while dial.caller is not None and dial.dest not in seen:
            seen.add(dial.dest)
            half = self.channels.get(dial.caller)
            if half is None or half.role is not Role.LOCAL or not half.name.endswith(";2"):
                return False
            first = self.by_name(half.name[:-1] + "1")
            back = next((d for d in self.dials if first is not None and d.dest == first.uniqueid), None)
            if first is None or first.originated or back is None:
                return first is not None and first.originated
            dial = back
        return dial.caller is None

    def absorb(self, other: CallRecord) -> None:
        """Takes over all that is known of a call that turned out to be the same one."""
        self.linkedids += [linkedid for linkedid in other.linkedids if linkedid not in self.linkedids]
        self.channels |= other.channels
        self.dials = sorted([*self.dials, *other.dials], key=lambda dial: dial.begin)
        self.talks = sorted([*self.talks, *other.talks], key=lambda talk: talk.start)
        self.queue_visits = sorted([*self.queue_visits, *other.queue_visits], key=lambda visit: visit.joined)
        self.parkings = sorted([*self.parkings, *other.parkings], key=lambda parking: parking.start)
        self.transfers = sorted([*self.transfers, *other.transfers], key=lambda transfer: transfer.at)
        self.holds = sorted([*self.holds, *other.holds], key=lambda hold: hold.start)
        self.notes = sorted([*self.notes, *other.notes], key=lambda noted: noted.at)
        self.rung += other.rung
        self.answered += other.answered
        self.partial = self.partial or other.partial

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CallRecord:
        """The record that `to_dict` was made of."""
        plain = dict(data)
        plain["channels"] = {
            uniqueid: Channel(**{**channel, "role": Role(channel["role"])})
            for uniqueid, channel in data["channels"].items()
        }
        for name, of in _PARTS.items():
            plain[name] = [of(**part) for part in data.get(name, ())]
        return cls(**plain)


_PARTS: dict[str, Callable[..., Any]] = {
    "dials": Dial,
    "talks": Talk,
    "queue_visits": QueueVisit,
    "parkings": Parking,
    "transfers": Transfer,
    "holds": Hold,
    "notes": Noted,
}
"""The lists of a record, and what they hold; an older journal lacks the later ones."""
