"""What strangers choose - names, numbers, answers - through a real Asterisk and our routines."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from canary import CANARY, SHELL
from house import House
from phones import caller, extension
from playing import play

from vipex_bridge.receive.server import Answer
from vipex_bridge.receive.show import ReceivedRequest

pytestmark = [pytest.mark.pbx, pytest.mark.usefixtures("nothing_is_run")]

DID = "3642999432"
NOT_A_LABEL = re.compile(rb"[^0-9A-Za-z\x80-\xff _.:+*#@/-]")
NOT_A_COST = re.compile(r"[^0-9A-Za-z_.-]")
NOT_A_KEY = re.compile(r"[^0-9A-D*#]")


@dataclass(frozen=True)
class Stranger:
    name: str
    number: str
    dialled: str = ""


STRANGERS = {
    "expressions": Stranger('"] ${EPOCH} $[6*7] ' + SHELL, "36$[6*7]${EPOCH}", "${EPOCH}$[1+1]"),
    "shell": Stranger(f"`touch {CANARY}`; $(touch {CANARY}) | & > x", SHELL, SHELL[:60]),
    "more legs": Stranger("500&PJSIP/252@trunk", "500&PJSIP/252,30,tT)", "&PJSIP/252"),
    "quotes": Stranger('it\'s "quoted" \\ back\\\\slash', '36"\'\\"x\\', "\"'\\"),
    "other arguments": Stranger("x,menu=vip,crm-other)", "36,private)", ",private"),
    "routines": Stranger("private", "general", "^general"),
    "languages": Stranger("Őri Ödön 😀 \u202eevil\u2028", "36Ő😀", "Ő"),
    "very long": Stranger("n" * 300, "3" * 300, "9" * 60),
}


def encoded(text: str) -> str:
    """For a SIP address: every byte as %XX, line breaks too."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def dialled(
    house: House, stranger: Stranger, extension_rings: str = "251"
) -> tuple[dict[str, Any], list[ReceivedRequest]]:
    """The CDR row of the stranger's own channel, and all requests of the call, once it was told."""
    before, rows = len(house.receiver.requests_received()), len(house.asterisk.cdr_rows())
    phones = [
        extension(extension_rings).rings(0.3).answers().waits_for_bye(),
        caller(encoded(stranger.number)).named(stranger.name).dials(DID + encoded(stranger.dialled))
        .is_answered().talks(0.5).hangs_up(),
    ]  # fmt: skip
    play(house.asterisk, phones)
    house.documents(1, before)
    new = house.asterisk.cdr_rows()[rows:]
    assert len(new) == 1, "one channel was dialled, no further leg"
    return new[0], house.receiver.requests_received()[before:]


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
def test_what_a_caller_chooses_stays_text_everywhere(house: House, stranger: Stranger) -> None:
    row, requests = dialled(house, stranger)
    assert row["userfield"] == "OK/vip/251 NOCLIENT OK/vip/251"
    number = row["src"]
    assert stranger.number.startswith(number)
    assert len(number.encode()) >= min(len(stranger.number.encode()), 70)
    # A comma parts the arguments of a Gosub: what comes after it is another argument, which is not looked at.
    name, told, keys = (text.partition(",")[0] for text in (stranger.name, number, stranger.dialled))
    assert row["ivr_digits"].replace(",", "") == NOT_A_KEY.sub("", told + keys)
    labels = [NOT_A_LABEL.sub(b"", text.encode()).decode() for text in (name, told)]
    assert row["custom_field"].startswith(",".join(filter(None, labels))[:60])
    assert row["cost_location"] == NOT_A_COST.sub("", told)
    assert row["pincode"] == (told if told == "general" else "")
    assert re.fullmatch(r"[0-9.]+_[0-9.]+\.wav", row["recordingfile"])
    (document,) = [json.loads(r.body) for r in requests if r.path == "/cdr"]
    assert document["src"] == number.strip()
    assert (document["exten"], document["direction"]) == ("251", 1)
    asked = [dict(r.query) for r in requests if r.path == "/route"]
    assert len(asked) == 2
    assert {query["src"] for query in asked} == {number.strip()}
    ringing = [json.loads(r.body) for r in requests if r.path == "/calls" and b'"exten"' in r.body]
    assert ringing
    assert {notice["src"] for notice in ringing} == {number.strip()}


@dataclass(frozen=True)
class Forgery:
    """A number with line breaks, and what comes of it."""

    number: str
    status: str
    exten: str
    routes: int
    """How many times the routing server is asked."""
    src: str = ""
    """What is told of it, when that is not the number as it stands in the CDR."""


REFUSED = "UNAVAILABLE// UNAVAILABLE UNAVAILABLE//"
FORGERIES = {
    "a header": Forgery("36\r\nUniqueid: 1.1", "OK/vip/251 NOCLIENT OK/vip/251", "251", 2),
    "an event": Forgery(
        "36\r\n\r\nEvent: Shutdown\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\nA: b", REFUSED, "200", 0
    ),
    # The script form has its arguments from Asterisk itself, and not from the environment.
    "an argument": Forgery(
        "36\nagi_arg_1: nobody", "UNAVAILABLE// UNAVAILABLE OK/vip/251", "251", 1, src="36"
    ),
    "the end of the environment": Forgery("36\n\n200 result=1 (x)", REFUSED, "200", 0),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_number_with_line_breaks_forges_nothing_and_the_call_goes_on(
    house: House, forgery: Forgery
) -> None:
    mark = house.bridge.mark()
    row, requests = dialled(house, Stranger("Eve", forgery.number), forgery.exten)
    assert row["src"] == forgery.number
    assert row["userfield"] == forgery.status
    assert len([r for r in requests if r.path == "/route"]) == forgery.routes
    (document,) = [json.loads(r.body) for r in requests if r.path == "/cdr"]
    assert document["src"] == (forgery.src or forgery.number)
    assert (document["exten"], document["direction"]) == (forgery.exten, 1)
    events = [line["event"] for line in house.bridge.lines[mark:]]
    assert "ami.malformed" in events
    assert ("agi.environment_refused" in events) is ("UNAVAILABLE" in forgery.status)
    assert "ami.disconnected" not in events


ANSWERS = {
    "legs": "251&PJSIP/252",
    "an expression": "$[1+1]${EPOCH}",
    "a command": SHELL,
    "a line": '251"\nEXEC System "touch ' + CANARY,
    "a carriage return": "251\rEXEC Hangup",
    "a quote": '251"',
    "a backslash": "251\\",
    "long": "1" * 300,
    "nothing printable": "\x00\x1b[2J\u202e",
}


@pytest.mark.parametrize("value", ANSWERS.values(), ids=ANSWERS.keys())
def test_what_a_server_answers_is_a_permitted_value_or_the_default(house: House, value: str) -> None:
    kept = house.answers["/route"]
    answer = {"route": {"branch": value}, "agent": {"extension": value}}
    house.answers["/route"] = Answer("application/json", json.dumps(answer).encode())
    try:
        row, _ = dialled(house, Stranger("Kovács Anna", "3642999425"), "200")
    finally:
        house.answers["/route"] = kept
    assert row["userfield"] == "NOMATCH//200 NOCLIENT NOMATCH//200"
