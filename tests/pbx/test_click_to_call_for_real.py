"""Calls that the PBX places by itself, for real: click to call, and calling a missed caller back."""

from __future__ import annotations

from typing import Any

import cases
import pytest
from cases import Cast
from house import House
from parts import lengths
from phones import Phone, extension, line
from played import check_arithmetic, seconds
from playing import Playing

pytestmark = pytest.mark.pbx

MOBILE = "36301112222"
AGENT = Cast(first="1102")
OUTBOUND: dict[str, Any] = {
    "direction": 0, "dst": MOBILE, "dst_user_id": None, "other_party_number": MOBILE, "pincode": None,
    "ivr_digits": None, "cc_call": -1, "custom_field": None, "sub_cdrs": [],
}  # fmt: skip
BY_1102 = {
    "src": "1102",
    "src_user_id": 6,
    "exten": "1102",
    "last_exten": "1102",
    "user_number": "3619996102",
}
BY_251 = {"src": "251", "src_user_id": 7, "exten": "251", "last_exten": "251", "user_number": "3619996251"}


def originated(
    house: House, channel: str, exten: str, phones: list[Phone], shown: str = ""
) -> dict[str, Any]:
    """Has Asterisk ring `channel` and connect it with `exten`; the one document that is told of it.

    Nothing may be notified: these are no inbound calls.
    """
    before = len(house.receiver.requests_received())
    playing = Playing(house.asterisk, phones)
    house.asterisk.originate(channel, exten, **({"CallerID": f"<{shown}>"} if shown else {}))
    playing.finish()
    [document] = house.documents(1, before)
    [with_all_legs] = house.documents(1, before, "/cdr-all")
    check_arithmetic(document)
    assert with_all_legs["sub_cdrs"] == []
    assert house.received("/events", before) == []
    return document


@pytest.mark.parametrize("channel", ["PJSIP/1102", "Local/1102@from-internal"], ids=["phone", "Local"])
def test_click_to_call_rings_the_agent_and_then_the_far_end(house: House, channel: str) -> None:
    document = originated(
        house,
        channel,
        MOBILE,
        [
            extension("1102").rings(1).answers().waits_for_bye(),
            line(MOBILE).waits(1).rings(2).answers().talks(3).hangs_up(),
        ],
        shown="1102",
    )
    expected = {**OUTBOUND, **BY_1102, "cost_location": "12"}
    assert {name: document[name] for name in expected} == expected
    assert lengths(document) == (7, 2, 3), "the agent's own ringing is none"
    assert seconds(document, "answer_time") == 4
    assert document["price"] == pytest.approx(1.25)
    assert document["monitor_file"] is not None


def test_click_to_call_whose_far_end_is_busy(house: House) -> None:
    document = originated(
        house,
        "PJSIP/1102",
        MOBILE,
        cases.click_to_one_who_is_busy(AGENT),
        shown="1102",
    )
    expected = {**OUTBOUND, **BY_1102, "answer_time": None, "price": None, "monitor_file": None}
    assert {name: document[name] for name in expected} == expected
    assert lengths(document) == (2, 0, 0)


def test_click_to_call_that_the_agent_declines_is_told_to_nobody(house: House) -> None:
    before = len(house.receiver.requests_received())
    playing = Playing(house.asterisk, cases.click_that_the_agent_declines(AGENT))
    house.asterisk.originate("PJSIP/1102", MOBILE, CallerID="<1102>")
    playing.finish()
    # A call that is told, placed afterwards, shows that the declined one's turn has passed.
    document = originated(
        house,
        "PJSIP/252",
        MOBILE,
        [extension("252").answers().waits_for_bye(), line(MOBILE).rings(1).refuses()],
        shown="252",
    )
    assert [told["id"] for told in house.received("/cdr", before)] == [document["id"]]
    assert document["src"] == "252"


def test_call_back_rings_the_missed_caller_and_then_the_extension(house: House) -> None:
    document = originated(
        house,
        f"PJSIP/{MOBILE}@trunk",
        "251",
        cases.call_back(Cast()),
    )
    expected = {**OUTBOUND, **BY_251}
    assert {name: document[name] for name in expected} == expected
    assert lengths(document) == (7, 2, 5), "it costs from the far end's answer, and only its ringing counts"
    assert seconds(document, "answer_time") == 2
    assert document["price"] == pytest.approx(1 + 5 * 5 / 60, abs=0.0001)


def test_call_back_that_the_missed_caller_does_not_take(house: House) -> None:
    document = originated(house, f"PJSIP/{MOBILE}@trunk", "251", cases.call_back_not_taken(Cast()))
    nobody = dict.fromkeys([*BY_251, "answer_time", "price", "monitor_file", "cost_location"])
    expected = {**OUTBOUND, **nobody}
    assert {name: document[name] for name in expected} == expected, "no extension had part in it yet"
    assert lengths(document) == (2, 2, 0)
