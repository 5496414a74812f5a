"""More cases on a PBX that goes FreePBX's ways: what the telephones do is in `cases`, as on a plain Asterisk.

The calls of an act are played side by side.
"""

from __future__ import annotations

from dataclasses import replace

import cases
import pytest
from acts import Told, fields, is_as_lived, live, parties, told
from cases import Cast
from house import House

pytestmark = pytest.mark.pbx

FREEPBX = Cast(blind_code="##", ringings=2, refused=503)


def calls_in(number: str, dialled: str, *extensions: str, mobile: str = "") -> Cast:
    """The cast of an inbound call; on a DID without a route of its own the extension is its end."""
    first, second, third = (*extensions, "", "", "")[:3]
    own = replace(FREEPBX, caller=number, port=5000 + 3 * int(number[-2:]), dialled=f"3642998{dialled}")
    return replace(own, first=first, second=second, third=third, mobile=mobile, trunk=trunk_of(mobile))


def calls_out(mobile: str, first: str, second: str = "") -> Cast:
    """The cast of an outgoing call."""
    return replace(FREEPBX, first=first, second=second, mobile=mobile, trunk=trunk_of(mobile))


def trunk_of(mobile: str) -> str:
    """The fifth digit is the trunk."""
    return f"trunk{mobile[4:5].strip('1')}"


@pytest.fixture(scope="module")
def noon(freepbx_house: House) -> Told:
    phones = [
        *cases.menus_extension_and_queue(calls_in("3670000041", "021", "201", "202", "203")),
        *cases.queue_rings_all_in_vain(calls_in("3670000042", "022", "204", "205")),
        *cases.queue_tries_twice_in_vain(calls_in("3670000043", "023", "206")),
        *cases.queue_is_answered_at_the_second_try(calls_in("3670000044", "024", "207")),
        *cases.blonde_by_feature_code(calls_in("3670000045", "208", "208", "209")),
        *cases.attended_transfer_cancelled(calls_in("3670000046", "210", "210", "213")),
        *cases.two_attended_transfers(calls_in("3670000047", "215", "215", "216", "217")),
        *cases.pickup_by_feature_code(calls_in("3670000048", "218", "218", "219")),
        *cases.parked_and_retrieved_by_the_same(calls_in("3670000049", "232", "232")),
        *cases.outbound_in_vain(calls_out("36302115550", "233")),
        *cases.outbound_with_ringback_after_sound(calls_out("36303115551", "234")),
        *cases.outbound_with_sound_alone(calls_out("36304115552", "235")),
        *cases.outbound_to_an_announcement(calls_out("36311115553", "236")),
        *cases.one_mobile_is_called_twice(calls_out("36305115554", "242")),
    ]
    return told(freepbx_house, phones, 15)


def test_menus_extension_and_queue(noon: Told) -> None:
    call = noon["3670000041"]
    assert call.events == live("ringing 201", "ringing 203", "answer 203")
    assert parties(call) == [(2, "201"), (2, "202"), (1, "203")]
    assert (call.document["ivr_digits"], call.document["direction"]) == ("1,2", 1)
    assert [part["cc_call"] for part in call.document["sub_cdrs"]] == [None, 403, 403]
    for number, part in zip(("201", "203"), call.document["sub_cdrs"][::2], strict=True):
        assert is_as_lived(part, noon.lived.of(number))


def test_queue_that_rings_all_in_vain(noon: Told) -> None:
    call = noon["3670000042"]
    assert sorted(call.events[1:3]) == [("ringing", "204"), ("ringing", "205")]
    assert call.events[3:] == [("hangup", None)]
    direction, exten, _, parts = fields(call)
    assert (direction, parts, call.document["cc_call"]) == (2, [], 404)
    assert exten in ("204", "205")
    assert is_as_lived(call.document, noon.lived.of(exten))


def test_queue_member_is_tried_twice_in_vain(noon: Told) -> None:
    call = noon["3670000043"]
    assert call.events == live("ringing 206", "ringing 206")
    assert parties(call) == [(2, "206"), (2, "206")]
    assert [part["cc_call"] for part in call.document["sub_cdrs"]] == [405, 405]
    assert call.document["answer_time"] is None


