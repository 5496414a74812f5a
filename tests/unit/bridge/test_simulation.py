"""What a recorded stream would make, over all recorded calls and by rules that hold for each."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from captured_rows import CAPTURES, rows_of

from vipex_bridge.ami.recorded import events_of
from vipex_bridge.bridge.simulation import Simulation, simulate
from vipex_bridge.config.load import load_text
from vipex_bridge.deliver.fill import masked

SETTINGS = load_text(
    """
timezone: UTC
asterisk: {cdr: {source: 'sqlite:////nowhere.db', settle: 2s}}
numbers: {trunks: ['PJSIP/trunk*'], extensions: '^\\d{3,4}$'}
clients:
  crm: {kind: notify, on: [arrival, ringing, answer, hangup], url: 'http://127.0.0.1:9/calls'}
  sales: {kind: notify, on: [arrival], url: 'http://127.0.0.1:9/sales', match: {dst: ['3642999408']}}
  billing: {kind: call_end, url: 'http://127.0.0.1:9/cdr'}
""",
    Path("config.yaml"),
    {},
).settings
CASES = sorted(path.parent for path in CAPTURES.glob("**/ami.log.gz"))


def of(case: Path, *, with_rows: bool = False) -> Simulation:
    data = gzip.decompress((case / "ami.log.gz").read_bytes())
    return simulate(SETTINGS, events_of(data), rows_of(str(case)) if with_rows else [])


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_recorded_call_is_told_whole(case: Path) -> None:
    made = of(case)
    assert made.unfinished == []
    assert [told.at for told in made.told] == sorted(told.at for told in made.told)
    assert not [told.error for told in made.told if told.error]
    calls = {told.call_id for told in made.told}
    finished = [told for told in made.told if told.event == "call_end"]
    assert sorted(told.call_id for told in finished) == sorted(calls), "each call that is told ends, once"
    for told in finished:
        assert told.request is not None
        document = json.loads(masked(told.request, SETTINGS.clients[told.client]).body or "")
        ids = [document["id"], *(part["id"] for part in document["sub_cdrs"])]
        assert ids == sorted(set(ids))
        assert document["id"] == told.call_id
        assert document["monitor_file"] is None, "recordings are not configured"


def test_ids_are_small_and_the_same_each_time() -> None:
    first, again = of(CAPTURES / "o1_same_moment_inbound"), of(CAPTURES / "o1_same_moment_inbound")
    assert [(t.call_id, t.event) for t in first.told] == [(t.call_id, t.event) for t in again.told]
    assert min(told.call_id for told in first.told) == 1


def test_rows_change_nothing_that_ami_saw() -> None:
    case = CAPTURES / "e1_blind_refer"
    with_rows, without = of(case, with_rows=True), of(case)
    assert [(t.at, t.client, t.event) for t in with_rows.told] == [
        (t.at, t.client, t.event) for t in without.told
    ]


def test_clients_get_what_they_asked_for_alone() -> None:
    made = of(CAPTURES / "b_inbound_simple")
    assert {told.client for told in made.told} == {"crm", "billing"}, "the call was to another number"
    [call_end] = [told for told in made.told if told.client == "billing"]
    hangup = next(told for told in made.told if told.event == "hangup")
    assert call_end.at - hangup.at == pytest.approx(2.0, abs=0.5), "it is told `settle` after its end"


def test_a_recording_that_breaks_off_tells_what_happened_until_then() -> None:
    data = gzip.decompress((CAPTURES / "b_inbound_simple" / "ami.log.gz").read_bytes())
    made = simulate(SETTINGS, events_of(data[: data.index(b"Event: Hangup\r\n")]), [])
    assert [told.event for told in made.told] == ["arrival", "ringing", "answer"]
    assert len(made.unfinished) == 1
