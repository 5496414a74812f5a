"""The state database: ids, calls, rows, what it refuses, what it forgets. Real files."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from stored import NOW, claimed, document, found, new, open_in, queued, record, refusal, row, url_of

from vipex_bridge.errors import StoreDamaged, StoreError
from vipex_bridge.store import damage as damage_of_file
from vipex_bridge.store.progress import Progress
from vipex_bridge.store.schema import SCHEMA_VERSION
from vipex_bridge.store.store import Store

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path, store_system: str) -> Iterator[Store]:
    with open_in(tmp_path) as opened:
        yield opened


def identify(store: Store, *keys: str, at: float = NOW) -> int:
    with store.write(at) as writer:
        return writer.identify(keys, at)


def tell(store: Store, call_id: int, at: float = NOW) -> bool:
    with store.write(at) as writer:
        return writer.tell(call_id, document(), "{}")


# -- ids ------------------------------------------------------------------------------------


def test_a_call_keeps_its_id_under_each_of_its_names(store: Store) -> None:
    call_id = identify(store, "link", "one")
    assert identify(store, "one", "two") == call_id
    assert store.call_id("two") == call_id
    assert store.call_id("three") is None


def test_ids_grow_and_are_not_given_again_after_a_restart(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        first = identify(store, "a")
        with store.write(NOW) as writer:
            legs = writer.new_ids(3)
    with open_in(tmp_path) as store:
        second = identify(store, "b")
    assert first < legs[0] < legs[1] < legs[2] < second


def test_ids_are_not_given_again_when_all_is_forgotten(store: Store) -> None:
    first = identify(store, "a")
    tell(store, first)
    assert store.retire(DAY, NOW + 2 * DAY) == 1
    assert identify(store, "a") > first


def test_calls_that_turn_out_to_be_one_become_the_older(store: Store) -> None:
    older, younger = identify(store, "a"), identify(store, "b")
    with store.write(NOW) as writer:
        writer.add_rows([row("b")], younger)
    assert identify(store, "b", "a") == older
    assert store.call_id("b") == older
    assert [kept.uniqueid for kept in store.rows_of(older)] == ["b"]
    assert [call.id for call in store.open_calls()] == [older]
    merged = store.call(younger)
    assert merged is not None and (merged.state, merged.merged_into) == ("ignored", older)


def test_a_call_that_was_told_swallows_no_call_that_was_not(store: Store) -> None:
    told, live = identify(store, "a"), identify(store, "b")
    tell(store, told)
    assert identify(store, "a", "b") == live
    assert store.call_id("a") == told
    assert [call.id for call in store.open_calls()] == [live]


def test_nodes_that_share_a_store_do_not_share_names(tmp_path: Path) -> None:
    with open_in(tmp_path, "pbx1") as one, open_in(tmp_path, "pbx2", alone=False) as two:
        assert identify(one, "a") != identify(two, "a")
        assert [call.node for call in two.open_calls()] == ["pbx2"]


def test_eight_threads_never_get_the_same_id(store: Store) -> None:
    given: list[int] = []

    def take(number: int) -> None:
        for count in range(20):
            given.append(identify(store, f"{number}/{count}"))

    run_all(8, take)
    assert len(given) == len(set(given)) == 160


def test_the_bridge_and_a_command_may_write_at_once(tmp_path: Path, store: Store) -> None:
    given: list[int] = []
    with open_in(tmp_path, alone=False) as beside:

        def take(number: int) -> None:
            for count in range(60):
                given.append(identify((store, beside)[number % 2], f"{number}/{count}"))

        run_all(4, take)
    assert len(given) == len(set(given)) == 240


def run_all(count: int, work: object) -> None:
    assert callable(work)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


# -- calls, rows, recordings ----------------------------------------------------------------


def test_a_restart_goes_on_with_the_calls_that_are_not_told(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        live, ended, told = identify(store, "a"), identify(store, "b"), identify(store, "c")
        with store.write(NOW) as writer:
            writer.save_call(live, state="live", started_at=NOW, facts='{"x": 1}')
            writer.save_call(ended, state="ended", started_at=NOW, ended_at=NOW + 5, facts="{}")
            writer.add_rows([row("b")], ended)
            writer.move_cursor({"id": 7})
        tell(store, told)
    with open_in(tmp_path) as store:
        opened = store.open_calls()
        assert [(call.id, call.state, call.facts) for call in opened] == [
            (live, "live", '{"x": 1}'),
            (ended, "ended", "{}"),
        ]
        assert store.rows_of(ended) == [row("b")]
        assert store.cursor() == {"id": 7}


def test_a_told_call_is_frozen(store: Store) -> None:
    call_id = identify(store, "a")
    assert tell(store, call_id)
    assert not tell(store, call_id, NOW + 60)
    with store.write(NOW + 61) as writer:
        writer.save_call(call_id, state="live", started_at=NOW + 61, facts="late")
        assert not writer.close_call(call_id, state="ignored")
    call = store.call(call_id)
    assert call is not None
    assert (call.state, call.told_at, call.facts) == ("told", NOW, None)
    assert (call.direction, call.src, call.dst, call.exten) == (2, "36709676052", "3619996000", "200")
    assert (call.started_at, call.ended_at, call.document) == (NOW, NOW + 9, "{}")


def test_calls_are_listed_latest_first_in_pages(store: Store) -> None:
    ids = [identify(store, key) for key in "abcde"]
    tell(store, ids[2])
    first = [call.id for call in store.calls(limit=2)]
    rest = [call.id for call in store.calls(limit=9, before_id=first[-1])]
    assert first + rest == ids[::-1]
    assert [call.id for call in store.calls(limit=9, state="told")] == [ids[2]]


@pytest.mark.parametrize("sequence", [None, 3])
def test_a_row_that_is_read_twice_is_kept_once(store: Store, sequence: int | None) -> None:
    call_id = identify(store, "a")
    rows = [row("a", sequence), row("a", sequence, start=None), row("a", sequence, dstchannel="")]
    with store.write(NOW) as writer:
        assert writer.add_rows(rows[:2], call_id) == rows[:2]
    with store.write(NOW) as writer:
        assert writer.add_rows(rows, call_id) == rows[2:]
    assert store.rows_of(call_id) == rows


def test_a_row_without_a_sequence_is_not_the_row_numbered_0(store: Store) -> None:
    call_id = identify(store, "a")
    with store.write(NOW) as writer:
        assert len(writer.add_rows([row("a", None), row("a", 0)], call_id)) == 2


def test_a_recording_is_found_by_its_reference(store: Store) -> None:
    call_id = identify(store, "a")
    with store.write(NOW) as writer:
        writer.add_recording("f00d", call_id, "2026/11/in-1.wav")
    recording = store.recording("f00d")
    assert recording is not None and (recording.call_id, recording.path) == (call_id, "2026/11/in-1.wav")
    assert store.recording("beef") is None


def test_what_fails_half_way_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write(NOW) as writer:
        call_id = writer.identify(["a"], NOW)
        writer.queue(new(call_id=call_id))
        raise RuntimeError("power cut")
    assert store.call_id("a") is None
    assert store.deliveries() == []


def test_a_name_that_is_no_unicode_is_kept_all_the_same(store: Store) -> None:
    call_id = identify(store, "a\udce1\0b")
    assert identify(store, "a\udce1\0b") == call_id
    with store.write(NOW) as writer:
        writer.save_call(call_id, state="live", started_at=NOW, facts="Kov\udce1cs\0")
        writer.add_rows([row("x", clid="Kov\udce1cs")], call_id)
    assert store.rows_of(call_id)[0].clid.startswith("Kov")


# -- opening --------------------------------------------------------------------------------


def test_a_commit_is_on_the_disk_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with open_in(tmp_path) as store:
        identify(store, "a")
        modes = {
            stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("state.db*") if file.suffix != ".lock"
        }
        assert modes == {0o600}
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with store.write(NOW) as writer:
            settings = writer._connection.exec_driver_sql("PRAGMA synchronous").scalar()
        assert settings == 2, "FULL"


def test_a_second_bridge_is_refused_and_told_which_one_has_it(tmp_path: Path) -> None:
    with open_in(tmp_path, "pbx1"):
        said = refusal(lambda: Store(url_of(tmp_path), "pbx2"))
        assert "node pbx1" in said and f"pid {os.getpid()}" in said
    with open_in(tmp_path, "pbx2"):
        pass


def test_a_second_bridge_is_refused_by_whatever_link_it_comes(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "links" / "state.db").symlink_to(tmp_path / "state.db")
    (tmp_path / "links" / "loop.db").symlink_to(tmp_path / "links" / "loop.db")
    with open_in(tmp_path / "links") as store:
        store.keep_progress()
        for folder in (tmp_path, tmp_path / "links", tmp_path / "folder"):
            assert "node pbx1" in refusal(lambda at=folder: Store(url_of(at), "pbx2"))  # type: ignore[misc]
    beside = {file.name for file in tmp_path.iterdir()} - {"links", "folder"}
    assert {"state.db", "state.db.lock", "state.db.progress"} <= beside
    assert sorted(file.name for file in (tmp_path / "links").iterdir()) == ["loop.db", "state.db"]
    assert "leads nowhere" in refusal(lambda: Store(f"sqlite:///{tmp_path}/links/loop.db", "pbx1"))


def test_a_damaged_database_behind_a_link_is_set_aside_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "state.db").symlink_to(tmp_path / "state.db")
    with open_in(tmp_path / "links") as store:
        ids = [identify(store, f"call {number}") for number in range(200)]
        store.keep_progress()
    damage(tmp_path / "state.db")
    with open_in(tmp_path / "links") as store:
        assert identify(store, "another") > max(ids)
    assert (tmp_path / "links" / "state.db").is_symlink()
    assert [file.name for file in tmp_path.iterdir() if "damaged" in file.name]


def test_a_command_may_look_into_the_store_of_a_running_bridge(tmp_path: Path, store: Store) -> None:
    call_id = identify(store, "a")
    with open_in(tmp_path, alone=False) as beside:
        assert beside.call(call_id) == store.call(call_id)
        assert identify(beside, "b") > call_id


def test_the_store_of_a_newer_bridge_is_refused(tmp_path: Path) -> None:
    with open_in(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(SCHEMA_VERSION + 1),)
        )
    assert "newer vipex-bridge" in refusal(lambda: Store(url_of(tmp_path), "pbx1"))


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute("CREATE TABLE cdr (id INTEGER)")
    assert "another program" in refusal(lambda: Store(url_of(tmp_path), "pbx1"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("cdr",)]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"hello, this is a text\n" * 100)
    assert "is not a database" in refusal(lambda: Store(url_of(tmp_path), "pbx1"))


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8192 : len(data) // 2] = b"\xa5" * (len(data) // 2 - 8192)
    path.write_bytes(data)


def test_a_damaged_database_is_set_aside_and_no_id_is_given_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_in(tmp_path) as store:
        ids = [identify(store, f"call {number}") for number in range(200)]
        [waiting] = [identify(store, "the oldest that is not delivered")]
        with store.write(NOW) as writer:
            writer.save_call(waiting, state="ended", started_at=NOW - 600, facts="{}")
        store.keep_progress()
    damage(tmp_path / "state.db")
    with open_in(tmp_path) as store:
        said = capsys.readouterr().out
        assert identify(store, "another") > max(ids)
        assert store.told_since("sqlite:master.db#cdr", NOW + 3600) == NOW - 602
        assert store.calls(limit=10, state="ended") == []
    [aside] = [file for file in tmp_path.iterdir() if "damaged" in file.name]
    assert "store.set_aside" in said and aside.name in said and "store.lost" in said


def test_none_that_was_set_aside_takes_the_place_of_another(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    for number in range(3):
        state.write_bytes(b"damaged %d" % number)
        damage_of_file.clear_the_way(state, Progress(1, NOW, damaged="it was"), NOW)
    aside = {file.read_bytes() for file in tmp_path.iterdir() if "damaged" in file.name}
    assert aside == {b"damaged 0", b"damaged 1", b"damaged 2"}


@pytest.mark.parametrize("instead", ["nothing", "an empty file", "an older copy"])
def test_a_database_that_is_gone_is_made_good_like_a_damaged_one(
    tmp_path: Path, instead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_in(tmp_path) as store:
        identify(store, "call")
    older = (tmp_path / "state.db").read_bytes()
    with open_in(tmp_path) as store:
        last = identify(store, "told in vain")
        store.keep_progress()
    assert "store.lost" not in capsys.readouterr().out
    for name in ("state.db-wal", "state.db-shm", "state.db"):
        (tmp_path / name).unlink(missing_ok=True)
    if instead != "nothing":
        (tmp_path / "state.db").write_bytes(older if instead == "an older copy" else b"")
    with open_in(tmp_path) as store:
        assert identify(store, "another") > last
    assert "store.lost" in capsys.readouterr().out
    with open_in(tmp_path) as store:
        identify(store, "one more")
    assert "store.lost" not in capsys.readouterr().out


def test_damage_met_in_use_is_set_aside_by_the_next_start(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        for number in range(400):
            identify(store, f"call {number}")
        store.keep_progress()
        # The log is emptied into the file, and the file damaged below the open connections.
        with closing(sqlite3.connect(tmp_path / "state.db")) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(tmp_path / "state.db")
        with pytest.raises(StoreDamaged):
            for number in range(400):
                store.call_id(f"call {number}")
        with pytest.raises(StoreDamaged):
            store.keep_progress()
    # What was met counts, also where a quick look at the start finds nothing.
    with closing(sqlite3.connect(tmp_path / "sound.db")) as other:
        other.execute("CREATE TABLE deliveries (id)")
    (tmp_path / "sound.db").rename(tmp_path / "state.db")
    with open_in(tmp_path) as store:
        assert identify(store, "another") > 400
    assert [file for file in tmp_path.iterdir() if "damaged" in file.name]


def test_damage_in_a_later_one_of_several_rows_is_known_as_damage(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        queued(store, *(new(call_id=n, body=f'"{str(n) * 20_000}"') for n in range(1, 6)))
    with closing(sqlite3.connect(tmp_path / "state.db")) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [[page_bytes]] = other.execute("PRAGMA page_size")
    # The third one's request is long: of the pages that it goes on in, the first leads nowhere.
    data = bytearray((tmp_path / "state.db").read_bytes())
    page = data.index(b"3" * 3000) // page_bytes * page_bytes
    data[page : page + 4] = (10**9).to_bytes(4, "big")
    (tmp_path / "state.db").write_bytes(data)
    # Not alone: as of a file that was sound at the start.
    with open_in(tmp_path, alone=False) as store:
        assert [delivery.call_id for delivery in claimed(store, limit=1)] == [1]
        with pytest.raises(StoreDamaged):
            claimed(store, limit=4)
        with pytest.raises(StoreDamaged):
            store.keep_progress()


def test_a_damaged_file_that_may_be_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        for number in range(200):
            identify(store, f"call {number}")
    (tmp_path / "state.db.progress").unlink()
    damage(tmp_path / "state.db")
    before = (tmp_path / "state.db").read_bytes()
    assert "damaged" in refusal(lambda: Store(url_of(tmp_path), "pbx1"))
    assert (tmp_path / "state.db").read_bytes() == before


def test_a_command_sets_nothing_aside(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        for number in range(200):
            identify(store, f"call {number}")
    damage(tmp_path / "state.db")
    with contextlib.suppress(StoreError), open_in(tmp_path, alone=False) as store:
        store.calls(limit=500)
    assert not [file for file in tmp_path.iterdir() if "damaged" in file.name]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/at/all/state.db", "does not exist"),
        ("sqlite:///{folder}", "is a folder"),
        ("sqlite://", "must be sqlite:////path"),
        ("sqlite:///:memory:", "must be sqlite:////path"),
        ("mysql://u:p4ss@db/x", "must be sqlite:////path"),
        ("postgresql://u:p4ss@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://u:p4ss@127.0.0.1", "names no database"),
        ("p4ss", "database URL"),
    ],
)
def test_a_store_that_cannot_be_is_refused_in_one_line(tmp_path: Path, url: str, said: str) -> None:
    refused = refusal(lambda: Store(url.replace("{folder}", str(tmp_path)), "pbx1"))
    assert said in refused
    assert "\n" not in refused and "p4ss" not in refused


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(url_of(tmp_path), "pbx1")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.open_calls()
    with pytest.raises(StoreError, match="closed"), store.write(NOW):
        pass


# -- retention ------------------------------------------------------------------------------


def test_what_is_old_and_done_is_forgotten_with_all_that_hangs_on_it(store: Store) -> None:
    call_id = identify(store, "a")
    with store.write(NOW) as writer:
        writer.add_rows([row("a")], call_id)
        writer.add_recording("f00d", call_id, "in-1.wav")
    [delivery_id] = queued(store, new(call_id=call_id))
    claimed(store)
    record(store, delivery_id, "delivered")
    tell(store, call_id)
    assert store.retire(30 * DAY, NOW + 29 * DAY) == 0
    assert store.retire(30 * DAY, NOW + 31 * DAY) == 2
    with store.reading() as connection:
        for table in ("calls", "call_keys", "cdr_rows", "deliveries", "attempts", "recordings"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0, table


def test_nothing_that_is_still_to_be_told_or_sent_is_ever_forgotten(store: Store) -> None:
    untold, waiting = identify(store, "a"), identify(store, "b")
    with store.write(NOW) as writer:
        writer.save_call(untold, state="ended", started_at=NOW, ended_at=NOW, facts="{}")
    [delivery_id] = queued(store, new(call_id=waiting))
    tell(store, waiting)
    assert store.retire(DAY, NOW + 900 * DAY) == 0
    assert found(store, delivery_id).status == "queued"
    assert {call.id for call in store.calls(limit=9)} == {untold, waiting}


def test_an_id_that_nothing_came_of_is_forgotten(store: Store) -> None:
    identify(store, "a")
    assert store.retire(DAY, NOW + 2 * DAY) == 1
    assert store.open_calls() == []


def test_a_whole_heap_is_forgotten_while_others_write(store: Store) -> None:
    ids = queued(store, *[new(call_id=number) for number in range(1, 1001)])
    claimed(store, limit=1000)
    with store.write(NOW) as writer:
        assert len(ids) == 1000
        writer._connection.exec_driver_sql(f"UPDATE deliveries SET status='delivered', finished_at={NOW}")
    forgotten: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            forgotten.append(store.retire(DAY, NOW + 2 * DAY))
        else:
            identify(store, f"call {number}", at=NOW + 2 * DAY)

    run_all(8, work)
    assert forgotten == [1000]
    assert len(store.open_calls()) == 7


def test_of_two_calls_that_become_one_the_told_id_stays(store: Store) -> None:
    """Two colleagues were talking already when the caller came that one of them was put through to."""
    among_themselves, told = identify(store, "a"), identify(store, "b")
    with store.write(NOW) as writer:
        assert writer.identify(["a", "b"], NOW, keeps="b") == told
    merged = store.call(among_themselves)
    assert merged is not None
    assert (merged.state, merged.merged_into) == ("ignored", told)