def test_queue_member_answers_the_second_try(noon: Told) -> None:
    call = noon["3670000044"]
    assert call.events == live("ringing 207", "ringing 207", "answer 207")
    assert parties(call) == [(2, "207"), (1, "207")]
    assert [part["cc_call"] for part in call.document["sub_cdrs"]] == [406, 406]
    assert call.document["direction"] == 1


def test_blonde_transfer_by_feature_code(noon: Told) -> None:
    call = noon["3670000045"]
    assert call.events == live("ringing 208", "answer 208", "ringing 209", "answer 209")
    assert parties(call) == [(1, "208"), (1, "209")]
    # It rang 7 s, most of them for 208.
    assert 1 <= call.document["sub_cdrs"][1]["ringtime"] <= 4


def test_attended_transfer_that_is_cancelled(noon: Told) -> None:
    call = noon["3670000046"]
    assert call.events == live("ringing 210", "answer 210")
    assert fields(call) == (1, "210", "210", [])
    assert is_as_lived(call.document, noon.lived.of("210"))


def test_two_attended_transfers_in_a_row(noon: Told) -> None:
    call = noon["3670000047"]
    assert call.events == live("ringing 215", "answer 215", "answer 216", "answer 217")
    assert parties(call) == [(1, "215"), (1, "216"), (1, "217")]
    assert [part["ringtime"] for part in call.document["sub_cdrs"][1:]] == [0, 0]


def test_pickup_by_feature_code(noon: Told) -> None:
    call = noon["3670000048"]
    assert call.events == live("ringing 218", "answer 219")
    assert parties(call) == [(2, "218"), (1, "219")]
    rang, picked = call.document["sub_cdrs"]
    assert is_as_lived(rang, noon.lived.of("218"))
    assert picked["ringtime"] == 0


def test_parked_and_retrieved_by_the_same(noon: Told) -> None:
    call = noon["3670000049"]
    assert call.events == live("ringing 232", "answer 232", "answer 232")
    assert parties(call) == [(1, "232"), (1, "232")]
    assert call.document["sub_cdrs"][1]["ringtime"] == 0


def test_outbound_that_rings_in_vain(noon: Told) -> None:
    call = noon["36302115550"]
    assert (call.events, fields(call)) == ([], (0, "233", "233", []))
    assert (call.document["src"], call.document["answer_time"]) == ("233", None)
    assert is_as_lived(call.document, noon.lived.of("36302115550"))


@pytest.mark.parametrize("mobile", ["36303115551", "36304115552"], ids=["183 then 180", "183 alone"])
def test_outbound_with_sound_before_the_answer(noon: Told, mobile: str) -> None:
    call = noon[mobile]
    assert (call.events, fields(call)[0], fields(call)[3]) == ([], 0, [])
    # Sound is no ringing: the second mobile never said 180.
    assert is_as_lived(call.document, noon.lived.of(mobile))


def test_outbound_to_an_announcement(noon: Told) -> None:
    call = noon["36311115553"]
    assert (call.events, fields(call)) == ([], (0, "236", "236", []))
    told = [call.document[name] for name in ("answer_time", "ringtime", "price")]
    assert told == [None, 0, None]


def test_two_outbound_calls_of_the_same_numbers_in_the_same_second(noon: Told) -> None:
    calls = noon["36305115554"]
    assert calls.events == []
    first, second = sorted(calls.documents, key=lambda document: int(document["billsec"]))
    for name in ("direction", "src", "dst", "exten", "sub_cdrs"):
        assert first[name] == second[name]
    for name in ("id", "monitor_file_name", "main_reference_id", "monitor_file"):
        assert first[name] != second[name]
    assert (first["billsec"], second["billsec"]) == (pytest.approx(1, abs=1), pytest.approx(2, abs=1))


