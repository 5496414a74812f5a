"""Calls found as people look for them, and the numbers of a day, from a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from stored import NOW, claimed, document, new, open_in, queued, record

from vipex_bridge.calls.document import CallDocument, to_json
from vipex_bridge.render.sample import inbound_document
from vipex_bridge.store import figures
from vipex_bridge.store.search import CallQuery
from vipex_bridge.store.store import Store


@pytest.fixture
def store(tmp_path: Path, store_system: str) -> Iterator[Store]:
    with open_in(tmp_path) as store:
        yield store


def tell(store: Store, key: str, told: CallDocument) -> int:
    with store.write(NOW) as writer:
        call_id = writer.identify([key], told.main.start_time)
        writer.tell(call_id, told, to_json(told))
    return call_id


def found(store: Store, **wanted: object) -> list[int]:
    return [call.id for call in store.search(CallQuery(**wanted), 50)]  # type: ignore[arg-type]


def test_calls_are_found_by_what_is_known_of_them(store: Store) -> None:
    example = inbound_document(ZoneInfo("Europe/Budapest"))
    one = tell(store, "1.1", example)
    other = tell(store, "2.1", document("36709676052"))
    assert found(store) == [other, one]
    assert found(store, number="999425") == [one]
    assert found(store, number="76052") == [other]
    assert found(store, number="3619996000") == [other]
    assert found(store, number="%") == []
    assert found(store, number="_") == []
    # 251 is the last of the three extensions that were tried.
    assert found(store, extension="251") == [one]
    assert found(store, extension="25") == []
    assert found(store, since=NOW) == [other]
    assert found(store, until=NOW) == [one]


def test_a_call_that_goes_on_is_found_by_the_extension_that_rings(store: Store) -> None:
    with store.write(NOW) as writer:
        call_id = writer.identify(["1.1"], NOW)
        facts = json.dumps({"channels": {"1.2": {"extension": "252"}}})
        writer.save_call(call_id, state="live", started_at=NOW, facts=facts)
    assert found(store, extension="252") == [call_id]
    assert found(store, extension="25") == []


def test_calls_are_found_by_what_a_client_said(store: Store) -> None:
    one, other = tell(store, "1.1", document()), tell(store, "2.1", document())
    [sent, failed] = queued(store, new("crm", one), new("crm", other))
    claimed(store, "crm", 2)
    record(store, sent, "delivered")
    record(store, failed, "failed")
    assert found(store, client="crm", outcome="failed") == [other]
    assert found(store, client="crm", outcome="delivered") == [one]
    assert found(store, client="crm") == [other, one]
    assert found(store, client="billing") == []
    assert found(store, outcome="failed") == [other]


def test_a_call_that_was_merged_into_another_is_not_shown_twice(store: Store) -> None:
    with store.write(NOW) as writer:
        one = writer.identify(["1.1"], NOW)
        writer.identify(["2.1"], NOW)
        writer.identify(["1.1", "2.1"], NOW)
    assert found(store) == [one]


def test_a_clients_day_by_the_hour(store: Store) -> None:
    ids = queued(store, *[new("crm", number) for number in (1, 2, 3)])
    claimed(store, "crm", 3)
    for delivery_id, outcome, at in zip(
        ids, ["delivered", "failed", "delivered"], [0, 10, 7300], strict=True
    ):
        record(store, delivery_id, outcome, now=NOW + at)
    hours = figures.tries_by_hour(store, NOW, NOW + 86400)["crm"]
    assert [(hour.hour, hour.delivered, hour.failed, hour.mean_s) for hour in hours] == [
        (0, 1, 1, 0.25),
        (2, 1, 0, 0.25),
    ]
    assert figures.tries_by_hour(store, NOW + 86400, NOW + 90000) == {}


def test_how_a_client_stands(store: Store) -> None:
    ids = queued(
        store, new("crm", 1), new("crm", 2, at=NOW + 5), new("crm", 3, at=NOW + 6), new("billing", 1)
    )
    claimed(store, "crm", 1)
    record(store, ids[0], "failed")
    standing = figures.standings(store)
    assert standing["crm"] == figures.Standing(2, 1, NOW + 5, NOW + 5)
    assert standing["billing"].queued == 1


def test_the_day_is_made_of_what_was_told(store: Store) -> None:
    tell(store, "1.1", document())
    tell(store, "2.1", replace(document(), main=replace(document().main, start_time=NOW - 90000)))
    assert figures.documents_since(store, NOW - 86400) == [document()]


def test_recordings_of_a_call(store: Store) -> None:
    call_id = tell(store, "1.1", document())
    with store.write(NOW) as writer:
        writer.add_recording("r1", call_id, "/monitor/a.wav", 7)
    assert [(r.reference, r.part_id) for r in figures.recordings_of(store, call_id)] == [("r1", 7)]
