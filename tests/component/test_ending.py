"""From CDR rows and ended calls to deliveries: a real store, a real CDR database, time passed in."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from story import TRUNK, Story, inbound_example

from vipex_bridge.bridge.ending import Ending
from vipex_bridge.bridge.live import Live
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.config.load import load_text
from vipex_bridge.store.outbox import Delivery
from vipex_bridge.store.store import Store

START = 1_795_409_430.0
COLUMNS = (
    "start, answer, end, clid, src, dst, dcontext, channel, dstchannel, lastapp, lastdata, "
    "duration, billsec, disposition, amaflags, accountcode, peeraccount, uniqueid, linkedid, sequence, "
    "userfield, ivr_digits, custom_field, pincode, cost_location, cc_call, recordingfile"
)

CONFIGURATION = """
node: test
timezone: UTC
asterisk:
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
  recordings: {{root: {folder}/monitor, wait: 10s}}
numbers: {{trunks: ['PJSIP/trunk*']}}
clients:
  billing: {{kind: call_end, url: 'http://host/cdr'}}
  broken: {{kind: call_end, url: 'http://host/cdr', body: '{{{{ 1 // billsec }}}}', content_type: text/plain}}
  sales: {{kind: call_end, url: 'http://host/cdr', match: {{dst: ['99*']}}}}
  missed: {{kind: call_end, url: 'http://host/cdr', directions: [2]}}
"""


class Bench:
    """The rooms between CDR, tracker and store, with a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = START
        self.connected = True
        (folder / "monitor").mkdir()
        with closing(sqlite3.connect(folder / "master.db")) as database:
            database.execute(f"CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, {COLUMNS})")
            database.commit()
        settings = load_text(CONFIGURATION.format(folder=folder), Path("config.yaml"), {}).settings
        assert settings.cdr is not None
        self.store = Store(f"sqlite:///{folder}/state.db", "test")
        self.tracker = Tracker(numbering_of(settings.numbers))
        telling = Telling(settings)
        self.ending = Ending(
            settings,
            self.tracker,
            self.store,
            telling,
            Poller(settings.cdr, settings.timezone, self.store.cursor(), clock=self.clock),
            ami_connected=lambda: self.connected,
            wake=lambda client: None,
            clock=self.clock,
        )
        self.live = Live(
            self.tracker,
            self.store,
            telling,
            on_ended=self.ending.on_ended,
            wake=lambda client: None,
            clock=self.clock,
        )
        self.step()

    def clock(self) -> float:
        return self.now

    def step(self, seconds: float = 0.0) -> None:
        """Time goes on, with a round every now and then."""
        rounds = max(1, min(round(seconds), 60))
        for _ in range(rounds):
            self.now += seconds / rounds
            asyncio.run(self.ending.step())

    def happens(self, story: Story) -> None:
        """AMI tells a story, which is committed."""

        self.live.on_events(story.events)
        assert asyncio.run(self.live.commit())

    def row(self, **values: object) -> None:
        """Asterisk writes a row."""
        row = {
            "start": "2026-11-23 04:50:30", "answer": "2026-11-23 04:50:42", "end": "2026-11-23 04:50:46",
            "src": "3642999425", "dst": "3642999408", "channel": TRUNK, "dstchannel": "PJSIP/251-00000004",
            "lastapp": "Dial", "duration": 16, "billsec": 4, "disposition": "ANSWERED", "uniqueid": "100.1",
            "linkedid": "100.1", "sequence": 1, **values,
        }  # fmt: skip
        with closing(sqlite3.connect(self.folder / "master.db")) as database:
            names = ", ".join(row)
            marks = ", ".join("?" for _ in row)
            database.execute(f"INSERT INTO cdr ({names}) VALUES ({marks})", list(row.values()))
            database.commit()

    def told(self, client: str = "billing") -> list[Delivery]:
        return self.store.deliveries(client=client)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


def body(delivery: Delivery) -> str:
    assert delivery.request is not None
    return delivery.request.body or ""


def test_a_call_is_told_when_it_is_over_its_rows_are_there_and_it_has_settled(bench: Bench) -> None:
    bench.happens(inbound_example(START))
    bench.step(1)
    bench.row()
    bench.step(1)
    assert bench.told() == []
    bench.step(12)
    [delivery] = bench.told()
    assert '"direction": 1' in body(delivery)
    bench.step(100)
    assert len(bench.told()) == 1


def test_rows_present_do_not_mean_that_the_call_is_over(bench: Bench) -> None:
    story = inbound_example(START)
    story.events = story.events[:-2]
    bench.happens(story)
    bench.row()
    bench.step(1)
    bench.step(3600)
    assert bench.told() == []


