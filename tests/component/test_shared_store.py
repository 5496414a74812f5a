"""Several bridges on one PostgreSQL: names, ids, who sends what, and what becomes of a dead one's work."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from delivering import wait_until
from sql_servers import PASSWORD, SqlServer, postgresql
from stored import NOW, claimed, found, new, queued, record, refusal

from vipex_bridge.errors import StoreError
from vipex_bridge.render.request import Request, Slot
from vipex_bridge.store import nodes
from vipex_bridge.store.outbox import NewDelivery
from vipex_bridge.store.store import Store

CLIENTS = ("billing", "crm")
SOUND = Slot("vipex" + "1" * 32, "recording", "json", True, "in-1.wav")


@pytest.fixture
def url(postgresql_server: SqlServer) -> Iterator[str]:
    with postgresql_server.database() as made:
        yield made


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge is taken for dead sooner."""
    monkeypatch.setattr(nodes, "SILENT_AFTER_S", 1.0)


def test_a_second_bridge_of_the_same_node_is_refused_and_told_which_one_has_it(url: str) -> None:
    with closing(Store(url, "pbx1")), closing(Store(url, "pbx2")):
        said = refusal(lambda: Store(url, "pbx1"))
        assert "another bridge of the node pbx1" in said and f"pid {os.getpid()}" in said
        assert PASSWORD not in said
        with closing(Store(url, "pbx1", alone=False)) as beside:
            assert beside.deliveries() == []
    with closing(Store(url, "pbx1")):
        pass


def test_bridges_that_start_at_the_same_time_make_the_tables_once(url: str) -> None:
    opened: list[Store] = []

    def start(number: int) -> None:
        opened.append(Store(url, f"pbx{number}"))

    starting = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join(60)
    assert len(opened) == 6
    for store in opened:
        store.close()


def test_nobody_waits_for_anothers_transaction_and_no_id_is_given_twice(url: str) -> None:
    with closing(Store(url, "pbx1")) as one, closing(Store(url, "pbx2")) as two:
        with one.write(NOW) as writer:
            first = writer.identify(["1.1"], NOW)
            # The other bridge's call begins and is committed while this one's is not.
            with two.write(NOW) as other:
                second = other.identify(["1.1"], NOW)
            assert two.call_id("1.1") == second != first
        assert one.call_id("1.1") == first
        with one.write(NOW) as writer:
            assert len({first, second, *writer.new_ids(500)}) == 502


def test_each_sends_its_own(url: str) -> None:
    with closing(Store(url, "pbx1")) as one, closing(Store(url, "pbx2")) as two:
        [first], [second] = queued(one, new()), queued(two, new(call_id=2))
        assert [d.id for d in claimed(one, limit=5)] == [first]
        assert [d.id for d in claimed(two, limit=5)] == [second]
        assert one.take_over(CLIENTS, NOW) == {}


@pytest.mark.usefixtures("soon")
def test_what_a_dead_bridge_left_is_sent_by_another_in_order_with_the_same_keys(url: str) -> None:
    dead, alive = Store(url, "pbx1"), Store(url, "pbx2")
    with closing(alive):
        ringing, hangup = queued(dead, new("crm", event="ringing"), new("crm", event="hangup"))
        [sending, strange] = queued(dead, new(call_id=2), new("elsewhere", 3))
        claimed(dead)
        keys = {number: found(dead, number).idempotency_key for number in (ringing, hangup, sending)}
        dead.close()
        assert alive.take_over(CLIENTS, NOW) == {}, "it has just been seen"

        def taken() -> bool:
            alive.keep_progress()
            return alive.take_over(CLIENTS, NOW) == {"pbx1": 3}

        wait_until(taken, within_s=30)
        assert [d.id for d in claimed(alive, "crm", 5)] == [ringing], "the later one of the call waits"
        record(alive, ringing, "delivered")
        assert [d.id for d in claimed(alive, "crm", 5)] == [hangup]
        assert [d.id for d in claimed(alive, limit=5)] == [sending]
        assert {number: found(alive, number).idempotency_key for number in keys} == keys
        assert found(alive, strange).node == "pbx1", "nobody else has that client"
        with closing(Store(url, "pbx1")) as back:
            with back.write(NOW) as writer:
                assert writer.release_claims() == 0
            assert claimed(back, limit=5) == []
            record(back, sending, "failed")
            assert found(back, sending).status == "sending", "what it had begun is another's by now"


