"""A bridge without AMI and CEL on a PBX that goes FreePBX's ways: its CDR table is all that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from freepbx import Freepbx
from house import House
from laboratory import SECOND_PORTS
from parts import tree
from phones import Phone, caller, extension
from played import check_arithmetic
from playing import play
from sql_servers import SqlServer
from timeline import Lived, Timeline

pytestmark = pytest.mark.pbx

NUMBERS = """
  extensions: '^2\\d\\d$'
  devices: ['PJSIP/701']
"""


@pytest.fixture(scope="module")
def quiet_house(mariadb_server: SqlServer) -> Iterator[House]:
    """A bridge that has the table alone."""
    pbx = Freepbx(mariadb_server)
    [cdr] = [line for line in pbx.sources.splitlines() if line.startswith("  cdr:")]
    running = House(SECOND_PORTS, prepare=pbx.prepare, sources=cdr, numbers=NUMBERS)
    text = running.bridge.config.read_text("utf-8")
    running.bridge.config.write_text(re.sub(r"(?m)^  ami: .*\n", "", text), "utf-8")
    with running:
        yield running


class Told(dict[str, dict[str, Any]]):
    """Each call's document by its outside number; `lived` is what the telephones saw of all."""

    lived: Timeline


@pytest.fixture(scope="module")
def told(quiet_house: House) -> Told:
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
        extension("207").rings().is_cancelled(),
        extension("208").rings(2).answers().waits_for_bye(),
        caller("3670000006", 5076).dials("3642998006").is_answered().waits(5).hangs_up(),
        extension("209").rings(1).refuses(),
        extension("210").rings(2).answers().waits_for_bye(),
        caller("3670000007", 5077).dials("3642998007").is_answered().waits(6).hangs_up(),
        extension("216").rings(1).answers().waits(2).transfers_to("215"),
        extension("215").rings(2).answers().talks(2).hangs_up(),
        caller("3670000014", 5079).dials("3642998014").is_answered().waits_for_bye(),
        Phone("trunk4", "36304112222").rings(2).answers().waits_for_bye(),
        extension("213").dials("36304112222").is_answered().talks(2).hangs_up(),
        extension("212").rings(1).answers().waits_for_bye(),
        extension("206").dials("212").is_answered().talks(1).hangs_up(),
    ]
    quiet_house.bridge.wait_for("reconcile.done", 60.0)
    before = len(quiet_house.receiver.requests_received())
    lived = play(quiet_house.asterisk, phones)
    found = Told()
    found.lived = lived
    for document in quiet_house.documents(8, before, timeout_s=60.0):
        check_arithmetic(document)
        assert document["other_party_number"] not in found
        found[document["other_party_number"]] = document
    return found


def test_answered(told: Told) -> None:
    document = told["3670000001"]
    assert fields(document) == (1, "201", "201", [])
    assert is_as_lived(document, told.lived.of("201"))
    assert (document["src"], document["dst"]) == ("3670000001", "3642998001")
    assert document["monitor_file_name"].startswith("in-3642998001-3670000001-")
    assert document["monitor_file"] is not None


def test_missed(told: Told) -> None:
    assert fields(told["3670000002"]) == (2, "202", "202", [])
    assert is_as_lived(told["3670000002"], told.lived.of("202"))


def test_user_at_a_device(told: Told) -> None:
    assert fields(told["3670000003"]) == (1, "231", "231", [])
    assert is_as_lived(told["3670000003"], told.lived.of("701"))


def test_ring_group_of_local_channels(told: Told) -> None:
    document = told["3670000004"]
    assert fields(document) == (1, "204", "204", [])
    assert is_as_lived(document, told.lived.of("204"))
    assert document["dst"] == "3642998004"
    assert document["monitor_file_name"].startswith("rg-600-3670000004-")


def test_queue_that_rings_all(told: Told) -> None:
    document = told["3670000006"]
    assert fields(document) == (1, "208", "208", [])
    assert is_as_lived(document, told.lived.of("208"))
    assert (document["cc_call"], document["dst"]) == (400, "3642998006")


def test_queue_member_rejects_and_the_next_answers(told: Told) -> None:
    document = told["3670000007"]
    assert [part[:2] for part in tree(document)] == [(2, "209"), (1, "210")]
    for part in document["sub_cdrs"]:
        assert is_as_lived(part, told.lived.of(part["exten"]))
    assert [part["cc_call"] for part in document["sub_cdrs"]] == [401, 401]


def test_blind_transfer_whose_second_ringing_counts_as_talk(told: Told) -> None:
    """The caller's channel was up: its second row is answered from its beginning on."""
    document = told["3670000014"]
    assert [part[:2] for part in tree(document)] == [(1, "216"), (1, "215")]
    first, second = document["sub_cdrs"]
    here, there = told.lived.of("216"), told.lived.of("215")
    # Without the columns `answer` and `end` a leg's end is a second off, beside what whole seconds cut off.
    found = first["ringtime"], first["billsec"], told.lived
    assert first["ringtime"] == pytest.approx(here.ring_s, abs=1), found
    assert first["billsec"] == pytest.approx(here.talk_s, abs=2), found
    assert second["ringtime"] == 0
    assert second["billsec"] == pytest.approx(there.ring_s + there.talk_s, abs=2), found


def test_outbound(told: Told) -> None:
    document = told["36304112222"]
    assert fields(document) == (0, "213", "213", [])
    assert (document["src"], document["dst"]) == ("213", "36304112222")
    assert document["billsec"] == pytest.approx(told.lived.of("36304112222").talk_s, abs=1)
    assert document["monitor_file_name"].startswith("out-36304112222-213-")


def test_nothing_is_told_twice_or_of_internal_calls_or_while_they_go_on(
    quiet_house: House, told: Told
) -> None:
    mark = quiet_house.bridge.mark()
    quiet_house.bridge.stop()
    quiet_house.bridge.start()
    quiet_house.bridge.wait_for("reconcile.done", 60.0, after=mark)
    phones = [
        extension("202").rings(1).answers().waits_for_bye(),
        caller("3670000021", 5071).dials("3642998002").is_answered().talks(1).hangs_up(),
    ]
    before = len(quiet_house.receiver.requests_received())
    play(quiet_house.asterisk, phones)
    [document] = quiet_house.documents(1, before)
    assert fields(document) == (1, "202", "202", [])
    assert len(quiet_house.received("/cdr")) == len(told) + 1
    assert quiet_house.received("/events") == []
    assert "cdr.late_row" not in quiet_house.bridge.log()


def fields(document: dict[str, Any]) -> tuple[int, str | None, str | None, list[Any]]:
    """What most cases are told by."""
    return document["direction"], document["exten"], document["last_exten"], document["sub_cdrs"]


def is_as_lived(part: dict[str, Any], phone: Lived) -> bool:
    """Whether it rang and talked as long as that telephone did; whole seconds are cut off at both ends."""
    talked_s = phone.talk_s if part["answer_time"] is not None else 0.0
    off_s: tuple[float, float] = abs(part["ringtime"] - phone.ring_s), abs(part["billsec"] - talked_s)
    return max(off_s) <= 1