def test_a_call_without_rows_is_told_after_a_minute_from_what_was_seen(bench: Bench) -> None:
    bench.happens(inbound_example(START))
    bench.step(50)
    assert bench.told() == []
    bench.step(11)
    bench.step(10)
    assert len(bench.told()) == 1


def test_a_call_that_only_the_cdr_knows_is_told_from_it_after_ten_quiet_seconds(bench: Bench) -> None:
    bench.row(uniqueid="200.7", linkedid="200.7")
    bench.step(1)
    bench.step(8)
    assert bench.told() == []
    bench.step(3)
    bench.step(10)
    [delivery] = bench.told()
    assert '"exten": "251"' in body(delivery)


def test_a_late_row_changes_nothing_and_is_counted(bench: Bench) -> None:
    bench.happens(inbound_example(START))
    bench.row()
    bench.step(1)
    bench.step(13)
    bench.row(sequence=9, dstchannel="PJSIP/252-00000009")
    bench.step(1)
    bench.step(100)
    assert len(bench.told()) == 1
    assert bench.ending.late_rows == 1


def test_an_unreadable_recording_is_null_and_the_rest_is_told(bench: Bench) -> None:
    bench.happens(inbound_example(START))
    bench.row()
    bench.step(1)
    bench.step(5)
    assert bench.told() == [], "the recording is waited for"
    bench.step(11)
    [delivery] = bench.told()
    assert '"monitor_file_name": null, "monitor_file": null' in body(delivery)
    assert '"billsec": 4' in body(delivery)


def test_a_recording_is_waited_for_until_it_stops_growing(bench: Bench) -> None:
    recording = bench.folder / "monitor" / "91064.wav"
    bench.happens(inbound_example(START))
    bench.row()
    recording.write_bytes(b"RIFF" * 10)
    bench.step(3)
    recording.write_bytes(b"RIFF" * 20)
    bench.step(1)
    assert bench.told() == []
    bench.step(2)
    [delivery] = bench.told()
    assert '"monitor_file_name": "91064.wav"' in body(delivery)
    assert delivery.request is not None
    assert [slot.reference for slot in delivery.request.slots] == ["/var/spool/asterisk/monitor/91064.wav"]


def test_a_template_that_fails_parks_its_delivery_with_the_reason(bench: Bench) -> None:
    bench.happens(Story(START).arrives(TRUNK, "1", "2").wait(3).hangs_up(TRUNK))
    bench.row(disposition="NO ANSWER", billsec=0, answer="", dstchannel="")
    bench.step(1)
    bench.step(5)
    [parked] = bench.told("broken")
    assert (parked.status, parked.request) == ("failed", None)
    assert parked.error
    assert len(bench.told("billing")) == 1


def test_filters_and_directions_decide_who_is_told(bench: Bench) -> None:
    bench.happens(inbound_example(START))
    bench.row()
    bench.step(1)
    bench.step(20)
    assert (len(bench.told("billing")), bench.told("sales"), bench.told("missed")) == (1, [], [])


def test_an_impossible_row_harms_only_itself(bench: Bench) -> None:
    bench.row(uniqueid="300.1", linkedid="300.1", start="yesterday", sequence=3)
    bench.row(uniqueid="200.7", linkedid="200.7")
    bench.step(1)
    bench.step(12)
    bench.step(11)
    assert len(bench.told()) == 1


def test_a_missing_source_does_not_keep_seen_calls_from_being_told(bench: Bench) -> None:
    (bench.folder / "master.db").unlink()
    bench.happens(inbound_example(START))
    bench.step(70)
    bench.step(11)
    assert len(bench.told()) == 1


def test_after_a_restart_an_ended_call_is_still_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.happens(inbound_example(START))
    bench.row()
    bench.step(1)
    bench.store.close()
    settings = load_text(CONFIGURATION.format(folder=tmp_path), Path("config.yaml"), {}).settings
    assert settings.cdr is not None
    with closing(Store(f"sqlite:///{tmp_path}/state.db", "test")) as store:
        again = Ending(
            settings,
            Tracker(numbering_of(settings.numbers)),
            store,
            Telling(settings),
            Poller(settings.cdr, settings.timezone, store.cursor(), clock=bench.clock),
            ami_connected=lambda: False,
            wake=lambda client: None,
            clock=bench.clock,
        )
        again.restore()
        for _ in range(3):
            bench.now += 11
            asyncio.run(again.step())
        [delivery] = store.deliveries(client="billing")
    assert '"billsec": 4' in body(delivery)