@pytest.mark.usefixtures("soon")
def test_a_recording_in_a_dead_bridges_files_waits_for_it(url: str) -> None:
    body = f'{{"monitor_file": {SOUND.token}}}'
    with_sound = Request("POST", "http://127.0.0.1:9/", (), body, (SOUND,))
    dead, alive = Store(url, "pbx1"), Store(url, "pbx2")
    with closing(alive):
        [waits] = queued(dead, NewDelivery("billing", "call_end", 1, "call_end", NOW, with_sound))
        [goes] = queued(dead, new(call_id=2))
        dead.close()

        def taken() -> bool:
            alive.keep_progress()
            return alive.take_over(CLIENTS, NOW) == {"pbx1": 1}

        wait_until(taken, within_s=30)
        assert (found(alive, goes).node, found(alive, waits).node) == ("pbx2", "pbx1")
        with closing(Store(url, "pbx1")) as back:
            assert [d.id for d in claimed(back, limit=5)] == [waits]


@pytest.mark.usefixtures("soon")
def test_two_that_look_at_once_take_it_once(url: str) -> None:
    dead = Store(url, "pbx1")
    ids = queued(dead, *(new(call_id=number) for number in range(1, 41)))
    dead.close()
    with closing(Store(url, "pbx2")) as two, closing(Store(url, "pbx3")) as three:
        took: list[int] = []

        def look(store: Store) -> None:
            for _ in range(40):
                store.keep_progress()
                took.extend(store.take_over(CLIENTS, NOW).values())
                threading.Event().wait(0.1)

        looking = [threading.Thread(target=look, args=(store,)) for store in (two, three)]
        for thread in looking:
            thread.start()
        for thread in looking:
            thread.join(60)
        assert sum(took) == len(ids)
        assert len({*(d.id for d in claimed(two, limit=99)), *(d.id for d in claimed(three, limit=99))}) == 40


def test_a_server_that_is_restarted_is_simply_there_again_and_the_name_is_kept() -> None:
    with postgresql() as server, server.database() as url, closing(Store(url, "pbx1")) as store:
        queued(store, new())
        server.stop()
        for failing in (store.keep_progress, lambda: queued(store, new(call_id=2)), store.deliveries):
            with pytest.raises(StoreError) as caught:
                failing()
            assert "cannot be reached" in str(caught.value) and PASSWORD not in str(caught.value)
        server.start()
        store.keep_progress()
        queued(store, new(call_id=2))
        assert len(claimed(store, limit=5)) == 2
        assert "another bridge of the node pbx1" in refusal(lambda: Store(url, "pbx1"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("hunter2-secret", "wrong-secret"), "is not let in"),
        (("/state", "/nowhere"), "there is no such database"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_the_password(
    url: str, change: tuple[str, str], said: str
) -> None:
    refused = refusal(lambda: Store(url.replace(*change), "pbx1"))
    assert said in refused and "\n" not in refused
    assert "secret" not in refused


def test_the_tables_of_another_program_and_of_a_newer_bridge_are_left_alone(
    url: str, postgresql_server: SqlServer
) -> None:
    with closing(Store(url, "pbx1")) as store, store.write(NOW) as writer:
        writer._connection.exec_driver_sql("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    assert "newer vipex-bridge" in refusal(lambda: Store(url, "pbx1"))
    with postgresql_server.database() as other:
        with closing(Store(other, "pbx1")) as store, store.write(NOW) as writer:
            writer._connection.exec_driver_sql("DROP TABLE deliveries CASCADE")
        assert "another program" in refusal(lambda: Store(other, "pbx1"))
