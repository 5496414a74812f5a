"""The cases of the other tests on a PBX that goes FreePBX's ways, with its CDR table on MariaDB.

More of them: test_freepbx_more_for_real.py. The calls of an act are played side by side.
"""

from __future__ import annotations

import pytest
from acts import Told, fields, is_as_lived, parties, recorded, told
from house import House
from phones import Phone, caller, extension

pytestmark = pytest.mark.pbx


@pytest.fixture(scope="module")
def morning(freepbx_house: House) -> Told:
    """Calls that stay where they were sent."""
    phones = [
        extension("201").rings(2).answers().waits_for_bye(),
        caller("3670000001", 5071).dials("3642998001").is_answered().talks(3).hangs_up(),
        extension("202").rings().is_cancelled(),
        # FreePBX has Asterisk say Ringing at once, and the telephone's comes after it.
        caller("3670000002", 5072).dials("3642998002").hears_ringing().hears_ringing().waits(3).gives_up(),
        extension("701").rings(2).answers().waits_for_bye(),
        caller("3670000003", 5073).dials("3642998003").is_answered().talks(2).hangs_up(),
        extension("203").rings().is_cancelled(),
        extension("204").rings(2).answers().waits_for_bye(),
        caller("3670000004", 5074).dials("3642998004").is_answered().talks(2).hangs_up(),
        extension("205").rings().is_cancelled(),
        extension("206").rings(2).answers().waits_for_bye(),
        caller("3670000005", 5075).dials("3642998005").is_answered().talks(2).hangs_up(),
        extension("207").rings().is_cancelled(),
        extension("208").rings(2).answers().waits_for_bye(),
        caller("3670000006", 5076).dials("3642998006").is_answered().waits(5).hangs_up(),
        extension("209").rings(1).refuses(),
        extension("210").rings(2).answers().waits_for_bye(),
        caller("3670000007", 5077).dials("3642998007").is_answered().waits(6).hangs_up(),
        extension("211").rings().is_cancelled(),
        Phone("trunk2", "36302112222").rings(1).answers().waits(2).presses("1").waits_for_bye(),
        caller("3670000008", 5078).dials("3642998008").is_answered().waits(2).hangs_up(),
        extension("212").rings().is_cancelled(),
        caller("3670000009", 5079).dials("3642998009").is_answered().talks(2).hangs_up(),
        extension("213").rings(2).answers().waits_for_bye(),
        caller("3670000010", 5080)
        .dials("3642998010")
        .is_answered()
        .waits(1)
        .presses("1")
        .waits(6)
        .hangs_up(),
        Phone("trunk3", "36303112222").rings(2).answers().waits_for_bye(),
        caller("3670000011", 5081).dials("3642998011").is_answered().talks(2).hangs_up(),
        Phone("trunk4", "36304112222").rings(2).answers().waits_for_bye(),
        extension("701", 5063).dials("36304112222").is_answered().talks(2).hangs_up(),
    ]
    return told(freepbx_house, phones, 12)


def test_answered(morning: Told) -> None:
    call = morning["3670000001"]
    assert call.events == [("arrival", None), ("ringing", "201"), ("answer", "201"), ("hangup", None)]
    assert fields(call) == (1, "201", "201", [])
    assert is_as_lived(call.document, morning.lived.of("201"))
    assert (call.document["src"], call.document["dst"]) == ("3670000001", "3642998001")
    assert recorded(call) == "in-3642998001-3670000001-DAY-TIME-ID.wav"
    assert call.document["monitor_file"] is not None


def test_missed(morning: Told) -> None:
    call = morning["3670000002"]
    assert call.events == [("arrival", None), ("ringing", "202"), ("hangup", None)]
    assert fields(call) == (2, "202", "202", [])
    assert is_as_lived(call.document, morning.lived.of("202"))


def test_ring_group_of_local_channels(morning: Told) -> None:
    call = morning["3670000004"]
    assert call.events[0] == ("arrival", None)
    assert sorted(call.events[1:3]) == [("ringing", "203"), ("ringing", "204")]
    assert call.events[3:] == [("answer", "204"), ("hangup", None)]
    assert fields(call) == (1, "204", "204", [])
    assert is_as_lived(call.document, morning.lived.of("204"))
    assert recorded(call) == "rg-600-3670000004-DAY-TIME-ID.wav"
    all_legs = call.all_legs[0]["sub_cdrs"]
    assert sorted((leg["exten"], leg["direction"]) for leg in all_legs) == [("203", 2), ("204", 1)]