@pytest.fixture(scope="module")
def dusk(freepbx_house: House) -> Told:
    phones = [
        *cases.blind_transfer_comes_back(calls_in("3670000051", "025", "201", "202")),
        *cases.blonde_in_vain(calls_in("3670000052", "203", "203", "204")),
        *cases.attended_transfer_to_one_who_is_busy(calls_in("3670000053", "205", "205", "206")),
        *cases.attended_transfer_to_the_outside(calls_in("3670000054", "207", "207", mobile="36301115560")),
        *cases.pickup_of_a_ring_group(calls_in("3670000055", "026", "208", "209", "210")),
        *cases.colleague_takes_what_was_forwarded(calls_in("3670000056", "237", "237", "238")),
        *cases.follow_me_to_a_colleague(calls_in("3670000057", "239", "239", "240")),
        *cases.follow_me_to_a_mobile(calls_in("3670000058", "241", "241", mobile="36302113333")),
        *cases.parked_too_long(calls_in("3670000059", "216", "216")),
        *cases.conference_of_three(calls_in("3670000060", "029", "217", "218")),
        *cases.outbound_then_attended_transfer(calls_out("36303115561", "219", "232")),
        *cases.internal_caller_is_sent_outside(calls_out("36304115562", "233", "234")),
        *cases.one_number_calls_twice(calls_in("3670000061", "235", "235")),
        *cases.click_to_one_who_is_busy(calls_out("36305115563", "236")),
    ]

    def click() -> None:
        freepbx_house.asterisk.originate("Local/236@from-internal/n", "36305115563", CallerID="<236>")

    return told(freepbx_house, phones, 15, click, overlapping=("3670000060",))


def test_blind_transfer_that_comes_back(dusk: Told) -> None:
    call = dusk["3670000051"]
    assert call.events == live("ringing 201", "answer 201", "ringing 201", "answer 201")
    assert parties(call) == [(1, "201"), (2, "202"), (1, "201")]


def test_blonde_transfer_that_nobody_answers(dusk: Told) -> None:
    call = dusk["3670000052"]
    assert call.events == live("ringing 203", "answer 203", "ringing 204")
    assert parties(call) == [(1, "203"), (2, "204")]
    assert 1 <= call.document["sub_cdrs"][1]["ringtime"] <= 5


def test_attended_transfer_to_one_who_is_busy(dusk: Told) -> None:
    call = dusk["3670000053"]
    assert call.events == live("ringing 205", "answer 205")
    assert fields(call) == (1, "205", "205", [])


def test_attended_transfer_to_an_outside_number(dusk: Told) -> None:
    call = dusk["3670000054"]
    assert call.events == live("ringing 207", "answer 207")
    parts = [(p["direction"], p["exten"], p["dst"]) for p in call.document["sub_cdrs"]]
    assert parts == [(1, "207", "3642998207"), (0, "207", "36301115560")]
    talk_s = call.document["sub_cdrs"][1]["billsec"]
    assert call.document["price"] == pytest.approx(1 + 5 * talk_s / 60, abs=0.01), "the outside part costs"


def test_pickup_of_a_ring_group(dusk: Told) -> None:
    call = dusk["3670000055"]
    assert sorted(call.events[1:3]) == [("ringing", "208"), ("ringing", "209")]
    assert call.events[3:] == [("answer", "210"), ("hangup", None)]
    rang, picked = call.document["sub_cdrs"]
    # The two Local channels race for their telephones.
    assert rang["exten"] in ("208", "209")
    assert (rang["direction"], is_as_lived(rang, dusk.lived.of(rang["exten"]))) == (2, True)
    assert (picked["direction"], picked["exten"], picked["ringtime"]) == (1, "210", 0)


def test_call_forward_to_a_colleague(dusk: Told) -> None:
    call = dusk["3670000056"]
    assert call.events == live("ringing 238", "answer 238")
    assert fields(call) == (1, "238", "238", [])
    assert is_as_lived(call.document, dusk.lived.of("238"))


