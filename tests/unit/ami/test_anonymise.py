"""A recording that is given away: nobody's number or name is in it, and it still tells the same calls."""

from __future__ import annotations

import gzip
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.ami.anonymise import LEFT_OUT, NAME, Anonymiser, Numbers
from vipex_bridge.ami.framing import Framer, Message
from vipex_bridge.ami.recorded import events_of
from vipex_bridge.calls.numbering import Numbering
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("**/ami.log.gz"))
NUMBERING = Numbering(("PJSIP/trunk*",), re.compile(r"^\d{3,4}$"))
KEY = b"a run's own key, thirty-two long"
IDS_AND_TIMES = (
    *("uniqueid", "linkedid", "actionid", "bridgeid"),
    *("timestamp", "eventtv", "sessiontv", "lastcall", "lastpause", "logintime"),
)


def anonymised(data: bytes, key: bytes = KEY) -> bytes:
    anonymiser = Anonymiser(key, NUMBERING.is_extension)
    return anonymiser.feed(data) + anonymiser.finish()


def message(**headers: str) -> Message:
    """What becomes of one message."""
    data = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    (made,) = Framer().feed(anonymised(data.encode()))
    return made


def long_numbers(data: bytes) -> set[str]:
    """Every string of seven digits and more outside ids, times and the channels' own tails."""
    found: set[str] = set()
    for made in Framer().feed(data):
        for name in made:
            if name.endswith(IDS_AND_TIMES):
                continue
            for value in made.get_all(name):
                bare = re.sub(r"-[0-9a-f]{8}(;[12])?(<ZOMBIE>)?$", "", value)
                found.update(re.findall(r"[0-9]{7,}", re.sub(r"(?<![0-9])[0-9]{10}\.[0-9]+", "", bare)))
    return found


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.parent.name)
def test_a_real_call_has_other_numbers_and_the_same_tree(capture: Path) -> None:
    data = gzip.decompress(capture.read_bytes())
    made = anonymised(data)
    before = long_numbers(data)
    assert before
    assert not before & long_numbers(made)
    assert b"Ext 25" not in made, "a person's name"
    assert shapes(made) == shapes(data)


def shapes(data: bytes) -> list[object]:
    """What the calls are but for their numbers: directions, extensions, times."""
    tracker = Tracker(NUMBERING)
    for event in events_of(data):
        tracker.feed(event)
    documents = [build(record, NUMBERING, lambda *_: None) for record in tracker.calls()]
    return [
        (
            part.direction,
            part.exten,
            part.start_time,
            part.answer_time,
            part.hangup_time,
            part.ringtime,
            len(part.src or ""),
            len(part.dst or ""),
        )
        for document in documents
        if document is not None
        for part in (document.main, *document.legs)
    ]


def test_a_number_is_the_same_other_one_wherever_it_stands() -> None:
    made = message(
        CallerIDNum="36301234567",
        ConnectedLineNum="+36 30 123-4567",
        DialString="PJSIP/36301234567@trunk,40,T",
        Channel="Local/36301234567@to-mobile-00000012;1",
        DestExten="*936301234567",
        Variable="__VIPEX_CUSTOM_FIELD",
        Value="did-36301234567",
    )
    other = made["calleridnum"]
    assert other != "36301234567"
    assert re.fullmatch(r"\d{11}", other)
    spaced = made["connectedlinenum"]
    assert re.sub(r"\D", "", spaced) == other
    assert re.sub(r"\d", "0", spaced) == "+00 00 000-0000"
    assert made["dialstring"] == f"PJSIP/{other}@trunk,40,T"
    assert made["channel"] == f"Local/{other}@to-mobile-00000012;1"
    assert made["value"] == f"did-{other}"
    assert re.fullmatch(rf"\*\d{other}", made["destexten"]), "a prefix before it does not hide who it is"


def test_what_is_nobodys_stays() -> None:
    kept = {
        "Event": "Newchannel",
        "Privilege": "call,all",
        "Timestamp": "1795409343.123456",
        "Channel": "PJSIP/252-00000012",
        "CallerIDNum": "252",
        "CallerIDName": "<unknown>",
        "Exten": "*8252",
        "Uniqueid": "pbx1-1795409343.21",
        "Linkedid": "1795409343.21",
        "Variable": "MIXMONITOR_FILENAME",
        "Value": "/var/spool/asterisk/monitor/1795409343.21-252.wav",
    }
    assert message(**kept) == Message((name.lower(), value) for name, value in kept.items())