def test_ring_group_that_hunts(morning: Told) -> None:
    call = morning["3670000005"]
    assert call.events == [
        ("arrival", None), ("ringing", "205"), ("ringing", "206"), ("answer", "206"), ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(2, "205"), (1, "206")]
    for part in call.document["sub_cdrs"]:
        assert is_as_lived(part, morning.lived.of(part["exten"]))


def test_queue_of_local_channels_rings_all(morning: Told) -> None:
    call = morning["3670000006"]
    assert sorted(call.events[1:3]) == [("ringing", "207"), ("ringing", "208")]
    assert call.events[3:] == [("answer", "208"), ("hangup", None)]
    assert fields(call) == (1, "208", "208", [])
    assert call.document["cc_call"] == 400
    assert is_as_lived(call.document, morning.lived.of("208"))
    assert recorded(call) == "q-400-3670000006-DAY-TIME-ID.wav"


def test_queue_member_rejects_and_the_next_answers(morning: Told) -> None:
    call = morning["3670000007"]
    assert call.events == [
        ("arrival", None), ("ringing", "209"), ("ringing", "210"), ("answer", "210"), ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(2, "209"), (1, "210")]
    for part in call.document["sub_cdrs"]:
        assert is_as_lived(part, morning.lived.of(part["exten"]))
    assert [part["cc_call"] for part in call.document["sub_cdrs"]] == [401, 401]


def test_voicemail_takes_what_nobody_answers(morning: Told) -> None:
    call = morning["3670000009"]
    assert call.events == [("arrival", None), ("ringing", "212"), ("hangup", None)]
    assert fields(call) == (2, "212", "212", [])
    assert (call.document["answer_time"], call.document["billsec"]) == (None, 0)
    assert is_as_lived(call.document, morning.lived.of("212"))


def test_time_condition_and_menu(morning: Told) -> None:
    call = morning["3670000010"]
    assert call.events == [("arrival", None), ("ringing", "213"), ("answer", "213"), ("hangup", None)]
    assert fields(call) == (1, "213", "213", [])
    assert call.document["ivr_digits"] == "1"
    assert is_as_lived(call.document, morning.lived.of("213"))
    assert recorded(call) == "external-213-3670000010-DAY-TIME-ID.wav"


def test_device_where_a_user_is_logged_in(morning: Told) -> None:
    call = morning["3670000003"]
    assert call.events == [("arrival", None), ("ringing", "231"), ("answer", "231"), ("hangup", None)]
    assert fields(call) == (1, "231", "231", [])
    assert is_as_lived(call.document, morning.lived.of("3670000003"))
    assert recorded(call) == "external-231-3670000003-DAY-TIME-ID.wav"


def test_user_calls_from_a_device(morning: Told) -> None:
    call = morning["36304112222"]
    assert (call.events, fields(call)) == ([], (0, "231", "231", []))
    assert call.document["src"] == "231"
    assert is_as_lived(call.document, morning.lived.of("36304112222"))
    assert recorded(call) == "out-36304112222-231-DAY-TIME-ID.wav"


def test_follow_me_that_the_mobile_confirms(morning: Told) -> None:
    call = morning["3670000008"]
    assert call.events == [("arrival", None), ("ringing", "211"), ("answer", "211"), ("hangup", None)]
    assert fields(call) == (1, "211", "211", [])
    # Answered when 1 was pressed; his own telephone rang until then.
    assert is_as_lived(call.document, morning.lived.of("3670000008"))
    all_legs = [(leg["direction"], leg["exten"], leg["dst"]) for leg in call.all_legs[0]["sub_cdrs"]]
    assert sorted(all_legs) == [(0, "211", "36302112222"), (2, "211", "3642998008")]


def test_call_forward_to_a_mobile(morning: Told) -> None:
    call = morning["3670000011"]
    assert call.events == [("arrival", None), ("answer", "214"), ("hangup", None)]
    assert fields(call) == (1, "214", "214", [])
    assert is_as_lived(call.document, morning.lived.of("36303112222"))