def test_follow_me_to_a_colleague(dusk: Told) -> None:
    call = dusk["3670000057"]
    assert call.events == live("ringing 239", "ringing 240", "answer 240")
    assert parties(call) == [(2, "239"), (1, "240")]
    for part in call.document["sub_cdrs"]:
        assert is_as_lived(part, dusk.lived.of(part["exten"]))


def test_follow_me_to_a_mobile(dusk: Told) -> None:
    call = dusk["3670000058"]
    assert call.events == live("ringing 241", "answer 241")
    parts = [(p["direction"], p["exten"], p["dst"]) for p in call.document["sub_cdrs"]]
    assert parts == [(2, "241", "3642998241"), (0, "241", "36302113333")]
    assert call.document["direction"] == 1


def test_parked_too_long_comes_back_to_who_parked(dusk: Told) -> None:
    call = dusk["3670000059"]
    assert call.events == live("ringing 216", "answer 216", "ringing 216", "answer 216")
    assert parties(call) == [(1, "216"), (1, "216")]
    assert call.document["sub_cdrs"][1]["ringtime"] == pytest.approx(2, abs=1)


def test_conference_of_three(dusk: Told) -> None:
    call = dusk["3670000060"]
    assert call.events == live("answer 217", "answer 218")
    assert parties(call) == [(1, "217"), (1, "218")]
    first, second = call.document["sub_cdrs"]
    assert first["start_time"] == call.document["start_time"]
    assert second["start_time"] == second["answer_time"] < first["hangup_time"]


def test_outbound_then_attended_transferred_to_a_colleague(dusk: Told) -> None:
    call = dusk["36303115561"]
    assert call.events == []
    assert parties(call) == [(0, "219"), (0, "232")]
    assert {part["src"] for part in call.document["sub_cdrs"]} == {"219"}
    assert call.document["sub_cdrs"][1]["ringtime"] == 0


def test_internal_call_whose_caller_is_sent_outside(dusk: Told) -> None:
    call = dusk["36304115562"]
    assert (call.events, fields(call)) == ([], (0, "233", "233", []))
    assert call.document["src"] == "233"
    assert is_as_lived(call.document, dusk.lived.of("36304115562"))


def test_two_inbound_calls_of_the_same_numbers_in_the_same_second(dusk: Told) -> None:
    calls = dusk["3670000061"]
    first, second = sorted(calls.documents, key=lambda document: int(document["billsec"]))
    for name in ("direction", "src", "dst", "exten", "sub_cdrs"):
        assert first[name] == second[name]
    for document in (first, second):
        assert calls.events_of(document["id"]) == live("ringing 235", "answer 235")
    for name in ("id", "monitor_file_name", "main_reference_id", "monitor_file"):
        assert first[name] != second[name]
    assert (first["billsec"], second["billsec"]) == (pytest.approx(1, abs=1), pytest.approx(2, abs=1))


def test_click_to_call_whose_far_end_is_busy(dusk: Told) -> None:
    call = dusk["36305115563"]
    assert (call.events, fields(call)) == ([], (0, "236", "236", []))
    assert [call.document[name] for name in ("src", "answer_time", "ringtime")] == ["236", None, 0]


@pytest.fixture(scope="module")
def night(freepbx_house: House) -> Told:
    phones = [
        *cases.pickup_of_a_queue_call(calls_in("3670000071", "027", "201", "202", "203")),
        *cases.mobile_takes_it_straight(calls_in("3670000072", "028", mobile="36301112299")),
        *cases.caller_leaves_while_parked(calls_in("3670000073", "204", "204")),
        *cases.three_talk_by_feature_code(calls_in("3670000074", "205", "205", "206")),
        *cases.internal_called_one_is_sent_outside(calls_out("36302115570", "207", "208")),
        *cases.inbound_becomes_internal(calls_in("3670000075", "209", "209", "210")),
        *cases.outbound_becomes_internal(calls_out("36303115571", "213", "215")),
        *cases.click_that_the_agent_declines(calls_out("36304115572", "216")),
        *cases.call_back(calls_out("36304115573", "217")),
        *cases.call_back_not_taken(calls_out("36305115574", "218")),
        *cases.two_colleagues_and_a_caller(calls_in("3670000076", "232", "232", "233", "234")),
    ]

    def click() -> None:
        asterisk = freepbx_house.asterisk
        asterisk.originate("Local/216@from-internal/n", "36304115572", CallerID="<216>")
        asterisk.originate("Local/36304115573@from-internal/n", "217")
        asterisk.originate("Local/36305115574@from-internal/n", "218")

    return told(freepbx_house, phones, 10, click, overlapping=("3670000074",))


