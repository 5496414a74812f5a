"""The client documentation's two examples, as real calls, compared field by field."""

from __future__ import annotations

import base64
import wave
from io import BytesIO

import pytest
from demonstration import inbound_example, outgoing_example
from house import House
from played import check_arithmetic, played, seconds

pytestmark = pytest.mark.pbx

MAIN_FIELDS = [
    "id", "direction", "start_time", "answer_time", "hangup_time", "src", "src_user_id", "dst", "dst_user_id",
    "exten", "duration", "billsec", "ringtime", "pincode", "ivr_digits", "cc_call", "price", "cost_location",
    "monitor_file_name", "monitor_file", "main_reference_id", "custom_field", "other_party_number",
    "last_exten", "user_number", "sub_cdrs",
]  # fmt: skip
PART_FIELDS = [
    "id", "direction", "start_time", "answer_time", "hangup_time", "src", "src_user_id", "dst", "dst_user_id",
    "exten", "duration", "billsec", "ringtime", "pincode", "ivr_digits", "cc_call", "monitor_file_name",
    "monitor_file",
]  # fmt: skip


def length_of(recording: str) -> float:
    """Seconds of sound in a recording as it was sent; it must not be silent."""
    data = base64.b64decode(recording, validate=True)
    with wave.open(BytesIO(data)) as sound:
        assert any(sound.readframes(sound.getnframes()))
        return float(sound.getnframes() / sound.getframerate())


def test_inbound_example(house: House) -> None:
    call = played(house, inbound_example())
    document = call.document
    assert list(document) == MAIN_FIELDS
    check_arithmetic(document)
    expected = {
        "direction": 1, "src": "3642999425", "src_user_id": None, "dst": "3642999408", "exten": "200",
        "billsec": 4, "ringtime": 12, "pincode": None, "ivr_digits": "1,2", "cc_call": None, "price": None,
        "cost_location": None, "monitor_file_name": None, "monitor_file": None,
        "other_party_number": "3642999425", "last_exten": "251", "user_number": "3619996251",
        "custom_field": None,
    }  # fmt: skip
    assert {name: document[name] for name in expected} == expected
    first, second, third = document["sub_cdrs"]
    assert [list(part) for part in document["sub_cdrs"]] == [PART_FIELDS] * 3
    told = ["direction", "dst", "exten", "billsec", "ringtime", "ivr_digits", "cc_call", "src"]
    assert [[part[name] for name in told] for part in (first, second, third)] == [
        [2, "3642999408", "200", 0, 4, "1,2", None, "3642999425"],
        [2, "221", "221", 0, 0, None, 18, "3642999425"],
        [1, "251", "251", 4, 8, None, 18, "3642999425"],
    ]
    assert (second["duration"], third["duration"], third["answer_time"]) == (0, 12, document["answer_time"])
    assert first["monitor_file"] is None
    assert third["monitor_file_name"].endswith(".wav")
    assert 3 < length_of(third["monitor_file"]) < 5


def test_inbound_example_is_told_while_it_happens(house: House) -> None:
    call = played(house, inbound_example())
    assert call.events == [
        ("arrival", None),
        ("ringing", "200"),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert {notice["id"] for notice in call.notices} == {call.document["id"]}
    [lookup] = [request for request in call.requests if request.path == "/route"]
    asked = dict(lookup.query)
    assert (asked["id"], asked["ivr_digits"]) == (str(call.document["id"]), "1,2")
    assert asked["start_time"] == call.document["start_time"]
    ringing = next(r for r in call.requests if r.path == "/calls" and b'"exten": "251"' in r.body)
    assert b'"ivr_digits": "1,2"' in ringing.body


def test_outgoing_example(house: House) -> None:
    call = played(house, outgoing_example())
    document = call.document
    assert call.events == []
    check_arithmetic(document)
    expected = {
        "direction": 0, "src": "1102", "src_user_id": 6, "dst": "36301234576", "dst_user_id": None,
        "exten": "1102", "ringtime": 2, "pincode": "private", "ivr_digits": None, "cc_call": -1,
        "cost_location": "12", "sub_cdrs": [], "last_exten": "1102", "other_party_number": "36301234576",
    }  # fmt: skip
    assert {name: document[name] for name in expected} == expected
    answered = seconds(document, "answer_time")
    assert answered is not None
    assert answered - document["ringtime"] >= 4, "setting up is no ringing"
    assert document["billsec"] in (3, 4)
    assert document["price"] == pytest.approx(1 + document["billsec"] * 5 / 60, abs=0.0001)
    assert 2 < length_of(document["monitor_file"]) < 5
    assert document["monitor_file_name"]
