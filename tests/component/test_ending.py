"""From CDR rows and ended calls to deliveries: a real store, a real CDR database, time passed in."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ending_bench import CONFIGURATION, START, Bench, body, unclaimed
from story import TRUNK, Story, inbound_example, retold
from structlog.testing import capture_logs

from vipex_bridge.bridge.ending import Ending
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.events import NewChannel
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.cdr.sqlite_source import SqliteSource
from vipex_bridge.config.load import load_text
from vipex_bridge.errors import StoreError
from vipex_bridge.store.calls import StoredCall
from vipex_bridge.store.store import Store
from vipex_bridge.store.writer import Writer


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


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


def test_the_id_of_a_call_is_known_while_it_is_up(bench: Bench) -> None:
    story = inbound_example(START)
    events, story.events = story.events, story.events[:-2]
    [key] = {event.channel.linkedid for event in events if isinstance(event, NewChannel)}
    assert asyncio.run(bench.live.id_of(key)) is None

    async def asked_before_it_is_committed() -> int | None:
        bench.live.on_events(story.events)
        asking = asyncio.create_task(bench.live.id_of(key))
        await asyncio.sleep(0)
        assert not asking.done()
        assert await bench.live.commit()
        return await asking

    found = asyncio.run(asked_before_it_is_committed())
    assert found is not None
    assert found == bench.store.call_id(key) == asyncio.run(bench.live.id_of(key))
    story.events = events[-2:]
    bench.happens(story)
    assert asyncio.run(bench.live.id_of(key)) is None


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


@pytest.mark.parametrize(
    "impossible", [{"start": "yesterday", "sequence": 3}, {"sequence": 1e20}, {"end": "", "duration": 1e12}]
)
def test_an_impossible_row_harms_only_itself(bench: Bench, impossible: dict[str, object]) -> None:
    bench.row(uniqueid="300.1", linkedid="300.1", **impossible)
    bench.row(uniqueid="200.7", linkedid="200.7")
    bench.step(1)
    bench.step(12)
    bench.step(11)
    assert len(bench.told()) == 1


def test_a_look_that_breaks_off_is_logged_and_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.happens(inbound_example(START))
    bench.row(uniqueid="200.7", linkedid="200.7")
    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr("vipex_bridge.calls.testimony.groups", lambda rows: 1 // 0)
        bench.step(60)
        bench.step(12)
    # The call that AMI saw is told meanwhile, the row's as soon as it can be taken.
    assert len(bench.told()) == 1
    failed = [entry for entry in logs if entry["event"] == "cdr.look_failed"]
    assert failed[0]["exc_info"] and bench.ending.failed_looks == len(failed)
    bench.step(12)
    bench.step(11)
    assert len(bench.told()) == 2


def test_a_source_that_breaks_every_look_is_in_trouble_until_one_succeeds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.happens(inbound_example(START))
    bench.row()
    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(SqliteSource, "after", lambda *asked: 1 // 0)
        bench.step(30)
        assert "ZeroDivisionError" in (bench.ending.source_trouble or "")
        assert bench.told() == [], "its rows may say more than AMI"
    assert [entry["event"] for entry in logs].count("cdr.look_failed") == bench.ending.failed_looks
    bench.step(3)
    assert bench.ending.source_trouble is None
    bench.step(12)
    [call] = bench.store.calls(limit=10)
    assert len(bench.told()) == len(bench.store.rows_of(call.id)) == 1


@pytest.mark.parametrize("what", ["the store", "a fault of ours"])
def test_a_call_whose_rows_cannot_be_kept_is_not_told_without_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    bench.happens(inbound_example(START))
    bench.row()

    def failing(*given: object) -> None:
        raise StoreError("disk full") if what == "the store" else RuntimeError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr(Writer, "add_rows", failing)
        bench.step(90)
        assert bench.told() == []
        assert (bench.ending.source_trouble is not None) == (what == "a fault of ours")
    bench.step(12)
    assert bench.ending.source_trouble is None and len(bench.told()) == 1
    [call] = bench.store.calls(limit=10)
    assert len(bench.store.rows_of(call.id)) == 1 and bench.ending.late_rows == 0


CRM = "  crm: {kind: notify, on: [arrival, hangup], url: 'http://host/ring', method: POST}\n"


def test_a_call_at_a_time_that_no_calendar_has_harms_only_itself(tmp_path: Path) -> None:
    bench = Bench(tmp_path, clients=CRM)
    bench.live.on_events(retold(inbound_example(999_999_999_999.0).events, 7))
    bench.happens(inbound_example(START))
    bench.step(60)
    bench.step(12)
    with closing(bench.store):
        told = [*bench.told("crm"), *bench.told()]
    assert [delivery.event for delivery in told if delivery.status == "queued"] == [
        "hangup",
        "arrival",
        "call_end",
    ]
    failed = [delivery for delivery in told if delivery.status == "failed"]
    assert [delivery.event for delivery in failed] == ["hangup", "arrival", "call_end"]
    assert all("no time of this calendar" in (delivery.error or "") for delivery in failed)


@pytest.mark.parametrize("what", ["the commit's answer", "the look at the call"])
def test_rows_whose_commit_seems_to_fail_are_taken_up_all_the_same(bench: Bench, what: str) -> None:
    write, call, is_silent = bench.store.write, bench.store.call, True

    @contextmanager
    def kept_but_not_answered(now: float) -> Iterator[Writer]:
        nonlocal is_silent
        with write(now) as writer:
            yield writer
        if is_silent and what == "the commit's answer":
            is_silent = False
            raise StoreError("no answer within 10 s")

    def not_looked_at(call_id: int) -> StoredCall | None:
        nonlocal is_silent
        if is_silent and what == "the look at the call":
            is_silent = False
            raise StoreError("no answer within 10 s")
        return call(call_id)

    bench.store.write = kept_but_not_answered  # type: ignore[method-assign]
    bench.store.call = not_looked_at  # type: ignore[method-assign]
    bench.row(uniqueid="200.7", linkedid="200.7")
    bench.step(1)
    bench.step(12)
    bench.step(11)
    assert not is_silent
    assert len(bench.told()) == 1


def test_what_a_full_store_refuses_many_times_is_kept_once_as_it_was_last(bench: Bench) -> None:
    refusing = "CREATE TRIGGER refusing BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'full'); END"
    counting = (
        "CREATE TRIGGER counting AFTER UPDATE ON calls BEGIN INSERT INTO meta VALUES (random(), ''); END"
    )
    story = inbound_example(START)
    with closing(sqlite3.connect(bench.folder / "state.db", isolation_level=None)) as other:
        other.execute(refusing)
        for event in story.events:
            bench.live.on_events([event])
            assert not asyncio.run(bench.live.commit())
        other.execute("DROP TRIGGER refusing")
        before = other.execute("SELECT count(*) FROM meta").fetchone()[0]
        other.execute(counting)
        assert asyncio.run(bench.live.commit())
        assert other.execute("SELECT count(*) FROM meta").fetchone()[0] == before + 1
    [call] = bench.store.calls(limit=10)
    assert call.state == "ended"


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
            claiming=unclaimed,
            clock=bench.clock,
            monotonic=lambda: bench.passed,
        )
        again.restore()
        for _ in range(3):
            bench.now += 11
            bench.passed += 11
            asyncio.run(again.step())
        [delivery] = store.deliveries(client="billing")
    assert '"billsec": 4' in body(delivery)


def test_the_clock_set_back_an_hour_keeps_no_call_waiting(bench: Bench) -> None:
    bench.happens(inbound_example(START))
    bench.row()
    bench.step(1)
    bench.now -= 3600
    bench.step(12)
    assert len(bench.told()) == 1


def test_the_clock_set_forward_a_day_tells_no_call_before_it_has_settled(bench: Bench) -> None:
    bench.row()
    bench.step(1)
    bench.now += 86_400
    bench.step(8)
    assert bench.told() == []
    bench.step(4)
    assert len(bench.told()) == 1
