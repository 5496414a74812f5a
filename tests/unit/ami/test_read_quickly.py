"""What is read quickly is what a plain reading gives: blocks passed over unread, layouts read in one step."""

from __future__ import annotations

import gzip
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vipex_bridge.ami import layouts
from vipex_bridge.ami.framing import Framer, Message
from vipex_bridge.ami.resync import Resync
from vipex_bridge.ami.translate import translate, worth_reading
from vipex_bridge.calls import events as ev

CAPTURES = {
    str(path.parent.name): gzip.decompress(path.read_bytes())
    for path in sorted((Path(__file__).parents[2] / "captures").rglob("ami.log.gz"))
}
MAX_BYTES = 700
STATUS = "action/1"

_ONE = "\r\n".join(
    f"@{line}"
    for line in (
        "Channel: PJSIP/trunk-00000001", "ChannelState: 6", "ChannelStateDesc: Up", "CallerIDNum: 3642999425",
        "CallerIDName: Kovács", "ConnectedLineNum: <unknown>", "ConnectedLineName: <unknown>", "Language: en",
        "AccountCode: ", "Context: from-trunk", "Exten: 3642999408", "Priority: 1", "Uniqueid: 1.1",
        "Linkedid: 1.1",
    )
)  # fmt: skip
OWN, DEST = _ONE.replace("@", ""), _ONE.replace("@", "Dest").replace("1.1", "1.2")
BRIDGE = (
    "BridgeUniqueid: b1\r\nBridgeType: basic\r\nBridgeTechnology: simple_bridge\r\n"
    "BridgeCreator: <unknown>\r\nBridgeName: <unknown>\r\nBridgeNumChannels: 1\r\nBridgeVideoSourceMode: none"
)
TELLS = {
    "Newchannel": OWN,
    "Newstate": OWN,
    "NewCallerid": f"{OWN}\r\nCID-CallingPres: 0 (Presentation Allowed, Not Screened)",
    "DialBegin": f"{OWN}\r\n{DEST}\r\nDialString: 252/sip:252@192.0.2.1",
    "DialState": f"{DEST}\r\nDialStatus: RINGING",
    "DialEnd": f"{OWN}\r\n{DEST}\r\nForward: 200\r\nDialStatus: ANSWER",
    "LocalBridge": _ONE.replace("@", "LocalOne")
    + "\r\n"
    + _ONE.replace("@", "LocalTwo")
    + "\r\nContext: x\r\nExten: y\r\nLocalOptimization: No",
    "BridgeEnter": f"{BRIDGE}\r\n{OWN}\r\nSwapUniqueid: 1.9",
    "BridgeLeave": f"{BRIDGE}\r\n{OWN}",
    "VarSet": f"{OWN}\r\nVariable: __VIPEX_PINCODE\r\nValue: 1\\n2",
    "Hangup": f"{OWN}\r\nCause: 16\r\nCause-txt: Normal Clearing\r\nTechCause: SIP 200 OK",
    "Hold": f"{OWN}\r\nMusicClass: default",
    "Newexten": f"{OWN}\r\nExtension: 3\r\nApplication: Dial\r\nAppData: ",
    "OriginateResponse": f"ActionID: {STATUS}\r\nResponse: Success",
    "Shutdown": "Shutdown: Cleanly\r\nRestart: False",
}
BLOCKS = [
    f"Event: {name}\r\nPrivilege: call,all\r\nTimestamp: 1795453180.5\r\n{told}\r\n\r\n"
    for name, told in TELLS.items()
]


def header(line: str) -> list[tuple[str, str]]:
    name, colon, value = line.removesuffix("\r").partition(":")
    return [(name.strip().lower(), value.removeprefix(" "))] if colon and name.strip() else []


