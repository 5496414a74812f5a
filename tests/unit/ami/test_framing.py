"""Framing: however the bytes are cut, and whatever they are."""

from __future__ import annotations

import gzip
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipex_bridge.ami.framing import Framer, Message

CAPTURES = {
    path.parent.name: gzip.decompress(path.read_bytes())
    for path in sorted((Path(__file__).parents[2] / "captures").glob("*/ami.log.gz"))
}
FRAGMENTS = st.sampled_from(
    [
        b"Event: Hold\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"Uniqueid: 1.1\r\n",
        b"Kov\xc3\xa1cs",
        b"\xff",
        b":",
        b"x" * 70,
    ]
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def frame(chunks: list[bytes], max_bytes: int = 1024 * 1024) -> tuple[list[Message], Framer]:
    framer = Framer(max_bytes=max_bytes)
    return [message for chunk in chunks for message in framer.feed(chunk)], framer


def test_there_are_captures() -> None:
    assert "a_inbound_ivr_queue" in CAPTURES


@pytest.mark.parametrize("name", CAPTURES)
def test_every_event_and_answer_of_a_capture_becomes_one_message(name: str) -> None:
    messages, framer = frame([CAPTURES[name]])
    assert [message["event"] for message in messages if "event" in message] == [
        found.decode() for found in re.findall(rb"^Event: (\w+)\r$", CAPTURES[name], re.MULTILINE)
    ]
    answers = re.findall(rb"^Response: (\w+)\r$", CAPTURES[name], re.MULTILINE)
    assert len([message for message in messages if "response" in message]) == len(answers)
    assert framer.malformed == 0
    assert framer.banner == "Asterisk Call Manager/11.0.0"


@pytest.mark.parametrize("name", CAPTURES)
@settings(max_examples=20, deadline=None)
@given(places=st.lists(st.integers(min_value=0, max_value=10**7), max_size=40))
def test_any_split_of_a_capture_gives_the_same_messages(name: str, places: list[int]) -> None:
    assert frame(cut(CAPTURES[name], places))[0] == frame([CAPTURES[name]])[0]


def test_byte_by_byte_gives_the_same_messages() -> None:
    data = CAPTURES["i1_outbound_busy"]
    assert frame([data[i : i + 1] for i in range(len(data))])[0] == frame([data])[0]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_random_bytes_never_raise(chunks: list[bytes]) -> None:
    frame(chunks)


@settings(max_examples=300)
@given(
    data=st.lists(FRAGMENTS, max_size=40).map(b"".join),
    places=st.lists(st.integers(min_value=0, max_value=10**4), max_size=20),
    max_bytes=st.sampled_from([20, 40, 90, 1000]),
)
def test_any_split_of_damaged_bytes_gives_the_same_messages_and_count(
    data: bytes, places: list[int], max_bytes: int
) -> None:
    messages, framer = frame([data], max_bytes)
    split_messages, split_framer = frame(cut(data, places), max_bytes)
    assert split_messages == messages
    assert split_framer.malformed == framer.malformed


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(min_value=0, max_value=400))
def test_a_name_arrives_whole_wherever_the_read_ends(name: str, place: int) -> None:
    data = f"Event: Hold\r\nCallerIDName: {name}\r\n\r\n".encode()
    assert frame(cut(data, [place]))[0][0]["calleridname"] == name


def test_invalid_bytes_are_replaced_and_nothing_else_is_lost() -> None:
    assert frame([b"Event: Hold\r\nCallerIDName: Kov\xe1cs\r\n\r\n"])[0][0]["calleridname"] == "Kov\ufffdcs"


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        (b"Event: A\nUniqueid: 1\n\n", {"event": "A", "uniqueid": "1"}),
        (b"Event: A\r\nMid:\r\nNoSpace:val\r\n\r\n", {"event": "A", "mid": "", "nospace": "val"}),
        (b"Event: A\r\nLast: \r\n\r\n", {"event": "A", "last": ""}),
        (b"Event: A\r\nResult: 50%25\r\n\r\n", {"event": "A", "result": "50%25"}),
        (b"Event: A\r\nAppData: a: b\r\n\r\n", {"event": "A", "appdata": "a: b"}),
        (b"Event: A\r\nname: \xe2\x80\xa8x\x0b\r\n\r\n", {"event": "A", "name": "\u2028x\x0b"}),
        (b"\r\n\r\n\r\nEvent: A\r\n\r\n\r\n\r\n", {"event": "A"}),
        (b"Asterisk Call Manager/5.0.2\r\nEvent: A\r\n\r\n", {"event": "A"}),
        (b"no header at all\r\nEvent: A\r\n\r\n", {"event": "A"}),
        (b"EVENT: A\r\n\r\n", {"event": "A"}),
    ],
)  # fmt: skip
def test_blocks_that_other_readers_stumble_over(block: bytes, headers: dict[str, str]) -> None:
    messages, _ = frame([block])
    assert [dict(message) for message in messages] == [headers]


def test_repeated_headers_are_all_kept() -> None:
    (message,), _ = frame([b"Event: A\r\nevent: B\r\nChanVariable: x=1\r\nChanVariable: x=2\r\n\r\n"])
    assert message["event"] == "A"
    assert message.get_all("event") == ["A", "B"]
    assert message.get_all("chanvariable") == ["x=1", "x=2"]
    assert message.get_all("none") == []


def test_a_block_without_any_header_is_counted() -> None:
    messages, framer = frame([b"garbage\r\n\r\nEvent: A\r\n\r\n"])
    assert (len(messages), framer.malformed) == (1, 1)


@pytest.mark.parametrize("what", ["header", "message"])
def test_what_is_longer_than_the_limit_is_dropped_and_the_next_message_is_read(what: str) -> None:
    header = b"Value: " + b"x" * 3_000_000 if what == "header" else b"Value: xxxxxxxxxxxxxxxxx\r\n" * 100_000
    data = b"Event: VarSet\r\n" + header + b"\r\n\r\nEvent: A\r\n\r\n"
    messages, framer = frame([data[i : i + 65536] for i in range(0, len(data), 65536)])
    assert [dict(message) for message in messages] == [{"event": "A"}]
    assert framer.malformed == 1


def test_a_line_without_end_takes_no_memory_without_end() -> None:
    framer = Framer(max_bytes=10_000)
    for _ in range(1000):
        framer.feed(b"x" * 4096)
        assert sum(len(part) for part in framer._rest) <= 10_000
    assert framer.feed(b"\r\n\r\nEvent: A\r\n\r\n") == [Message([("event", "A")])]
