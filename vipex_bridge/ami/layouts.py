"""The events that come most, read in one step where they are laid out as Asterisk lays them out.

A layout is the whole block as one expression, every header in its place and once, no line break in any value.
What matches gives the very event that `translate` gives, at a quarter of its cost; what does not (another
order, a header more, a number with a line break in it) gives None here and is read by `translate`.
Source of the layouts: the captures of Asterisk 22.10 in tests/captures; where another version lays an event
out otherwise, `translate` reads it, at the plain price.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from vipex_bridge.ami.framing import Message
from vipex_bridge.ami.translate import NO_CHANNEL, unescaped
from vipex_bridge.calls import events as ev

_Found = tuple[str, ...]

# A point is anything but a line feed.
_ANY = r".*"
_GIVEN = r"(.+)"
_KNOWN = r"(?:<unknown>(?=\r\n))?(.*)"
_TIME = r"([1-9]\d{0,10}(?:\.\d{1,9})?)"
_CHANNEL = (
    rf"@Channel: {_GIVEN}\r\n@ChannelState: (\d{{1,9}})\r\n@ChannelStateDesc: {_ANY}\r\n"
    rf"@CallerIDNum: {_KNOWN}\r\n@CallerIDName: {_KNOWN}\r\n@ConnectedLineNum: {_KNOWN}\r\n"
    rf"@ConnectedLineName: {_ANY}\r\n(?:@Language: {_ANY}\r\n)?@AccountCode: {_KNOWN}\r\n"
    rf"@Context: {_KNOWN}\r\n@Exten: {_KNOWN}\r\n@Priority: {_ANY}\r\n"
    rf"@Uniqueid: {_GIVEN}\r\n@Linkedid: {_GIVEN}\r\n(?:@ChanVariable: {_ANY}\r\n)*"
)
"""A channel whole; `@` stands for the prefix of its headers. Ten groups: what `_channel` takes."""
_BRIDGE = (
    rf"BridgeUniqueid: {_GIVEN}\r\nBridgeType: {_KNOWN}\r\nBridgeTechnology: {_KNOWN}\r\n"
    rf"BridgeCreator: {_ANY}\r\nBridgeName: {_ANY}\r\nBridgeNumChannels: {_ANY}\r\n"
    rf"(?:BridgeVideoSourceMode: {_ANY}\r\n)?"
)


def event_of(message: Message) -> ev.CallEvent | None:
    """The event of a block that is laid out as expected, None for any other."""
    text = message.text
    layout = _LAYOUTS.get(text[: text.find("\r")])
    if layout is None:
        return None
    expression, build = layout
    # The last line's feed belongs to the blank line and is not in the block.
    found = expression.fullmatch(text + "\n")
    return build(found.groups("")) if found is not None else None


def _channel(found: _Found, first: int) -> ev.ChannelSnapshot:
    name, state, number, caller, connected, account, context, exten, uniqueid, linkedid = found[
        first : first + 10
    ]
    return ev.ChannelSnapshot(
        uniqueid, linkedid, name, number, caller, context, exten, account, int(state), connected
    )


def _new_channel(found: _Found) -> ev.NewChannel:
    return ev.NewChannel(float(found[0]), _channel(found, 1))


def _channel_changed(found: _Found) -> ev.ChannelChanged:
    return ev.ChannelChanged(float(found[0]), _channel(found, 1))


def _caller(found: _Found) -> ev.ChannelSnapshot | None:
    return _channel(found, 1) if found[1] else None


def _dial_begin(found: _Found) -> ev.DialBegin:
    return ev.DialBegin(float(found[0]), _caller(found), _channel(found, 11), found[21])


def _dial_state(found: _Found) -> ev.DialState:
    return ev.DialState(float(found[0]), _caller(found), _channel(found, 11), found[21])


def _dial_end(found: _Found) -> ev.DialEnd:
    return ev.DialEnd(float(found[0]), _caller(found), _channel(found, 11), found[22], found[21])


def _local_bridge(found: _Found) -> ev.LocalBridge:
    return ev.LocalBridge(float(found[0]), _channel(found, 1), _channel(found, 11))


def _bridge_enter(found: _Found) -> ev.BridgeEnter:
    return ev.BridgeEnter(float(found[0]), _channel(found, 4), found[1], found[2], found[3])


def _bridge_leave(found: _Found) -> ev.BridgeLeave:
    return ev.BridgeLeave(float(found[0]), _channel(found, 4), found[1])


def _variable_set(found: _Found) -> ev.VariableSet | None:
    name = found[11].lstrip("_")
    if name not in ev.VARIABLES or found[9] == NO_CHANNEL:
        return None
    return ev.VariableSet(float(found[0]), _channel(found, 1), name, unescaped(found[12]))


def _hung_up(found: _Found) -> ev.HungUp:
    return ev.HungUp(float(found[0]), _channel(found, 1), int(found[11]))


_Layout = tuple[re.Pattern[str], Callable[[_Found], ev.CallEvent | None]]


def _layout(event: str, rest: str, build: Callable[[_Found], ev.CallEvent | None]) -> tuple[str, _Layout]:
    first = f"Event: {event}"
    whole = rf"{first}\r\nPrivilege: {_ANY}\r\nTimestamp: {_TIME}\r\n{rest}"
    return first, (re.compile(whole, re.ASCII), build)


_OWN = _CHANNEL.replace("@", "")
_DIAL = rf"(?:{_OWN})?{_CHANNEL.replace('@', 'Dest')}"
_HALVES = _CHANNEL.replace("@", "LocalOne") + _CHANNEL.replace("@", "LocalTwo")

_LAYOUTS: dict[str, _Layout] = dict(
    (
        _layout("Newchannel", _OWN, _new_channel),
        _layout("Newstate", _OWN, _channel_changed),
        _layout("NewCallerid", rf"{_OWN}CID-CallingPres: {_ANY}\r\n", _channel_changed),
        _layout("DialBegin", rf"{_DIAL}DialString: ({_ANY})\r\n", _dial_begin),
        _layout("DialState", rf"{_DIAL}DialStatus: {_GIVEN}\r\n", _dial_state),
        _layout("DialEnd", rf"{_DIAL}(?:Forward: ({_ANY})\r\n)?DialStatus: {_GIVEN}\r\n", _dial_end),
        _layout(
            "LocalBridge",
            rf"{_HALVES}Context: {_ANY}\r\nExten: {_ANY}\r\nLocalOptimization: {_ANY}\r\n",
            _local_bridge,
        ),
        _layout("BridgeEnter", rf"{_BRIDGE}{_OWN}(?:SwapUniqueid: {_ANY}\r\n)?", _bridge_enter),
        _layout("BridgeLeave", rf"{_BRIDGE}{_OWN}", _bridge_leave),
        _layout("VarSet", rf"{_OWN}Variable: ({_ANY})\r\nValue: ({_ANY})\r\n", _variable_set),
        _layout(
            "Hangup",
            rf"{_OWN}Cause: (\d{{1,9}})\r\nCause-txt: {_ANY}\r\n(?:TechCause: {_ANY}\r\n)?",
            _hung_up,
        ),
    )
)

NAMES = frozenset(first.removeprefix("Event: ") for first in _LAYOUTS)
"""The events that have a layout."""
