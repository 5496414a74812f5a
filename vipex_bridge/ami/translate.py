"""AMI messages to the typed events of `calls.events`: one table, one small function an event.

Header names: the AMI event documentation of Asterisk 16 to 22 (`manager show event NAME`), lower-cased.
What is not in the table is of no interest to the bridge and gives None.

Asterisk writes a caller's number as it came, line breaks included (`%0D%0A` in a SIP address), so a caller
can add headers to an event, and whole events to the stream. A number is at most 79 bytes, though
(`AST_CHANNEL_NAME`), which is too short for a channel with all of its headers. So an event counts only when
each of its channels is told whole, and no header twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from vipex_bridge.ami.framing import Framer, Message
from vipex_bridge.calls import events as ev
from vipex_bridge.errors import AmiError

_WHOLE = (
    "channelstate", "channelstatedesc", "calleridnum", "calleridname", "connectedlinenum",
    "connectedlinename", "accountcode", "context", "exten", "priority",
)  # fmt: skip
"""What every channel of an event has beside its name and ids: `ast_manager_build_channel_state_string`."""
_REPEATABLE = "chanvariable"
"""What ends so may stand there several times: `channelvars` in manager.conf."""

_NO_TIME_S = 1e11
"""An epoch of twelve digits, of which no calendar has most."""

_UNKNOWN = "<unknown>"
NO_CHANNEL = "none"
"""The Uniqueid of a VarSet that is about a global variable."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_READ_BYTES = 64 * 1024


def worth_reading(blocks: list[bytes]) -> list[bytes]:
    """The blocks (without their last line feed), but for events that `translate` makes nothing of.

    Told by a block's first line, without taking it apart: most of what a busy Asterisk sends goes no further.
    An event that answers an action is kept; VarSet, half of all events, answers none.
    """
    return [
        block
        for block in blocks
        if (
            _VIPEX in block or _MIXMONITOR in block
            if block.startswith(_VARSET)
            else block.partition(b"\n")[0] in _READ or not block.startswith(_EVENT) or b"ActionID" in block
        )
    ]


def translate(message: Message, arrival: float) -> ev.CallEvent | None:
    """The event that a message is, or None for one that says nothing about a call.

    `arrival` (seconds since the epoch) is its time unless it has a `Timestamp` header, which
    Asterisk sends with `timestampevents = yes` in manager.conf.

    Raises AmiError for a known event that lacks what it must have.
    """
    build = _TABLE.get(message.get("event", ""))
    return build(message, time_of(message, arrival)) if build is not None else None


def snapshot(message: Message, prefix: str = "") -> ev.ChannelSnapshot:
    """The channel whose headers begin with `prefix` (lower-case, '' for the event's own channel).

    Raises AmiError when anything of it is missing, or a header of the message stands there twice.
    """
    get = message.get
    uniqueid, linkedid, name = (get(prefix + header, "") for header in ("uniqueid", "linkedid", "channel"))
    if not (uniqueid and linkedid and name):
        what = get("event") or get("response") or "message"
        raise AmiError(f"{what} lacks its channel ({prefix}Channel, {prefix}Uniqueid, {prefix}Linkedid)")
    lacking = [header for header in _WHOLE if prefix + header not in message]
    twice = [header for header in message.repeated() if not header.endswith(_REPEATABLE)]
    if lacking or twice:
        what = f"{get('event', 'message')[:40]} of {name[:80]}"
        how = f"lacks {prefix}{lacking[0]}" if lacking else f"has {twice[0][:40]} twice"
        raise AmiError(f"{what} {how}: somebody called from a number with a line break in it")
    return ev.ChannelSnapshot(
        uniqueid=uniqueid,
        linkedid=linkedid,
        name=name,
        caller_number=_known(get(prefix + "calleridnum", "")),
        caller_name=_known(get(prefix + "calleridname", "")),
        connected_number=_known(get(prefix + "connectedlinenum", "")),
        context=_known(get(prefix + "context", "")),
        exten=_known(get(prefix + "exten", "")),
        account=_known(get(prefix + "accountcode", "")),
        state=_number(get(prefix + "channelstate", "")),
    )


def time_of(message: Message, arrival: float) -> float:
    """Seconds since the epoch: the `Timestamp` header if it is a time, else `arrival`."""
    try:
        at = float(message.get("timestamp", ""))
    except ValueError:
        return arrival
    return at if 0 < at < _NO_TIME_S else arrival


def replay(data: bytes) -> Replay:
    """The events of a whole captured stream, by the path that live ones take."""
    return Replay(data)


class Replay(Iterator[ev.CallEvent]):
    """Iterates over a capture's events; `malformed` counts what was skipped so far.

    An event without `Timestamp` gets the time of the one before it (0.0 before the first).
    """

    def __init__(self, data: bytes) -> None:
        self._framer = Framer()
        self._untranslatable = 0
        self._events = self._read(data)

    @property
    def malformed(self) -> int:
        """Blocks that were no message, and events that lacked what they must have."""
        return self._framer.malformed + self._untranslatable

    def __next__(self) -> ev.CallEvent:
        return next(self._events)

    def _read(self, data: bytes) -> Iterator[ev.CallEvent]:
        at = 0.0
        for start in range(0, len(data), _READ_BYTES):
            for message in self._framer.feed(data[start : start + _READ_BYTES]):
                try:
                    event = translate(message, at)
                except AmiError:
                    self._untranslatable += 1
                    continue
                if event is not None:
                    at = event.at
                    yield event


def _known(value: str) -> str:
    return "" if value == _UNKNOWN else value


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _optional(message: Message, prefix: str = "") -> ev.ChannelSnapshot | None:
    return snapshot(message, prefix) if message.get(prefix + "uniqueid") else None