@pytest.fixture(scope="module")
def afternoon(freepbx_house: House) -> Told:
    """Calls on the move, and what goes wrong; beside them an internal one, which nobody is told of."""
    second = extension("203", 5063).after(3).dials("204").is_answered().waits(1).consulted()
    phones = [
        extension("201").rings(1).answers().waits(2).transfers_to("202"),
        extension("202").rings(2).answers().talks(2).hangs_up(),
        caller("3670000021", 5071).dials("3642998001").is_answered().waits_for_bye(),
        extension("203").rings(1).answers().hands_over(second),
        second.waits_for_bye(),
        extension("204").rings(1).answers().waits_for_bye(),
        caller("3670000022", 5072).dials("3642998015").is_answered().waits(8).hangs_up(),
        extension("216").rings().is_cancelled(),
        caller("3670000023", 5073).dials("3642998014").is_answered().waits_for_bye(),
        extension("215").after(2).dials("**216").is_answered().talks(2).hangs_up(),
        extension("205").rings(1).answers().waits(2).presses("1").waits_for_bye(),
        Phone("trunk3", "36303222222").rings().is_cancelled(),
        caller("3670000024", 5074).dials("3642998012").is_answered().talks(2).hangs_up(),
        extension("211").rings(7).answers().waits_for_bye(),
        Phone("trunk2", "36302112222").rings(1).answers().waits_for_bye(),
        caller("3670000025", 5075).dials("3642998008").is_answered().talks(2).hangs_up(),
        extension("207").rings().is_cancelled(),
        extension("208").rings().is_cancelled(),
        caller("3670000026", 5076).dials("3642998006").is_answered().waits(3).hangs_up(),
        extension("701").rings(2).answers().waits_for_bye(),
        caller("3670000027", 5077).dials("3642998013").is_answered().waits(4).hangs_up(),
        extension("209").rings(1).answers().waits(1).parks(),
        caller("3670000028", 5078).dials("3642998016").is_answered().waits_for_bye(),
        extension("210").after(5).dials("701").is_answered().talks(2).hangs_up(),
        Phone("trunk4", "36304333333").refuses("503 Service Unavailable"),
        Phone("trunk", "36304333333").rings(2).answers().waits_for_bye(),
        extension("213").dials("36304333333").is_answered().talks(2).hangs_up(),
        extension("212").rings(1).answers().waits_for_bye(),
        extension("206").dials("212").is_answered().talks(1).hangs_up(),
    ]
    return told(freepbx_house, phones, 9)


def test_blind_transfer_by_refer(afternoon: Told) -> None:
    call = afternoon["3670000021"]
    assert call.events == [
        ("arrival", None), ("ringing", "201"), ("answer", "201"), ("ringing", "202"), ("answer", "202"),
        ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(1, "201"), (1, "202")]
    for part in call.document["sub_cdrs"]:
        assert is_as_lived(part, afternoon.lived.of(part["exten"]))
    assert (call.document["src"], call.document["dst"]) == ("3670000021", "3642998001")


def test_attended_transfer_by_refer(afternoon: Told) -> None:
    call = afternoon["3670000022"]
    assert call.events == [
        ("arrival", None), ("ringing", "203"), ("answer", "203"), ("answer", "204"), ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(1, "203"), (1, "204")]
    # The consultation's ringing was not the caller's.
    assert call.document["sub_cdrs"][1]["ringtime"] == 0


def test_pickup_of_an_extension(afternoon: Told) -> None:
    call = afternoon["3670000023"]
    assert call.events == [("arrival", None), ("ringing", "216"), ("answer", "215"), ("hangup", None)]
    assert parties(call) == [(2, "216"), (1, "215")]


def test_ring_group_that_asks_for_confirmation(afternoon: Told) -> None:
    call = afternoon["3670000024"]
    assert call.events == [("arrival", None), ("ringing", "205"), ("answer", "205"), ("hangup", None)]
    assert fields(call) == (1, "205", "205", [])
    assert call.document["ringtime"] == pytest.approx(1, abs=1)
    # Its talk begins when 1 was pressed, not when it was picked up.
    assert call.document["billsec"] == pytest.approx(afternoon.lived.of("3670000024").talk_s, abs=1)