def test_pickup_of_a_queue_call(night: Told) -> None:
    call = night["3670000071"]
    assert call.events == live("ringing 202", "answer 203")
    assert parties(call) == [(2, "201"), (2, "202"), (1, "203")]
    assert [part["cc_call"] for part in call.document["sub_cdrs"]] == [407, 407, 407]


def test_caller_is_sent_straight_to_a_mobile(night: Told) -> None:
    call = night["3670000072"]
    assert call.events == live()
    assert fields(call) == (2, None, None, [])
    assert [call.document[name] for name in ("ringtime", "billsec")] == [0, 0]


def test_caller_gives_up_while_parked(night: Told) -> None:
    call = night["3670000073"]
    assert call.events == live("ringing 204", "answer 204")
    assert fields(call) == (1, "204", "204", [])
    assert is_as_lived(call.document, night.lived.of("3670000073"))


def test_three_talk_by_feature_code(night: Told) -> None:
    call = night["3670000074"]
    assert call.events == live("ringing 205", "answer 205", "answer 206")
    assert parties(call) == [(1, "205"), (1, "206")]
    first, second = call.document["sub_cdrs"]
    assert second["start_time"] == second["answer_time"] < first["hangup_time"]
    assert second["ringtime"] == 0


def test_internal_call_whose_called_colleague_is_sent_outside(night: Told) -> None:
    call = night["36302115570"]
    assert (call.events, fields(call)) == ([], (0, "207", "207", []))
    assert call.document["src"] == "207"
    assert is_as_lived(call.document, night.lived.of("36302115570"))


def test_inbound_call_whose_caller_leaves_while_two_colleagues_talk(night: Told) -> None:
    call = night["3670000075"]
    assert call.events == live("ringing 209", "answer 209")
    assert fields(call) == (1, "209", "209", [])
    assert call.document["billsec"] == pytest.approx(night.lived.of("3670000075").talk_s, abs=1)


def test_outbound_call_whose_far_end_leaves_while_two_colleagues_talk(night: Told) -> None:
    call = night["36303115571"]
    assert (call.events, fields(call)) == ([], (0, "213", "213", []))
    assert is_as_lived(call.document, night.lived.of("36303115571"))


def test_click_to_call_that_the_agent_declines_is_told_to_nobody(night: Told) -> None:
    assert "36304115572" not in night
    assert "216" not in {call.document["src"] for call in night.values()}


def test_call_back_rings_the_missed_caller_and_then_the_extension(night: Told) -> None:
    call = night["36304115573"]
    assert (call.events, fields(call)) == ([], (0, "217", "217", []))
    assert (call.document["src"], call.document["dst"]) == ("217", "36304115573")
    assert is_as_lived(call.document, night.lived.of("36304115573"))


def test_call_back_that_the_missed_caller_does_not_take(night: Told) -> None:
    call = night["36305115574"]
    assert (call.events, fields(call)) == ([], (0, None, None, []))
    assert [call.document[name] for name in ("src", "answer_time")] == [None, None]
    assert call.document["ringtime"] == pytest.approx(2, abs=1)


def test_two_colleagues_who_call_the_same_colleague_leave_a_caller_to_him_alone(night: Told) -> None:
    call = night["3670000076"]
    assert call.events == live("ringing 232", "answer 232")
    assert fields(call) == (1, "232", "232", [])
    told_of = {call.document["src"] for call in night.values()}
    assert not told_of & {"233", "234"}
