"""A recorded stream of the manager interface, played by the path that live ones take. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vipex_bridge.ami.framing import Framer, Message
from vipex_bridge.ami.resync import Resync
from vipex_bridge.ami.translate import time_of
from vipex_bridge.calls import events as ev


def is_recording(data: bytes) -> bool:
    """Whether there is anything of the manager interface in it."""
    return _MESSAGE.search(data) is not None


def events_of(data: bytes) -> Iterator[ev.CallEvent]:
    """The events of a whole recording, what was up when it began among them if the recorder asked.

    An event without `Timestamp` gets the time of the one before it (0.0 before the first). What cannot
    be read is skipped.
    """
    messages = Framer().feed(data)
    resync = Resync("")
    status, channels, bridges = (_action_id(messages, mark) for mark in _MARKS)
    asked = {status, channels, bridges} - {""}
    # Without the answers that it waits for it would hold the events back.
    resync.is_open = not status
    at = 0.0
    for message in messages:
        if message.get("actionid") in asked:
            # Not before: a session asks after its first Pong, and one that comes later ends the waiting.
            resync.expect(status, channels, bridges)
            asked = set()
        if message.get("ping") == "Pong" and "event" not in message:
            resync.expect_pong(message.get("actionid", ""))
        at = time_of(message, at)
        yield from resync.take(message, at - resync.clock_offset_s)


_MESSAGE = re.compile(rb"^(?:Event|Response): ", re.MULTILINE)
_MARKS = ("corestartupdate", "CoreShowChannelsComplete", "BridgeListComplete")


def _action_id(messages: list[Message], mark: str) -> str:
    """The ActionID of the answer that has this header or is this event, '' when the recording has none."""
    for message in messages:
        if mark in message or message.get("event") == mark:
            return message.get("actionid", "")
    return ""