def plainly(data: bytes, max_bytes: int) -> tuple[list[dict[str, list[str]]], int]:
    """The messages of a stream, read line by line, and how many were malformed."""
    messages: list[dict[str, list[str]]] = []
    malformed = 0
    headers: dict[str, list[str]] = {}
    size = 0
    is_first = True
    for line in data.split(b"\n")[:-1]:
        if line not in (b"", b"\r"):
            if is_first and line.startswith(b"Asterisk Call Manager/") and len(line) < max_bytes:
                is_first = False
                continue
            is_first = False
            size += len(line) + 1
            for name, value in header(line.decode("utf-8", "replace")):
                headers.setdefault(name, []).append(value)
            continue
        if headers and size <= max_bytes:
            messages.append(headers)
        elif size:
            malformed += 1
        headers, size = {}, 0
    return messages, malformed


def as_headers(message: Message) -> dict[str, list[str]]:
    return {name: message.get_all(name) for name in message}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def heard(chunks: list[bytes], framer: Framer) -> tuple[list[ev.CallEvent], int, list[str]]:
    """What a session makes of a stream; its CoreStatus has the ActionID `STATUS`."""
    resync = Resync("")
    resync.is_open = True
    resync.expect(STATUS, "action/2")
    events = [e for chunk in chunks for message in framer.feed(chunk) for e in resync.take(message, 1.0)]
    return events, framer.malformed, [*resync.malformed, *(str(refusal) for refusal in resync.refusals)]


def is_read(block: bytes) -> bool:
    return bool(worth_reading([block]))


class _Plain(Message):
    """A message whose block nobody has, so that no layout reads it."""

    def __init__(self, message: Message) -> None:
        super().__init__(found for line in message.text.split("\n") for found in header(line))


class _PlainFramer(Framer):
    def feed(self, data: bytes) -> list[Message]:
        return [_Plain(message) for message in super().feed(data)]


LINES = [line + "\r\n" for block in BLOCKS for line in block.split("\r\n")]
PIECES = st.one_of(
    st.sampled_from(BLOCKS),
    st.sampled_from(LINES),
    st.sampled_from(
        ["\r\n", "\n", "\r", ":", " ", "Event: ", "VIPEX_", "ActionID: x\r\n", "Uniqueid: 9.9\n", "á"]
    ),
).map(str.encode) | st.sampled_from([b"\xff", b"\xc3", b"x" * 500, b"Asterisk Call Manager/11.0.0\r\n"])
STREAMS = st.lists(PIECES, max_size=30).map(b"".join)
PLACES = st.lists(st.integers(min_value=0, max_value=10**4), max_size=12)


@settings(max_examples=400, deadline=None)
@given(data=STREAMS, places=PLACES, max_bytes=st.sampled_from([30, 200, MAX_BYTES, 10**6]))
@example(data=b"\r\n\r\n\nEvent: A\n\r\n", places=[1, 2, 3, 4], max_bytes=30)
@example(data=b"x" * 40 + b"\r\n\r\nEvent: A\r\n\r\n", places=[40, 41, 42, 43], max_bytes=30)
def test_any_stream_cut_anywhere_is_framed_as_read_line_by_line(
    data: bytes, places: list[int], max_bytes: int
) -> None:
    framer = Framer(max_bytes=max_bytes)
    messages = [as_headers(message) for chunk in cut(data, places) for message in framer.feed(chunk)]
    assert (messages, framer.malformed) == plainly(data, max_bytes)


@settings(max_examples=400, deadline=None)
@given(data=STREAMS, places=PLACES)
def test_any_stream_cut_anywhere_gives_the_events_of_a_plain_reading(data: bytes, places: list[int]) -> None:
    quick = heard(cut(data, places), Framer(max_bytes=MAX_BYTES, select=worth_reading))
    assert quick == heard([data], _PlainFramer(max_bytes=MAX_BYTES))


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_gives_the_events_of_a_plain_reading(name: str) -> None:
    data = CAPTURES[name]
    quick = heard([data], Framer(select=worth_reading))
    assert quick[0] or b"Event: Newchannel" not in data
    assert quick == heard([data], _PlainFramer())