def test_follow_me_that_the_mobile_does_not_confirm(afternoon: Told) -> None:
    call = afternoon["3670000025"]
    assert call.events == [("arrival", None), ("ringing", "211"), ("answer", "211"), ("hangup", None)]
    assert fields(call) == (1, "211", "211", [])
    assert is_as_lived(call.document, afternoon.lived.of("211"))


def test_caller_gives_up_while_a_queue_rings_all(afternoon: Told) -> None:
    call = afternoon["3670000026"]
    assert sorted(call.events[1:3]) == [("ringing", "207"), ("ringing", "208")]
    assert call.events[3:] == [("hangup", None)]
    assert fields(call)[0] == 2
    assert fields(call)[3] == []
    assert call.document["cc_call"] == 400
    assert is_as_lived(call.document, afternoon.lived.of("207"))


def test_queue_member_at_a_device(afternoon: Told) -> None:
    call = afternoon["3670000027"]
    assert call.events == [("arrival", None), ("ringing", "231"), ("answer", "231"), ("hangup", None)]
    assert (fields(call), call.document["cc_call"]) == ((1, "231", "231", []), 402)


def test_parked_and_retrieved_by_another(afternoon: Told) -> None:
    call = afternoon["3670000028"]
    assert call.events == [
        ("arrival", None), ("ringing", "209"), ("answer", "209"), ("answer", "210"), ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(1, "209"), (1, "210")]
    assert call.document["sub_cdrs"][1]["ringtime"] == 0


def test_outbound_failed_over_to_the_next_trunk(afternoon: Told) -> None:
    call = afternoon["36304333333"]
    assert (call.events, fields(call)) == ([], (0, "213", "213", []))
    assert call.document["src"] == "213"
    assert is_as_lived(call.document, afternoon.lived.of("213"))


def test_internal_call_is_told_to_nobody(afternoon: Told) -> None:
    told_of = {part for call in afternoon.values() for part in (call.document["src"], call.document["exten"])}
    assert not told_of & {"206", "212"}


@pytest.fixture(scope="module")
def evening(freepbx_house: House) -> Told:
    """More calls on the move, by feature code and by the telephones' own forwarding; click to call."""
    second = extension("216", 5063).after(3).dials("215").hears_ringing().hears_ringing().waits(1).consulted()
    phones = [
        extension("201").rings(1).answers().waits(2).presses("##", 0.2).waits(1).presses("202", 0)
        .waits_for_bye(),
        extension("202").rings(2).answers().waits(2).hangs_up(),
        caller("3670000031", 5071).dials("3642998001").is_answered().waits_for_bye(),
        extension("203").rings(1).answers().waits(2).presses("*2", 0.2).waits(1).presses("204", 0.2)
        .waits(6).hangs_up(),
        extension("204").rings(2).answers().waits_for_bye(),
        caller("3670000032", 5072).dials("3642998015").is_answered().waits(16).hangs_up(),
        extension("216").rings(1).answers().hands_over(second),
        second.is_refused(603),
        extension("215").rings(4).answers().waits_for_bye(),
        caller("3670000033", 5073).dials("3642998014").is_answered().waits(9).hangs_up(),
        extension("209").rings(1).answers().waits(2).transfers_to("210"),
        extension("210").rings(3).refuses("480 Temporarily Unavailable"),
        caller("3670000034", 5074).dials("3642998016").is_answered().waits_for_bye(),
        extension("212").rings(1).answers().waits(1).holds(2).waits(1).hangs_up(),
        caller("3670000035", 5075).dials("3642998009").is_answered().waits_for_bye(),
        caller("3670000036", 5076).dials("3642998010").is_answered().waits(2).hangs_up(),
        extension("205").forwards_to("206"),
        extension("206").rings(2).answers().waits_for_bye(),
        caller("3670000037", 5077).dials("3642998017").is_answered().talks(2).hangs_up(),
        extension("208").forwards_to("36302555555"),
        Phone("trunk2", "36302555555").rings(2).answers().waits_for_bye(),
        caller("3670000038", 5078).dials("3642998018").is_answered().talks(2).hangs_up(),
        Phone("trunk4", "36304666666").waits(1).refuses(),
        extension("213").dials("36304666666").is_refused(486),
        Phone("trunk3", "36303777777").rings(1).answers().waits_for_bye(),
        extension("207").dials("36303777777").is_answered().waits(2).transfers_to("218"),
        extension("218").rings(2).answers().talks(2).hangs_up(),
        extension("217").rings(1).answers().waits_for_bye(),
        Phone("trunk", "36301888888").waits(1).rings(2).answers().talks(3).hangs_up(),
    ]  # fmt: skip

    def click() -> None:
        freepbx_house.asterisk.originate("Local/217@from-internal/n", "36301888888", CallerID="<217>")

    return told(freepbx_house, phones, 11, click)