def test_names_and_free_text_go() -> None:
    made = message(
        CallerIDName="Kovács Anna",
        DestConnectedLineName="36301234567",
        CallerID='"Kovács Anna" <36301234567>',
        MemberName="Kovács Anna",
        AppData="CURL(https://crm/?token=s3cret)",
        ChanVariable="CUSTOMER=Kovács Anna",
        Variable="CUSTOMER",
        Value="Kovács Anna",
    )
    assert [made["calleridname"], made["destconnectedlinename"], made["membername"]] == [NAME] * 3
    assert [made["appdata"], made["value"], made["chanvariable"]] == [
        LEFT_OUT,
        LEFT_OUT,
        f"CUSTOMER={LEFT_OUT}",
    ]
    assert re.fullmatch(rf'"{NAME}" <\d{{11}}>', made["callerid"])


def test_keys_that_were_pressed_one_by_one_are_a_number_too() -> None:
    made = message(Variable="VIPEX_IVR_DIGITS", Value="4,5,5,6,7,3")
    assert made["value"] != "4,5,5,6,7,3"
    assert re.fullmatch(r"\d(,\d){5}", made["value"])
    assert message(Variable="VIPEX_IVR_DIGITS", Value="1,2")["value"] == "1,2"


def test_another_run_has_another_key() -> None:
    data = b"CallerIDNum: 36301234567\r\n\r\n"
    assert anonymised(data) == anonymised(data)
    assert anonymised(data) != anonymised(data, b"another")


def test_a_line_that_was_cut_off_is_left_out() -> None:
    assert anonymised(b"Event: Hangup\r\nCallerIDName: Kov") == b"Event: Hangup\r\n"


@given(st.lists(st.text("0123456789", min_size=5, max_size=15), unique=True, min_size=2))
def test_numbers_are_exchanged_one_to_one(numbers: list[str]) -> None:
    scheme = Numbers(KEY, NUMBERING.is_extension)
    others = [scheme.of(number) for number in numbers]
    assert len(set(others)) == len(numbers)
    for number, other in zip(numbers, others, strict=True):
        assert other != number
        assert len(other) == len(number)
        assert not NUMBERING.is_extension(other)


@given(st.text("0123456789", min_size=5, max_size=8))
def test_no_other_number_looks_like_an_extension(number: str) -> None:
    scheme = Numbers(KEY, lambda digits: len(digits) == 5 and digits[0] in "23")
    other = scheme.of(number)
    if len(number) == 5 and number[0] in "23":
        assert other == number
    else:
        assert not (len(other) == 5 and other[0] in "23")


NAMES = st.sampled_from(
    ["Event", "CallerIDNum", "Channel", "CallerIDName", "Exten", "Value", "Variable", "AppData", "DialString"]
) | st.text("abcXYZ- ", min_size=1, max_size=8)
VALUES = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"\A[A-Za-z/@+*# .-]{0,4}[0-9]{3,14}[A-Za-z/@ ;.,-]{0,4}[0-9]{0,12}\Z"),
    st.sampled_from(["VIPEX_CUSTOM_FIELD", "MIXMONITOR_FILENAME", "<unknown>", "1795409343.21"]),
)
LINES = st.tuples(NAMES, VALUES).map(lambda pair: f"{pair[0]}: {pair[1]}".encode("utf-8", "replace"))
STREAMS = st.lists(LINES | st.just(b"") | st.binary(max_size=20), max_size=30).map(b"\r\n".join)


@given(STREAMS)
def test_framing_survives_and_no_number_does(data: bytes) -> None:
    data += b"\r\n\r\n"
    made = anonymised(data)
    assert made.count(b"\n") == data.count(b"\n")
    before, after = Framer().feed(data), Framer().feed(made)
    assert [list(one) for one in after] == [list(one) for one in before]
    ids = {n for found in re.findall(rb"[0-9]{10}\.[0-9]+", data) for n in found.decode().split(".")}
    assert not (long_numbers(data) - ids) & long_numbers(made)


@given(STREAMS, st.lists(st.integers(0, 400)))
def test_the_way_the_bytes_were_cut_changes_nothing(data: bytes, places: list[int]) -> None:
    cuts = [0, *sorted(place for place in places if place < len(data)), len(data)]
    anonymiser = Anonymiser(KEY, NUMBERING.is_extension)
    parts = [anonymiser.feed(data[start:end]) for start, end in pairwise(cuts)]
    assert b"".join([*parts, anonymiser.finish()]) == anonymised(data)
