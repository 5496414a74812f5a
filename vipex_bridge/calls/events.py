"""What Asterisk testifies about its channels, as frozen types: the vocabulary of this package.

Times are seconds since the epoch (UTC) as `float`: the AMI event's `Timestamp` where it has one,
else its arrival. A `uniqueid` names a channel for good; a `linkedid` may change during a call.
Field sources: the AMI event documentation of Asterisk 16 to 22 (`manager show event NAME`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class ChannelSnapshot(NamedTuple):
    """A channel as one event saw it. Empty strings and Asterisk's `<unknown>` arrive here as ''.

    One or two are made for each event: a named tuple is made in a fifth of a frozen dataclass's time.
    """

    uniqueid: str
    linkedid: str
    name: str
    caller_number: str = ""
    caller_name: str = ""
    context: str = ""
    exten: str = ""
    account: str = ""
    state: int = 0
    """Asterisk's channel state: 0 down, 4 ring (caller's side), 5 ringing, 6 up."""
    connected_number: str = ""
    """Whom the channel shows as its other party."""


@dataclass(frozen=True, slots=True)
class NewChannel:
    """`Newchannel`: the channel's first sight; its `exten` is what was dialled."""

    at: float
    channel: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class ChannelChanged:
    """`Newstate` or `NewCallerid`: look at the snapshot's `state` and `caller_number`."""

    at: float
    channel: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class DialBegin:
    """`DialBegin`. `caller` is None for an originated channel. `dial_string` is as in `Dial()`."""

    at: float
    caller: ChannelSnapshot | None
    dest: ChannelSnapshot
    dial_string: str


@dataclass(frozen=True, slots=True)
class DialState:
    """`DialState`: `status` is RINGING, PROGRESS or PROCEEDING."""

    at: float
    caller: ChannelSnapshot | None
    dest: ChannelSnapshot
    status: str


@dataclass(frozen=True, slots=True)
class DialEnd:
    """`DialEnd`: `status` is ANSWER, NOANSWER, CANCEL, BUSY, CHANUNAVAIL, CONGESTION, ABORT...

    `forward` is where a 302 sent the call, else ''.
    """

    at: float
    caller: ChannelSnapshot | None
    dest: ChannelSnapshot
    status: str
    forward: str = ""


@dataclass(frozen=True, slots=True)
class LocalBridge:
    """`LocalBridge`: the two halves of one Local channel, `;1` and `;2`."""

    at: float
    one: ChannelSnapshot
    two: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class BridgeEnter:
    """`BridgeEnter`: `bridge_type` is basic, multimix, holding, parking..."""

    at: float
    channel: ChannelSnapshot
    bridge: str
    bridge_type: str
    technology: str = ""


@dataclass(frozen=True, slots=True)
class BridgeLeave:
    """`BridgeLeave`."""

    at: float
    channel: ChannelSnapshot
    bridge: str


@dataclass(frozen=True, slots=True)
class VariableSet:
    """`VarSet` of a name the bridge reads; the inheritance underscores are gone from `name`."""

    at: float
    channel: ChannelSnapshot
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class QueueJoined:
    """`QueueCallerJoin`."""

    at: float
    channel: ChannelSnapshot
    queue: str


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """`QueueCallerLeave` (the caller was connected) or `QueueCallerAbandon`."""

    at: float
    channel: ChannelSnapshot
    queue: str


@dataclass(frozen=True, slots=True)
class PickedUp:
    """`Pickup`: `channel` takes the call that rings at `target`."""

    at: float
    channel: ChannelSnapshot
    target: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class BlindTransferred:
    """`BlindTransfer`: `transferer` sends `transferee` (None if unknown) to `exten`."""

    at: float
    result: str
    transferer: ChannelSnapshot
    transferee: ChannelSnapshot | None
    exten: str


@dataclass(frozen=True, slots=True)
class AttendedTransferred:
    """`AttendedTransfer`: the transferer's original and second channel, and who is joined."""

    at: float
    result: str
    original: ChannelSnapshot
    second: ChannelSnapshot
    transferee: ChannelSnapshot | None
    target: ChannelSnapshot | None
    destination: str


@dataclass(frozen=True, slots=True)
class Parked:
    """`ParkedCall`."""

    at: float
    channel: ChannelSnapshot
    space: str


@dataclass(frozen=True, slots=True)
class Unparked:
    """`UnParkedCall` (with `retriever`), `ParkedCallTimeOut` or `ParkedCallGiveUp` (without)."""

    at: float
    channel: ChannelSnapshot
    retriever: ChannelSnapshot | None


@dataclass(frozen=True, slots=True)
class Held:
    """`Hold` (`on` is True) or `Unhold`."""

    at: float
    channel: ChannelSnapshot
    on: bool


@dataclass(frozen=True, slots=True)
class HungUp:
    """`Hangup`: `cause` is the Q.850 cause code, 0 when unknown."""

    at: float
    channel: ChannelSnapshot
    cause: int


@dataclass(frozen=True, slots=True)
class LiveBridge:
    """A bridge that is up, and the uniqueids of the channels in it."""

    bridge: str
    bridge_type: str
    technology: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveChannels:
    """What is up, asked for after connecting (`CoreShowChannels`): channels, and who is in which bridge."""

    at: float
    channels: tuple[ChannelSnapshot, ...]
    bridges: tuple[LiveBridge, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerStarted:
    """Asterisk has started anew since we last saw it: no earlier channel lives."""

    at: float


@dataclass(frozen=True, slots=True)
class ServerStopped:
    """`Shutdown`: Asterisk is stopping, and every channel with it."""

    at: float


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """From here on, until `LiveChannels`, events may be missing."""

    at: float


CallEvent = (
    NewChannel
    | ChannelChanged
    | DialBegin
    | DialState
    | DialEnd
    | LocalBridge
    | BridgeEnter
    | BridgeLeave
    | VariableSet
    | QueueJoined
    | QueueLeft
    | PickedUp
    | BlindTransferred
    | AttendedTransferred
    | Parked
    | Unparked
    | Held
    | HungUp
    | LiveChannels
    | ServerStarted
    | ServerStopped
    | ConnectionLost
)

VARIABLES = frozenset(
    {
        "VIPEX_IVR_DIGITS",
        "VIPEX_CUSTOM_FIELD",
        "VIPEX_PINCODE",
        "VIPEX_COST_LOCATION",
        "VIPEX_CC_CALL",
        "MIXMONITOR_FILENAME",
    }
)
"""The channel variables that the bridge reads (contract, section 3), without underscores."""