def test_blind_transfer_by_feature_code(evening: Told) -> None:
    call = evening["3670000031"]
    assert call.events == [
        ("arrival", None), ("ringing", "201"), ("answer", "201"), ("ringing", "202"), ("answer", "202"),
        ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(1, "201"), (1, "202")]


def test_attended_transfer_by_feature_code(evening: Told) -> None:
    call = evening["3670000032"]
    assert call.events == [
        ("arrival", None), ("ringing", "203"), ("answer", "203"), ("answer", "204"), ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(1, "203"), (1, "204")]
    # The consultation's ringing was not the caller's.
    assert call.document["sub_cdrs"][1]["ringtime"] == 0


def test_blonde_transfer_by_refer(evening: Told) -> None:
    call = evening["3670000033"]
    assert call.events == [
        ("arrival", None), ("ringing", "216"), ("answer", "216"), ("ringing", "215"), ("answer", "215"),
        ("hangup", None),
    ]  # fmt: skip
    assert parties(call) == [(1, "216"), (1, "215")]
    # It counts from the hand-over.
    assert 1 <= call.document["sub_cdrs"][1]["ringtime"] <= 4


def test_blind_transfer_to_one_who_does_not_answer(evening: Told) -> None:
    call = evening["3670000034"]
    assert call.events[-2:] == [("ringing", "210"), ("hangup", None)]
    assert (parties(call), call.document["direction"]) == ([(1, "209"), (2, "210")], 1)
    for part in call.document["sub_cdrs"]:
        assert is_as_lived(part, evening.lived.of(part["exten"]))


def test_hold_is_talk(evening: Told) -> None:
    call = evening["3670000035"]
    assert call.events == [("arrival", None), ("ringing", "212"), ("answer", "212"), ("hangup", None)]
    assert fields(call) == (1, "212", "212", [])
    assert is_as_lived(call.document, evening.lived.of("212"))


def test_caller_who_leaves_in_the_menu(evening: Told) -> None:
    call = evening["3670000036"]
    assert call.events == [("arrival", None), ("hangup", None)]
    assert fields(call) == (2, None, None, [])
    assert (call.document["ringtime"], call.document["billsec"]) == (0, 0)


def test_forward_by_302_to_an_extension(evening: Told) -> None:
    call = evening["3670000037"]
    assert call.events == [("arrival", None), ("ringing", "206"), ("answer", "206"), ("hangup", None)]
    assert parties(call) == [(2, "205"), (1, "206")]
    assert is_as_lived(call.document["sub_cdrs"][1], evening.lived.of("206"))


def test_forward_by_302_to_the_outside(evening: Told) -> None:
    call = evening["3670000038"]
    assert call.events == [("arrival", None), ("answer", "208"), ("hangup", None)]
    parts = [(p["direction"], p["exten"], p["dst"]) for p in call.document["sub_cdrs"]]
    assert parts == [(2, "208", "3642998018"), (0, "208", "36302555555")]
    assert call.document["direction"] == 1
    assert is_as_lived(call.document["sub_cdrs"][1], evening.lived.of("36302555555"))


def test_outbound_that_is_refused(evening: Told) -> None:
    call = evening["36304666666"]
    assert (call.events, fields(call)) == ([], (0, "213", "213", []))
    assert (call.document["answer_time"], call.document["ringtime"]) == (None, 0)


def test_outbound_then_blind_transferred_to_a_colleague(evening: Told) -> None:
    call = evening["36303777777"]
    assert call.events == []
    assert parties(call) == [(0, "207"), (0, "218")]
    assert {part["src"] for part in call.document["sub_cdrs"]} == {"207"}


def test_click_to_call(evening: Told) -> None:
    call = evening["36301888888"]
    assert (call.events, fields(call)) == ([], (0, "217", "217", []))
    assert call.document["src"] == "217"
    assert is_as_lived(call.document, evening.lived.of("36301888888"))
