"""Messages to events: real captures against what the telephones saw, and single literal messages."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_channel import whole_channel

from vipex_bridge.ami.framing import Message
from vipex_bridge.ami.translate import replay, translate
from vipex_bridge.calls import events as ev
from vipex_bridge.errors import AmiError

CAPTURES = Path(__file__).parents[2] / "captures"
NAMES = sorted(path.parent.name for path in CAPTURES.glob("*/ami.log.gz"))

COUNTS = {
    "Newchannel": ev.NewChannel,
    "DialBegin": ev.DialBegin,
    "DialState": ev.DialState,
    "DialEnd": ev.DialEnd,
    "LocalBridge": ev.LocalBridge,
    "BridgeEnter": ev.BridgeEnter,
    "BridgeLeave": ev.BridgeLeave,
    "QueueCallerJoin": ev.QueueJoined,
    "Pickup": ev.PickedUp,
    "BlindTransfer": ev.BlindTransferred,
    "AttendedTransfer": ev.AttendedTransferred,
    "Hangup": ev.HungUp,
}

HEADERS = [
    "channel",
    "uniqueid",
    "linkedid",
    "timestamp",
    "cause",
    "channelstate",
    "variable",
    "value",
    "destchannel",
    "destuniqueid",
    "destlinkedid",
    "dialstatus",
    "queue",
    "bridgeuniqueid",
    "parkeechannel",
    "parkeeuniqueid",
]


def capture(name: str) -> bytes:
    return gzip.decompress((CAPTURES / name / "ami.log.gz").read_bytes())


def message(event: str, *prefixes: str, **headers: str) -> Message:
    """An event with a channel under each prefix."""
    told = {"event": event}
    for number, prefix in enumerate(prefixes):
        told |= whole_channel(f"PJSIP/{prefix or 'own'}-1", f"{number}.1", "0.1", prefix)
    return Message({**told, **headers}.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_gives_an_event_for_each_of_asterisks(name: str) -> None:
    raw = Counter(found.decode() for found in re.findall(rb"^Event: (\w+)\r$", capture(name), re.MULTILINE))
    stream = replay(capture(name))
    seen = Counter(type(event) for event in stream)
    assert seen[ev.QueueLeft] == raw["QueueCallerLeave"] + raw["QueueCallerAbandon"]
    assert {event: seen[kind] for event, kind in COUNTS.items()} == {event: raw[event] for event in COUNTS}
    assert seen[ev.ChannelChanged] == raw["Newstate"] + raw["NewCallerid"]
    assert seen[ev.Held] == raw["Hold"] + raw["Unhold"]
    assert stream.malformed == 0


@pytest.mark.parametrize(
    ("name", "new", "dials", "ended", "bridged"),
    [
        ("a_inbound_ivr_queue", 4, 3, 4, 2),
        ("d_ring_group", 3, 2, 3, 2),
        ("f1_atxfer_feature", 5, 2, 5, 8),
        ("l2_forward_302_internal", 5, 3, 5, 4),
    ],
)
def test_the_counts_of_known_calls(name: str, new: int, dials: int, ended: int, bridged: int) -> None:
    seen = Counter(type(event) for event in replay(capture(name)))
    assert (seen[ev.NewChannel], seen[ev.DialBegin], seen[ev.HungUp], seen[ev.BridgeEnter]) == (
        new, dials, ended, bridged,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_telephone_that_rings_is_an_event_at_that_time(name: str) -> None:
    timeline = (CAPTURES / name / "sip_timeline.txt").read_text()
    rang = [
        datetime.fromisoformat(line[:26]).replace(tzinfo=UTC).timestamp()
        for line in timeline.splitlines()
        if re.search(r" sent +SIP/2.0 180", line)
    ]
    told = [
        event.at
        for event in replay(capture(name))
        if (isinstance(event, ev.ChannelChanged) and event.channel.state == 5)
        or (isinstance(event, ev.DialState) and event.status == "RINGING")
    ]
    assert bool(rang) == ("180 Ringing" in timeline)
    for at in rang:
        assert any(0 <= event_at - at < 0.1 for event_at in told), datetime.fromtimestamp(at, UTC)


def test_the_ivr_and_queue_call_as_a_story() -> None:
    events = list(replay(capture("a_inbound_ivr_queue")))
    first = events[0]
    assert isinstance(first, ev.NewChannel)
    assert first.channel == ev.ChannelSnapshot(
        uniqueid="1795409430.45",
        linkedid="1795409430.45",
        name="PJSIP/trunk-00000012",
        caller_number="3642999425",
        caller_name="3642999425",
        context="from-trunk",
        exten="3642999408",
        state=4,
    )
    assert first.at == pytest.approx(1795409430.598763, abs=1e-6)
    ends = [(event.dest.name[:9], event.status) for event in events if isinstance(event, ev.DialEnd)]
    assert ends == [("PJSIP/200", "NOANSWER"), ("PJSIP/221", "NOANSWER"), ("PJSIP/251", "ANSWER")]
    assert [event.queue for event in events if isinstance(event, ev.QueueJoined | ev.QueueLeft)] == [
        "18",
        "18",
    ]
    (recording,) = [event for event in events if isinstance(event, ev.VariableSet)]
    assert recording.name == "MIXMONITOR_FILENAME"
    assert recording.value.startswith("/")


def test_transfers_and_pickup_name_everybody() -> None:
    (blind,) = [e for e in replay(capture("e1_blind_refer")) if isinstance(e, ev.BlindTransferred)]
    assert blind.transferee is not None
    assert (blind.transferer.name, blind.transferee.name, blind.exten, blind.result) == (
        "PJSIP/251-00000017", "PJSIP/trunk-00000016", "252", "Success",
    )  # fmt: skip
    (attended,) = [e for e in replay(capture("f1_atxfer_feature")) if isinstance(e, ev.AttendedTransferred)]
    assert attended.original.name == attended.second.name == "PJSIP/251-0000000a"
    assert attended.transferee is not None
    assert attended.target is not None
    assert (attended.transferee.name, attended.target.name, attended.destination) == (
        "PJSIP/trunk-00000009", "Local/252@from-internal-00000002;1", "Bridge",
    )  # fmt: skip
    (pickup,) = [e for e in replay(capture("g1_pickup_code")) if isinstance(e, ev.PickedUp)]
    assert (pickup.channel.name, pickup.target.name) == ("PJSIP/251-0000000e", "PJSIP/200-0000000d")


def test_unknown_is_empty() -> None:
    event = translate(message("Newstate", "", calleridnum="<unknown>", calleridname="", exten="s"), 1.0)
    assert isinstance(event, ev.ChannelChanged)
    assert (event.channel.caller_number, event.channel.caller_name, event.channel.exten) == ("", "", "s")


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("VIPEX_PINCODE", "VIPEX_PINCODE"),
        ("_VIPEX_PINCODE", "VIPEX_PINCODE"),
        ("__VIPEX_IVR_DIGITS", "VIPEX_IVR_DIGITS"),
        ("MIXMONITOR_FILENAME", "MIXMONITOR_FILENAME"),
        ("VIPEX_OTHER", None),
        ("DIALSTATUS", None),
    ],
)
def test_only_the_bridges_variables_are_events(variable: str, name: str | None) -> None:
    event = translate(message("VarSet", "", variable=variable, value="2,1"), 1.0)
    assert (event.name if isinstance(event, ev.VariableSet) else None) == name


def test_a_global_variable_is_no_event() -> None:
    pairs = [("event", "VarSet"), ("channel", "none"), ("uniqueid", "none"), ("variable", "VIPEX_CC_CALL")]
    assert translate(Message(pairs), 1.0) is None


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (r"O\'Brien said \"no\"", 'O\'Brien said "no"'),
        (r"C:\\new", r"C:\new"),
        (r"two\nlines\?", "two\nlines?"),
        (" kept as it is ", " kept as it is "),
        ("Árvíztűrő", "Árvíztűrő"),
        ("ends in \\", "ends in \\"),
    ],
)
def test_a_variables_value_is_as_the_dialplan_set_it(sent: str, value: str) -> None:
    event = translate(message("VarSet", "", variable="VIPEX_CUSTOM_FIELD", value=sent), 1.0)
    assert isinstance(event, ev.VariableSet)
    assert event.value == value


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        ("1795409430.598763", 1795409430.598763),
        ("", 7.0),
        ("soon", 7.0),
        ("nan", 7.0),
        ("-1", 7.0),
        ("inf", 7.0),
        ("99999999999.5", 99999999999.5),
        ("100000000000", 7.0),
        ("999999999999.5", 7.0),
    ],
)
def test_the_time_is_asterisks_or_else_that_of_arrival(timestamp: str, at: float) -> None:
    event = translate(message("Hold", "", timestamp=timestamp), 7.0)
    assert event == ev.Held(at, ev.ChannelSnapshot("0.1", "0.1", "PJSIP/own-1"), True)


def test_an_originated_channel_has_no_caller() -> None:
    event = translate(message("DialBegin", "dest", dialstring="251"), 1.0)
    assert isinstance(event, ev.DialBegin)
    assert event.caller is None
    assert event.dest.uniqueid == "0.1"


@pytest.mark.parametrize("name", ["ParkedCallTimeOut", "ParkedCallGiveUp", "UnParkedCall"])
def test_a_parked_call_comes_back_or_is_fetched(name: str) -> None:
    prefixes = ("parkee", "parker", *(["retriever"] if name == "UnParkedCall" else []))
    event = translate(message(name, *prefixes), 1.0)
    assert isinstance(event, ev.Unparked)
    assert (event.channel.name, event.retriever is not None) == ("PJSIP/parkee-1", name == "UnParkedCall")
    parked = translate(message("ParkedCall", "parkee", parkingspace="701"), 1.0)
    assert isinstance(parked, ev.Parked)
    assert parked.space == "701"


def test_a_caller_who_gives_up_leaves_the_queue() -> None:
    assert isinstance(translate(message("QueueCallerAbandon", "", queue="18"), 1.0), ev.QueueLeft)


@pytest.mark.parametrize(("cause", "number"), [("17", 17), ("", 0), ("x", 0), ("²", 0), ("9" * 5000, 0)])
def test_a_cause_that_is_no_number_is_unknown(cause: str, number: int) -> None:
    event = translate(message("Hangup", "", cause=cause), 1.0)
    assert isinstance(event, ev.HungUp)
    assert event.cause == number


@pytest.mark.parametrize(
    "lacking",
    [
        message("Newchannel"),
        message("Newchannel", channel="PJSIP/1", uniqueid="1.1"),
        message("DialEnd", "", "dest"),
        message("DialBegin", ""),
        message("LocalBridge", "localone"),
        message("QueueCallerJoin", ""),
        message("BridgeEnter", ""),
        message("Pickup", ""),
    ],
)
def test_an_event_that_lacks_what_it_must_have_is_an_error(lacking: Message) -> None:
    with pytest.raises(AmiError, match=lacking["event"]):
        translate(lacking, 1.0)


@pytest.mark.parametrize("name", ["RTCPSent", "newchannel", ""])
def test_other_events_say_nothing_about_a_call(name: str) -> None:
    assert translate(message(name, ""), 1.0) is None


@given(
    st.sampled_from([*COUNTS, "VarSet", "Newstate", "ParkedCall", "UnParkedCall", "Hold"]),
    st.dictionaries(
        st.sampled_from(HEADERS),
        st.text(max_size=20) | st.sampled_from(["1.1", "VIPEX_PINCODE"]),
    ),
)
def test_whatever_the_headers_only_our_own_error_comes_out(event: str, headers: dict[str, str]) -> None:
    with suppress(AmiError):
        translate(Message([("event", event), *headers.items()]), 1.0)


def test_a_replay_skips_and_counts_what_it_cannot_read() -> None:
    data = b"junk\r\n\r\nEvent: Hangup\r\nUniqueid: 1.1\r\n\r\n" + capture("c_inbound_missed")
    stream = replay(data)
    assert list(stream) == list(replay(capture("c_inbound_missed")))
    assert stream.malformed == 2