@st.composite
def changed_blocks(draw: st.DrawFn) -> str:
    """An event as Asterisk writes it, with a few of its lines changed, gone, doubled or moved."""
    lines = draw(st.sampled_from(BLOCKS)).removesuffix("\r\n\r\n").split("\r\n")
    for _ in range(draw(st.integers(min_value=0, max_value=3))):
        place = draw(st.integers(min_value=0, max_value=len(lines) - 1))
        match draw(st.sampled_from(["value", "gone", "twice", "moved", "cut", "short"])):
            case "value":
                values = st.text(max_size=12) | st.sampled_from(
                    ["<unknown>", "<unknown>x", "", " ", "-1", "nan", "none", "999999999999.5"]
                )
                lines[place] = lines[place].partition(":")[0] + ": " + draw(values)
            case "gone" if len(lines) > 1:
                del lines[place]
            case "twice":
                lines.insert(place, lines[place])
            case "moved":
                lines.append(lines.pop(place))
            case "cut":
                lines[place] = lines[place].replace("3", "\n").replace("n", "\r")
            case _:
                lines[place] = lines[place].replace(": ", ":")
    return "\r\n".join(lines) + "\r"


@settings(max_examples=1000, deadline=None)
@given(changed_blocks())
def test_what_a_layout_reads_is_what_the_plain_translation_says(text: str) -> None:
    quick = layouts.event_of(Message.of_block(text.encode("utf-8", "replace")))
    if quick is not None:
        assert quick == translate(_Plain(Message.of_block(text.encode("utf-8", "replace"))), 1.0)


@pytest.mark.parametrize("name", sorted(layouts.NAMES))
def test_each_layout_reads_its_event_as_asterisk_writes_it(name: str) -> None:
    block = next(block for block in BLOCKS if block.startswith(f"Event: {name}\r"))
    message = Message.of_block(block.removesuffix("\n\r\n").encode())
    assert layouts.event_of(message) == translate(_Plain(message), 1.0) is not None


@settings(max_examples=500, deadline=None)
@given(changed_blocks())
def test_what_is_passed_over_is_no_event_and_no_complaint(text: str) -> None:
    block = text.encode("utf-8", "replace")
    if not is_read(block):
        assert translate(Message.of_block(block), 1.0) is None
        assert block.startswith(b"Event: VarSet") or "actionid" not in Message.of_block(block)


def test_most_of_what_a_busy_asterisk_sends_is_passed_over() -> None:
    blocks = re.split(rb"\r\n\r\n", CAPTURES["a_inbound_ivr_queue"])
    passed = [block for block in blocks if not is_read(block + b"\r")]
    assert len(passed) > len(blocks) / 2


@pytest.mark.parametrize("name", sorted(ev.VARIABLES))
def test_no_variable_that_is_read_is_passed_over(name: str) -> None:
    assert is_read(f"Event: VarSet\r\n{OWN}\r\nVariable: __{name}\r\nValue: 1\r".encode())


def test_an_answer_that_is_an_event_is_not_passed_over() -> None:
    assert is_read(b"Event: BridgeListItem\r\nActionID: action/3\r\nBridgeUniqueid: b1\r")
    assert not is_read(b"Event: BridgeCreate\r\nPrivilege: call,all\r\nBridgeUniqueid: b1\r")


def test_a_block_in_many_small_pieces_is_gone_through_once() -> None:
    """Each byte alone: were all that is kept searched each time, this would take minutes."""
    framer = Framer()
    block = b"Event: Hold\r\n" + b"Header: value\r\n" * 20_000 + b"\r\n"
    messages = [message for place in range(len(block)) for message in framer.feed(block[place : place + 1])]
    assert [message["event"] for message in messages] == ["Hold"]


def test_a_pong_written_by_a_caller_into_an_event_is_none() -> None:
    forged = next(block for block in BLOCKS if block.startswith("Event: Hangup")).replace(
        "CallerIDNum: 3642999425", "CallerIDNum: 3\nPing: Pong"
    )
    resync = Resync("")
    resync.is_open = True
    for message in Framer().feed(forged.encode()):
        resync.take(message, 1000.0)
    assert resync.clock_offset_s == 0.0
