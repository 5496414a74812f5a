"""Real calls whose CDR and CEL Asterisk writes to CSV files, by cdr_csv and by the shipped mappings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from csv_sources import WrittenToFiles
from house import House
from laboratory import OLD_ROOT, SECOND_PORTS
from parts import lengths, tree
from phones import Phone, caller, extension
from played import check_arithmetic, played
from playing import play

pytestmark = pytest.mark.pbx

CALLER = "3642999425"
WAYS = {
    "cdr_csv": ("cdr_csv", None),
    "cdr_custom": ("cdr_custom", None),
    "Asterisk 16": ("cdr_custom", OLD_ROOT),
}


@pytest.fixture(scope="module", params=list(WAYS.values()), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> tuple[WrittenToFiles, Path | None]:
    module, root = request.param
    return WrittenToFiles(module), root


@pytest.fixture(scope="module")
def written(way: tuple[WrittenToFiles, Path | None]) -> WrittenToFiles:
    return way[0]


@pytest.fixture(scope="module")
def csv_house(way: tuple[WrittenToFiles, Path | None]) -> Iterator[House]:
    files, root = way
    with House(SECOND_PORTS, prepare=files.prepare, sources=files.sources, asterisk_root=root) as running:
        yield running


def transfer() -> list[Phone]:
    return [
        extension("251").rings(1).answers().waits(2).transfers_to("252"),
        extension("252").rings(2).answers().talks(2).hangs_up(),
        caller(CALLER).dials("3642999409").is_answered().waits_for_bye(),
    ]


def told(house: House, written: WrittenToFiles, phones: list[Phone], rows: int) -> dict[str, Any]:
    """The call's document, which came in time, so not without its rows: so many are in the file."""
    before = written.rows(house.asterisk)
    call = played(house, phones)
    check_arithmetic(call.document)
    assert written.rows(house.asterisk) - before == rows
    return call.document


def test_inbound_answered(csv_house: House, written: WrittenToFiles) -> None:
    document = told(
        csv_house,
        written,
        [
            extension("251").rings(3).answers().waits_for_bye(),
            caller(CALLER).dials("3642999409").is_answered().talks(2).hangs_up(),
        ],
        rows=1,
    )
    assert (document["direction"], document["exten"], document["src"]) == (1, "251", CALLER)
    assert lengths(document) == (5, 3, 2)
    assert not [line for line in csv_house.bridge.lines if line["event"] == "cdr.bad_row"]


def test_inbound_missed(csv_house: House, written: WrittenToFiles) -> None:
    document = told(
        csv_house,
        written,
        [
            extension("251").rings().is_cancelled(),
            caller(CALLER).dials("3642999409").hears_ringing().waits(3).gives_up(),
        ],
        rows=1,
    )
    assert (document["direction"], document["exten"], document["answer_time"]) == (2, "251", None)
    assert lengths(document) == (3, 3, 0)


def test_blind_transfer(csv_house: House, written: WrittenToFiles) -> None:
    document = told(csv_house, written, transfer(), rows=2)
    assert [part[1] for part in tree(document)] == ["251", "252"]


def test_what_the_source_has_is_judged_well(csv_house: House, written: WrittenToFiles) -> None:
    said = csv_house.bridge.command("doctor").stdout.splitlines()
    lines = [line for line in said if line.split()[1] in ("cdr:", "cel:")]
    states = {line.split()[0] for line in lines}
    # The columns that the dialplan's routines set, cdr_csv cannot write.
    assert states == ({"well"} if written.module == "cdr_custom" else {"well", "note"}), said
    assert [line.split()[0] for line in lines if "can be read" in line] == ["well", "well"]


def test_a_transfer_with_the_bridge_away_is_told_from_cdr_and_cel(csv_house: House) -> None:
    """Who was transferred to whom, and when, only CEL knows."""
    csv_house.bridge.wait_for("reconcile.done", 60.0)
    before = len(csv_house.receiver.requests_received())
    csv_house.bridge.stop()
    play(csv_house.asterisk, transfer())
    csv_house.bridge.start()
    [document] = csv_house.documents(1, before, timeout_s=60)
    check_arithmetic(document)
    assert "cel.source_failed" not in csv_house.bridge.log()
    assert "CEL rows" in csv_house.bridge.command("explain", str(document["id"])).stdout
    assert [part[1] for part in tree(document)] == ["251", "252"]
    assert [part["ringtime"] for part in document["sub_cdrs"]] == [1, 2]


def test_a_rotation_with_the_bridge_away_loses_nothing(csv_house: House, written: WrittenToFiles) -> None:
    csv_house.bridge.wait_for("reconcile.done", 60.0)
    before = len(csv_house.receiver.requests_received())
    csv_house.bridge.stop()
    play(csv_house.asterisk, transfer())
    for file in written.files(csv_house.asterisk):
        file.rename(file.with_name("Master.csv.1"))
    play(csv_house.asterisk, transfer())
    csv_house.bridge.start()
    documents = csv_house.documents(2, before, timeout_s=60)
    assert len(documents) == 2
    for document in documents:
        check_arithmetic(document)
        assert [part[1] for part in tree(document)] == ["251", "252"]
        assert [part["ringtime"] for part in document["sub_cdrs"]] == [1, 2]