def _must(message: Message, header: str) -> str:
    value = message.get(header, "")
    if not value:
        raise AmiError(f"{message.get('event')} lacks its header {header}")
    return value


def unescaped(value: str) -> str:
    """VarSet gives values with C escapes: Asterisk's `varset_to_ami` in stasis_channels.c."""
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), value) if "\\" in value else value


def _new_channel(message: Message, at: float) -> ev.NewChannel:
    return ev.NewChannel(at, snapshot(message))


def _channel_changed(message: Message, at: float) -> ev.ChannelChanged:
    return ev.ChannelChanged(at, snapshot(message))


def _dial_begin(message: Message, at: float) -> ev.DialBegin:
    return ev.DialBegin(at, _optional(message), snapshot(message, "dest"), message.get("dialstring", ""))


def _dial_state(message: Message, at: float) -> ev.DialState:
    return ev.DialState(at, _optional(message), snapshot(message, "dest"), _must(message, "dialstatus"))


def _dial_end(message: Message, at: float) -> ev.DialEnd:
    return ev.DialEnd(
        at,
        _optional(message),
        snapshot(message, "dest"),
        _must(message, "dialstatus"),
        message.get("forward", ""),
    )


def _local_bridge(message: Message, at: float) -> ev.LocalBridge:
    return ev.LocalBridge(at, snapshot(message, "localone"), snapshot(message, "localtwo"))


def _bridge_enter(message: Message, at: float) -> ev.BridgeEnter:
    return ev.BridgeEnter(
        at,
        snapshot(message),
        _must(message, "bridgeuniqueid"),
        _known(message.get("bridgetype", "")),
        _known(message.get("bridgetechnology", "")),
    )


def _bridge_leave(message: Message, at: float) -> ev.BridgeLeave:
    return ev.BridgeLeave(at, snapshot(message), _must(message, "bridgeuniqueid"))


def _variable_set(message: Message, at: float) -> ev.VariableSet | None:
    # Inheritance: a name set as __VIPEX_PINCODE is VIPEX_PINCODE on the channels it is passed to.
    name = message.get("variable", "").lstrip("_")
    if name not in ev.VARIABLES or message.get("uniqueid") == NO_CHANNEL:
        return None
    return ev.VariableSet(at, snapshot(message), name, unescaped(message.get("value", "")))


def _queue_joined(message: Message, at: float) -> ev.QueueJoined:
    return ev.QueueJoined(at, snapshot(message), _must(message, "queue"))


def _queue_left(message: Message, at: float) -> ev.QueueLeft:
    return ev.QueueLeft(at, snapshot(message), _must(message, "queue"))


def _picked_up(message: Message, at: float) -> ev.PickedUp:
    return ev.PickedUp(at, snapshot(message), snapshot(message, "target"))


def _blind_transferred(message: Message, at: float) -> ev.BlindTransferred:
    return ev.BlindTransferred(
        at,
        message.get("result", ""),
        snapshot(message, "transferer"),
        _optional(message, "transferee"),
        message.get("extension", ""),
    )


def _attended_transferred(message: Message, at: float) -> ev.AttendedTransferred:
    return ev.AttendedTransferred(
        at,
        message.get("result", ""),
        snapshot(message, "origtransferer"),
        snapshot(message, "secondtransferer"),
        _optional(message, "transferee"),
        _optional(message, "transfertarget"),
        message.get("desttype", ""),
    )


def _parked(message: Message, at: float) -> ev.Parked:
    return ev.Parked(at, snapshot(message, "parkee"), message.get("parkingspace", ""))


def _unparked(message: Message, at: float) -> ev.Unparked:
    return ev.Unparked(at, snapshot(message, "parkee"), _optional(message, "retriever"))


def _hold(message: Message, at: float) -> ev.Held:
    return ev.Held(at, snapshot(message), True)


def _unhold(message: Message, at: float) -> ev.Held:
    return ev.Held(at, snapshot(message), False)


def _hung_up(message: Message, at: float) -> ev.HungUp:
    return ev.HungUp(at, snapshot(message), _number(message.get("cause", "")))


def _shutdown(message: Message, at: float) -> ev.ServerStopped:
    return ev.ServerStopped(at)


_TABLE: Mapping[str, Callable[[Message, float], ev.CallEvent | None]] = {
    "Newchannel": _new_channel,
    "Newstate": _channel_changed,
    "NewCallerid": _channel_changed,
    "DialBegin": _dial_begin,
    "DialState": _dial_state,
    "DialEnd": _dial_end,
    "LocalBridge": _local_bridge,
    "BridgeEnter": _bridge_enter,
    "BridgeLeave": _bridge_leave,
    "VarSet": _variable_set,
    "QueueCallerJoin": _queue_joined,
    "QueueCallerLeave": _queue_left,
    "QueueCallerAbandon": _queue_left,
    "Pickup": _picked_up,
    "BlindTransfer": _blind_transferred,
    "AttendedTransfer": _attended_transferred,
    "ParkedCall": _parked,
    "UnParkedCall": _unparked,
    "ParkedCallTimeOut": _unparked,
    "ParkedCallGiveUp": _unparked,
    "Hold": _hold,
    "Unhold": _unhold,
    "Hangup": _hung_up,
    "Shutdown": _shutdown,
}

_EVENT, _VARSET = b"Event: ", b"Event: VarSet\r\n"
_READ = frozenset(f"Event: {event}{end}".encode() for event in _TABLE for end in ("\r", ""))
_VIPEX, _MIXMONITOR = b"VIPEX_", b"MIXMONITOR_"
"""What the names in `calls.events.VARIABLES` begin with: a block that has neither sets none of them."""
