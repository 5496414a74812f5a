"""Real calls whose CDR and CEL Asterisk writes to MariaDB by ODBC, as FreePBX does, and to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from house import House
from laboratory import SECOND_PORTS
from parts import lengths, tree
from phones import Phone, caller, extension
from played import check_arithmetic, played
from playing import play
from sql_servers import SqlServer
from sql_sources import WrittenToServer

pytestmark = pytest.mark.pbx

CALLER = "3642999425"


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def written(request: pytest.FixtureRequest) -> WrittenToServer:
    server: SqlServer = request.getfixturevalue(f"{request.param}_server")
    return WrittenToServer(server)


@pytest.fixture(scope="module")
def sql_house(written: WrittenToServer) -> Iterator[House]:
    with House(SECOND_PORTS, prepare=written.prepare, sources=written.sources) as running:
        yield running


def told(house: House, written: WrittenToServer, phones: list[Phone], rows: int) -> dict[str, Any]:
    """The call's document, which came in time, so not without its rows: so many are in the table."""
    before = written.rows()
    call = played(house, phones)
    check_arithmetic(call.document)
    assert written.rows() - before == rows
    assert "cdr.source_failed" not in house.bridge.log()
    return call.document


def test_inbound_answered(sql_house: House, written: WrittenToServer) -> None:
    document = told(
        sql_house,
        written,
        [
            extension("251").rings(3).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().talks(2).hangs_up(),
        ],
        rows=1,
    )
    assert (document["direction"], document["exten"], document["src"]) == (1, "251", CALLER)
    assert lengths(document) == (5, 3, 2)


def test_inbound_missed(sql_house: House, written: WrittenToServer) -> None:
    document = told(
        sql_house,
        written,
        [
            extension("251").rings().is_cancelled(),
            caller(CALLER).dials("3642999409").hears_ringing().waits(3).gives_up(),
        ],
        rows=1,
    )
    assert (document["direction"], document["exten"], document["answer_time"]) == (2, "251", None)
    assert lengths(document) == (3, 3, 0)


def test_blind_transfer(sql_house: House, written: WrittenToServer) -> None:
    document = told(
        sql_house,
        written,
        [
            extension("251").rings(1).answers().waits(2).transfers_to("252"),
            extension("252").rings(2).answers().talks(2).hangs_up(),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
        ],
        rows=2,
    )
    assert (document["exten"], document["last_exten"]) == ("251", "252")
    assert [part[1] for part in tree(document)] == ["251", "252"]


def test_queue_member_rejects_and_the_next_answers(sql_house: House, written: WrittenToServer) -> None:
    document = told(
        sql_house,
        written,
        [
            extension("221").rings(1).refuses(),
            extension("251").rings(2).answers().waits_for_bye(),
            caller(CALLER).dials("3642999412").is_answered().waits(4).hangs_up(),
        ],
        rows=2,
    )
    assert tree(document) == [(2, "221", 1, 0), (1, "251", 2, 1)]
    assert (document["cc_call"], document["direction"]) == (18, 1)


def test_a_transfer_with_the_bridge_away_is_told_from_cdr_and_cel(
    sql_house: House, written: WrittenToServer
) -> None:
    """Who was transferred to whom, and when, only CEL knows."""
    # Nothing is told of before its very first look.
    sql_house.bridge.wait_for("reconcile.done", 60.0)
    before = len(sql_house.receiver.requests_received())
    sql_house.bridge.stop()
    play(
        sql_house.asterisk,
        [
            extension("251").rings(1).answers().waits(2).transfers_to("252"),
            extension("252").rings(2).answers().talks(2).hangs_up(),
            caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
        ],
    )
    assert written.table.server.run("SELECT COUNT(*) FROM cel")[0][0] > 0
    sql_house.bridge.start()
    [document] = sql_house.documents(1, before, timeout_s=60)
    check_arithmetic(document)
    assert "cel.source_failed" not in sql_house.bridge.log()
    assert "CEL rows" in sql_house.bridge.command("explain", str(document["id"])).stdout
    assert [part[1] for part in tree(document)] == ["251", "252"]
    assert [part["ringtime"] for part in document["sub_cdrs"]] == [1, 2]
