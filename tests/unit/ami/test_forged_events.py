"""A caller whose number holds line breaks writes into the manager's stream: nothing of that is believed.

Asterisk 22 writes the number as the SIP address has it, decoded: at most 79 bytes of it.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vipex_bridge.ami.framing import Framer
from vipex_bridge.ami.recorded import events_of
from vipex_bridge.ami.translate import translate
from vipex_bridge.calls import events as ev
from vipex_bridge.errors import AmiError

MAX_NUMBER_BYTES = 79
VICTIM, OWN = "1795453179.0", "1795453180.1"

CHANNEL = (
    "{p}Channel: PJSIP/trunk-00000001\r\n{p}ChannelState: 4\r\n{p}ChannelStateDesc: Ring\r\n"
    "{p}CallerIDNum: {number}\r\n{p}CallerIDName: Eve\r\n{p}ConnectedLineNum: {connected}\r\n"
    "{p}ConnectedLineName: <unknown>\r\n{p}Language: en\r\n{p}AccountCode: \r\n{p}Context: from-trunk\r\n"
    "{p}Exten: {exten}\r\n{p}Priority: 1\r\n{p}Uniqueid: " + OWN + "\r\n{p}Linkedid: " + OWN + "\r\n"
)
EVENTS = {
    "Newchannel": "",
    "Newstate": "",
    "VarSet": "Variable: VIPEX_COST_LOCATION\r\nValue: 12\r\n",
    "BridgeEnter": "BridgeUniqueid: b1\r\nBridgeType: basic\r\n",
    "QueueCallerJoin": "Queue: sales\r\n",
    "Hangup": "Cause: 17\r\n",
}


def stream(name: str, **values: str) -> bytes:
    told = {"number": "36", "connected": "<unknown>", "exten": "3642999409", **values}
    head = f"Event: {name}\r\nPrivilege: call,all\r\nTimestamp: 1795453180.5\r\n"
    own = head + CHANNEL.format(p="", **told) + EVENTS[name] + "\r\n"
    dialled = CHANNEL.format(p="Dest", **told).replace(OWN, "1795453180.2")
    dial = head.replace(name, "DialEnd") + CHANNEL.format(p="", **told) + dialled
    return (own + dial + "DialStatus: NOANSWER\r\nForward: \r\n\r\n").encode()


def believed(data: bytes) -> list[ev.CallEvent]:
    events = []
    for message in Framer().feed(data):
        try:
            event = translate(message, 1.0)
        except AmiError:
            continue
        if event is not None:
            events.append(event)
    return events


def test_sound_numbers_are_believed() -> None:
    for name in EVENTS:
        assert len(believed(stream(name))) == 2


FORGERIES = [
    "\r\n\r\nEvent: Hangup\r\nX: y",
    f"\nUniqueid:{VICTIM}\nLinkedid:{VICTIM}",
    f"\nUniqueid:{VICTIM}\nLinkedid:{VICTIM}\n\nQ:z",
    f"\n\nEvent:Hangup\nChannel:x\nUniqueid:{VICTIM}\nLinkedid:{VICTIM}",
    f"\n\nEvent:Hangup\nChannel:x\nUniqueid:{VICTIM}\n",
    f"\n\nEvent:Hangup\nUniqueid:{VICTIM}\nLinkedid:{VICTIM}\nA",
    "\nVariable:VIPEX_PINCODE\nValue:private",
    "\nDialStatus:ANSWER",
    "\nDestUniqueid:1.1",
    "\nBridgeUniqueid:b2",
    "\nQueue:other",
    "\nCause:16",
    "\r\nCallerIDName: Bob\r\nContext: from-internal",
    "\n\nEvent:VarSet\nVariable:VIPEX_PINCODE\nValue:private",
]


PIECES = [
    "\n", "\r\n", "Event:", "Hangup", "Channel:x", f"Uniqueid:{VICTIM}", f"Linkedid:{VICTIM}", "Context:",
    "Exten:", "Priority:", "CallerIDNum:", "CallerIDName:", "AccountCode:", "ConnectedLineNum:", "36", "Dest",
    "ConnectedLineName:", "ChannelState:", "ChannelStateDesc:", "DialStatus:ANSWER", "Cause:16", "Value:",
    "Variable:VIPEX_PINCODE", "Newchannel", "VarSet", " ",
]  # fmt: skip


def facts(event: ev.CallEvent) -> tuple[str, list[object]]:
    """What the event says beside which channel it is about, and when."""
    told = [getattr(event, name) for name in event.__slots__ if name != "at"]
    return type(event).__name__, [fact for fact in told if not isinstance(fact, ev.ChannelSnapshot)]


def channels(event: ev.CallEvent) -> list[str]:
    told = [getattr(event, name) for name in event.__slots__]
    return [channel.uniqueid for channel in told if isinstance(channel, ev.ChannelSnapshot)]


@given(
    name=st.sampled_from(sorted(EVENTS)),
    place=st.sampled_from(["number", "connected", "exten"]),
    forgery=st.sampled_from(FORGERIES) | st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
)
@example(name="Hangup", place="number", forgery=FORGERIES[2])
def test_what_a_number_writes_into_the_stream_is_never_believed(name: str, place: str, forgery: str) -> None:
    sound = [facts(event) for event in believed(stream(name))]
    for event in believed(stream(name, **{place: forgery[:MAX_NUMBER_BYTES]})):
        assert VICTIM not in channels(event)
        assert facts(event) in sound


@pytest.mark.parametrize("forgery", FORGERIES)
def test_such_a_block_is_refused_in_one_line_that_says_why(forgery: str) -> None:
    said = []
    for message in Framer().feed(stream("Hangup", number=forgery[:MAX_NUMBER_BYTES])):
        try:
            translate(message, 1.0)
        except AmiError as error:
            said.append(str(error))
    assert said
    assert not any("\n" in text or "\r" in text for text in said)


def test_a_channel_told_whole_does_not_fit_into_a_number() -> None:
    """The rule rests on this: what must be there is longer than what a caller can write."""
    named = ("Event", *re.findall(r"\{p\}(\w+):", CHANNEL))
    shortest = sum(len(f"{header}:\n") for header in named if header != "Language")
    assert shortest > 2 * MAX_NUMBER_BYTES


def test_a_pong_written_into_an_event_takes_it_out_of_no_recording() -> None:
    """Whoever plays a capture sees what the bridge saw."""
    forged = stream("Newchannel", number="36\r\nPing: Pong\r\nActionID: 9")
    assert [type(event) for event in events_of(forged)] == [ev.NewChannel]
