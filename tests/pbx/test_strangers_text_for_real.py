"""What callers call themselves and what servers answer, through a real Asterisk: told as it is, never run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from canary import SHELL
from house import CLIENTS, MORE_CLIENTS, ROUTE, House
from laboratory import SECOND_PORTS
from phones import caller, extension
from played import Played, played

from vipex_bridge.receive.server import parse_answer

pytestmark = [pytest.mark.pbx, pytest.mark.usefixtures("nothing_is_run")]

CALLER = "3642999425"
CLIENTS_BY_NAME = """
  crm-name:
    kind: lookup
    url: {url}/route
    query: 'who={{{{ args.name }}}}&point={{{{ args.point }}}}'
    response: {{set: {{VIPEX_BRANCH: route.branch}}}}
"""

NAMES = {
    "shell": SHELL,
    "expression": "$[6*7]",
    "another leg": "251&PJSIP/1102",
    "statement": "'); DROP TABLE cdr; --",
    "json": "{'id': 1}, \\u0022",
    "arguments": "point=forged,crm-name,)",
    "pipes": "| ; < > ` %0d%0a",
    "hungarian": "Őri Ödön",
    "long": "x" * 300,
}

ANSWERS = {
    "a function": SHELL,
    "an expression": "$[6*7]",
    "another leg": "251&PJSIP/1102",
    "a quote and a line": 'vip" "x"\nSET VARIABLE VIPEX_EXTEN 1102',
    "a backslash": "vip\\",
    "nothing that prints": "vip\u0000\u202e",
}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House(SECOND_PORTS, clients=CLIENTS + MORE_CLIENTS + CLIENTS_BY_NAME) as running:
        yield running


def names_the_server_was_asked(call: Played) -> list[dict[str, str]]:
    return [dict(request.query) for request in call.requests if request.path == "/route"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_goes_through_every_routine_and_is_only_text(house: House, name: str) -> None:
    before = len(house.asterisk.cdr_rows())
    call = played(house, [caller(CALLER).named(name).dials("3642999431").is_refused(486)])
    document = call.document
    assert (document["src"], document["dst"], document["direction"]) == (CALLER, "3642999431", 2)
    assert (document["pincode"], document["sub_cdrs"]) == (None, [])
    assert not set(document["custom_field"] or "") & set("${}[]\"'\\&|;,`<>%()=")
    [row] = house.asterisk.cdr_rows()[before:]
    assert row["userfield"] == "OK"
    # The routine and the script form asked the same client; a name with a comma ends an argument, no more.
    asked = names_the_server_was_asked(call)
    assert len(asked) == 2
    for query in asked:
        assert query["who"] and name.startswith(query["who"].rstrip())
        assert query["point"] == "name"
    assert call.events == [("arrival", None), ("hangup", None)]


@pytest.mark.parametrize("value", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_no_extension_and_no_branch_is_not_set(house: House, value: str) -> None:
    path, answer = parse_answer(f"/route={ROUTE}")
    hostile = {"route": {"branch": value}, "agent": {"extension": value}}
    house.answers[path] = parse_answer(f"/route={json.dumps(hostile)}")[1]
    try:
        call = played(
            house,
            [
                extension("200").rings(0.5).answers().waits_for_bye(),
                caller(CALLER).dials("3642999415").is_answered().talks(0.5).hangs_up(),
            ],
        )
    finally:
        house.answers[path] = answer
    # Whatever was answered, the caller was put through to the variable's default, and to nobody else.
    assert call.document["exten"] == "200"
    assert [leg["exten"] for leg in call.all_legs[0]["sub_cdrs"]] == []
