"""Every way a call can go that needs no transfer, for real: what is told live, and what afterwards."""

from __future__ import annotations

import pytest
from house import House
from phones import caller, extension
from played import check_arithmetic, played
from playing import play

pytestmark = pytest.mark.pbx

CALLER = "3642999425"


def test_answered(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(2).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().talks(3).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("answer", "251"), ("hangup", None)]
    assert (document["direction"], document["exten"], document["sub_cdrs"]) == (1, "251", [])
    assert (document["ringtime"], document["billsec"]) == (2, 3)
    assert document["monitor_file"] is not None
    assert len(document["main_reference_id"]) >= 32


def test_missed(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings().is_cancelled(),
            caller(CALLER).dials("3642999409").hears_ringing().waits(3).gives_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "251"), ("hangup", None)]
    assert (document["direction"], document["answer_time"], document["exten"]) == (2, None, "251")
    assert (document["ringtime"], document["sub_cdrs"], document["monitor_file"]) == (3, [], None)


def test_ring_group_is_told_as_three_notices_and_one_leg(house: House) -> None:
    call = played(
        house,
        [
            extension("200").rings().is_cancelled(),
            extension("251").waits(0.5).rings(2.5).answers().waits_for_bye(),
            caller(CALLER).dials("3642999410").is_answered().talks(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [
        ("arrival", None),
        ("ringing", "200"),
        ("ringing", "251"),
        ("answer", "251"),
        ("hangup", None),
    ]
    assert (document["exten"], document["sub_cdrs"], document["ringtime"]) == ("251", [], 3)
    parts = call.all_legs[0]["sub_cdrs"]
    assert sorted((part["exten"], part["direction"]) for part in parts) == [("200", 2), ("251", 1)]


def test_caller_gives_up_in_the_queue(house: House) -> None:
    call = played(
        house,
        [
            extension("221").refuses(),
            extension("251").rings().is_cancelled(),
            caller(CALLER).dials("3642999412").is_answered().waits(4).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert ("answer", "251") not in call.events
    assert (document["direction"], document["answer_time"]) == (2, None)
    assert [part["exten"] for part in document["sub_cdrs"]] == ["221", "251"]
    assert [part["cc_call"] for part in document["sub_cdrs"]] == [18, 18]
    assert call.all_legs[0]["cc_call"] == 1


def test_voicemail_that_answers_is_a_missed_call(house: House) -> None:
    call = played(
        house,
        [
            extension("200").rings().is_cancelled(),
            caller(CALLER).dials("3642999413").is_answered().waits(2).hangs_up(),
        ],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("ringing", "200"), ("hangup", None)]
    assert (document["direction"], document["exten"], document["answer_time"]) == (2, "200", None)
    assert (document["ringtime"], document["billsec"], document["sub_cdrs"]) == (3, 0, [])


def test_caller_who_leaves_in_the_menu(house: House) -> None:
    call = played(
        house,
        [caller(CALLER).dials("3642999414").is_answered().waits(1).presses("3").waits(1).hangs_up()],
    )
    document = call.document
    check_arithmetic(document)
    assert call.events == [("arrival", None), ("hangup", None)]
    assert (document["direction"], document["exten"], document["ringtime"]) == (2, None, 0)
    assert (document["ivr_digits"], document["sub_cdrs"]) == ("3", [])


def test_lookup_routes_the_caller(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999415").is_answered().talks(1).hangs_up(),
        ],
    )
    assert (call.document["exten"], call.document["direction"]) == ("251", 1)
    assert any(request.path == "/route" for request in call.requests)


def test_label_and_a_word_from_the_dialplan(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999416").is_answered().talks(1).hangs_up(),
        ],
    )
    assert call.document["custom_field"] == "vip customer"
    [told] = [request for request in call.requests if request.path == "/menu"]
    assert dict(told.query) == {"src": CALLER, "label": "vip customer", "point": "sales", "event": "dialplan"}


def test_unknown_client_lets_the_call_go_on(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999417").is_answered().talks(1).hangs_up(),
        ],
    )
    assert call.document["direction"] == 1
    assert house.asterisk.cdr_rows()[-1]["userfield"] == "NOCLIENT"
    house.bridge.wait_for("lookup.no_client", client="nobody")


def test_script_form_does_the_same(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            caller(CALLER).dials("3642999418").is_answered().talks(1).hangs_up(),
        ],
    )
    assert call.document["direction"] == 1
    assert house.asterisk.cdr_rows()[-1]["userfield"] == "OK 251"
    [told] = [request for request in call.requests if request.path == "/menu"]
    assert dict(told.query)["point"] == "script"


def test_internal_call_is_told_to_nobody(house: House) -> None:
    before = len(house.receiver.requests_received())
    play(
        house.asterisk,
        [
            extension("251").rings(1).answers().waits_for_bye(),
            extension("252").dials("251").is_answered().talks(1).hangs_up(),
        ],
    )
    # A call that is told, placed afterwards, shows that the internal one's turn has passed.
    call = played(
        house,
        [caller(CALLER).dials("3642999414").is_answered().waits(1).hangs_up()],
    )
    later = house.receiver.requests_received()[before:]
    assert {request.path for request in later} <= {"/calls", "/events", "/cdr", "/cdr-all"}
    assert len([r for r in later if r.path == "/cdr"]) == 1
    assert all(notice["id"] == call.document["id"] for notice in house.received("/events", before))


def test_two_calls_at_once(house: House) -> None:
    call = played(
        house,
        [
            extension("251").rings(3).answers().waits_for_bye(),
            extension("200").rings(2).answers().talks(3).hangs_up(),
            caller(CALLER).dials("3642999409").is_answered().talks(3).hangs_up(),
            caller("36709676052", port=5062).after(0.2).dials("3642999411").is_answered().waits_for_bye(),
        ],
        calls=2,
    )
    by_source = {document["src"]: document for document in call.documents}
    for document in call.documents:
        check_arithmetic(document)
    assert (by_source[CALLER]["exten"], by_source[CALLER]["ringtime"]) == ("251", 3)
    assert (by_source["36709676052"]["exten"], by_source["36709676052"]["ringtime"]) == ("200", 2)
    for document in call.documents:
        assert call.events_of(document["id"]) == [
            ("arrival", None),
            ("ringing", document["exten"]),
            ("answer", document["exten"]),
            ("hangup", None),
        ]
