"""The outbox: nothing lost, nothing claimed twice, one call's deliveries in order. Files, and a server."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sql_servers import SqlServer
from stored import NOW, claimed, found, new, open_in, queued, record, url_of
from structlog.testing import capture_logs

from vipex_bridge.store import outbox
from vipex_bridge.store.outbox import Delivery, NewDelivery
from vipex_bridge.store.store import Store


@pytest.fixture
def store(tmp_path: Path, store_system: str) -> Iterator[Store]:
    with open_in(tmp_path) as opened:
        yield opened


def ids(deliveries: list[Delivery]) -> list[int]:
    return [delivery.id for delivery in deliveries]


def test_what_is_claimed_is_what_was_queued_with_a_key_of_its_own(store: Store) -> None:
    asked = [new(call_id=1, body='{"name": "Kovács \\u0000"}'), new(call_id=2)]
    queued(store, *asked)
    taken = claimed(store, limit=5)
    assert [delivery.request for delivery in taken] == [delivery.request for delivery in asked]
    assert len({delivery.idempotency_key for delivery in taken}) == 2
    assert {delivery.status for delivery in taken} == {"sending"}


def test_the_same_thing_is_queued_once(store: Store) -> None:
    queued(store, new(dedupe_key="call_end/billing/1"))
    with store.write(NOW) as writer:
        assert writer.queue(new(dedupe_key="call_end/billing/1")) is None
        assert writer.queue(new(dedupe_key="call_end/crm/1", client="crm")) is not None
    assert len(store.deliveries()) == 2


def test_what_could_not_be_rendered_is_parked_with_the_reason(store: Store) -> None:
    [delivery_id] = queued(
        store, NewDelivery("billing", "call_end", 1, "call_end", NOW, None, "no such field")
    )
    parked = found(store, delivery_id)
    assert (parked.status, parked.error, parked.finished_at) == ("failed", "no such field", NOW)
    assert claimed(store) == []
    with store.write(NOW) as writer:
        assert writer.resend([delivery_id]) == 0, "there is nothing to send"


def test_nothing_leaves_before_its_time_and_the_oldest_leaves_first(store: Store) -> None:
    first, second = queued(store, new(call_id=1, at=NOW + 20), new(call_id=2, at=NOW + 10))
    assert claimed(store, limit=5, now=NOW + 9) == []
    assert store.next_due("billing") == NOW + 10
    assert ids(claimed(store, limit=5, now=NOW + 30)) == [second, first]
    assert store.next_due("billing") is None


def test_notifications_of_one_call_to_one_client_leave_in_order(store: Store) -> None:
    ring, answer, hangup = queued(
        store, *[new("crm", event=event) for event in ("ringing", "answer", "hangup")]
    )
    assert ids(claimed(store, "crm", 5)) == [ring]
    assert claimed(store, "crm", 5) == []
    record(store, ring, "retry", again_at=NOW + 60)
    assert claimed(store, "crm", 5) == [], "the first one waits for its retry, so do the others"
    assert store.next_due("crm") == NOW + 60
    assert ids(claimed(store, "crm", 5, NOW + 60)) == [ring]
    record(store, ring, "failed", now=NOW + 60)
    assert ids(claimed(store, "crm", 5, NOW + 60)) == [answer], "one that is given up holds up nobody"
    record(store, answer, "delivered", now=NOW + 61)
    assert ids(claimed(store, "crm", 5, NOW + 61)) == [hangup]


def test_another_call_and_another_client_do_not_wait(store: Store) -> None:
    first, _, other_call, other_client = queued(
        store, new("crm"), new("crm"), new("crm", call_id=2), new("helpdesk")
    )
    assert ids(claimed(store, "crm", 5)) == [first, other_call]
    assert ids(claimed(store, "helpdesk", 5)) == [other_client]


def test_a_notice_that_is_too_late_is_marked_and_logged_and_holds_up_nobody(store: Store) -> None:
    ring, later = queued(
        store,
        new("crm", event="ringing", expires_at=NOW + 30),
        new("crm", event="hangup", expires_at=NOW + 99),
    )
    with capture_logs() as logs:
        assert ids(claimed(store, "crm", 5, NOW + 30)) == [later]
    assert found(store, ring).status == "expired"
    assert [(line["event"], line["delivery"], line["call"]) for line in logs] == [
        ("delivery.expired", ring, 1)
    ]


def test_a_restart_takes_up_what_was_being_sent_with_the_same_data_and_key(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        queued(store, new())
        [before] = claimed(store)
    with open_in(tmp_path) as store:
        assert claimed(store) == []
        with store.write(NOW) as writer:
            assert writer.release_claims() == 1
        [after] = claimed(store)
    assert after == before


def test_a_bridge_does_not_touch_what_another_node_sends(tmp_path: Path, store: Store) -> None:
    queued(store, new())
    with open_in(tmp_path, "pbx2", alone=False) as other:
        assert claimed(other) == []
        claimed(store)
        with other.write(NOW) as writer:
            assert writer.release_claims() == 0


def test_every_try_is_kept(store: Store) -> None:
    [delivery_id] = queued(store, new())
    claimed(store)
    record(store, delivery_id, "retry", again_at=NOW + 10)
    claimed(store, now=NOW + 10)
    record(store, delivery_id, "delivered", now=NOW + 11)
    tries = store.attempts(delivery_id)
    assert [(tried.outcome, tried.status_code, tried.started_at) for tried in tries] == [
        ("retry", 500, NOW),
        ("delivered", 200, NOW + 11),
    ]
    done = found(store, delivery_id)
    assert (done.status, done.attempts, done.finished_at) == ("delivered", 2, NOW + 11)


@pytest.mark.parametrize("outcome", ["delivered", "failed", "expired"])
def test_resend_sends_the_same_again_with_the_same_key(store: Store, outcome: str) -> None:
    [delivery_id] = queued(store, new(expires_at=NOW + 30))
    [before] = claimed(store)
    record(store, delivery_id, outcome)
    with store.write(NOW + 900) as writer:
        assert writer.resend([delivery_id]) == 1
    [after] = claimed(store, now=NOW + 900)
    assert (after.idempotency_key, after.request) == (before.idempotency_key, before.request)
    assert (after.retry_index, after.expires_at) == (0, None)


def test_resend_of_all_that_failed_since_leaves_the_rest_alone(store: Store) -> None:
    old, late, sent, waiting = queued(store, *[new(call_id=number) for number in range(1, 5)])
    claimed(store, limit=3)
    record(store, old, "failed", now=NOW)
    record(store, late, "failed", now=NOW + 60)
    record(store, sent, "delivered", now=NOW + 60)
    with store.write(NOW + 90) as writer:
        assert writer.resend(failed_since=NOW + 30) == 1
    assert [found(store, number).status for number in (old, late, sent, waiting)] == [
        "failed", "queued", "delivered", "queued",
    ]  # fmt: skip


def test_resend_leaves_what_is_under_way_alone(store: Store) -> None:
    [delivery_id] = queued(store, new())
    claimed(store)
    with store.write(NOW) as writer:
        assert writer.resend([delivery_id, 999]) == 0
    assert found(store, delivery_id).status == "sending"


def test_the_log_is_filtered_and_paged(store: Store) -> None:
    one, two, three = queued(
        store, new("crm"), new("billing", call_id=2, at=NOW + 5), new("crm", call_id=2, at=NOW + 9)
    )
    assert ids(store.deliveries()) == [three, two, one]
    assert ids(store.deliveries(limit=1, before_id=three)) == [two]
    assert ids(store.deliveries(client="crm")) == [three, one]
    assert ids(store.deliveries(call_id=2)) == [three, two]
    assert ids(store.deliveries(since=NOW + 5)) == [three, two]
    claimed(store, "billing", now=NOW + 9)
    assert ids(store.deliveries(status="sending")) == [two]


def test_queue_depths_count_what_is_not_there_yet(store: Store) -> None:
    first, *_ = queued(store, new("crm"), new("crm", call_id=2, at=NOW + 5), new("billing", at=NOW + 7))
    assert store.queue_depths(NOW + 10) == {"crm": (2, 10.0), "billing": (1, 3.0)}
    claimed(store, "crm")
    record(store, first, "delivered")
    assert store.queue_depths(NOW + 10) == {"crm": (1, 5.0), "billing": (1, 3.0)}


def test_what_was_delivered_long_ago_costs_the_queue_depths_nothing(tmp_path: Path) -> None:
    def steps(store: Store) -> int:
        """How many instructions SQLite's machine makes of it."""
        made = 0

        def step() -> int:
            nonlocal made
            made += 1
            return 0

        with store.reading() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.set_progress_handler(step, 1)
            assert outbox.depths(connection, "pbx1", NOW + 1) == {"crm": (1, 1.0)}
            driver.set_progress_handler(None, 1)
        return made

    with open_in(tmp_path) as store:
        queued(store, new("crm", call_id=0))
        few = steps(store)
        queued(store, *(new(call_id=number) for number in range(1, 51)))
        for delivery in claimed(store, limit=50):
            record(store, delivery.id, "delivered")
        assert steps(store) == few


def test_eight_threads_claim_everything_once(store: Store) -> None:
    wanted = queued(store, *[new(call_id=number % 40) for number in range(200)])
    taken: list[int] = []

    def work() -> None:
        while True:
            mine = claimed(store, limit=3)
            if not mine and not store.deliveries(status="sending") and store.next_due("billing") is None:
                return
            for delivery in mine:
                taken.append(delivery.id)
                record(store, delivery.id, "delivered")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sorted(taken) == wanted
    places = {delivery_id: place for place, delivery_id in enumerate(taken)}
    for call in range(40):
        mine = [delivery.id for delivery in store.deliveries(call_id=call)][::-1]
        assert [places[delivery_id] for delivery_id in mine] == sorted(places[number] for number in mine)


class Outbox(RuleBasedStateMachine):
    """Queue, claim, tries of any outcome, time, restarts and resends in any order, against a plain model."""

    def __init__(self, database: AbstractContextManager[str]) -> None:
        super().__init__()
        self.open = ExitStack()
        self.url = self.open.enter_context(database)
        self.store = Store(self.url, "pbx1")
        self.now = NOW
        self.model: dict[int, str] = {}
        self.place: dict[int, tuple[str, int]] = {}
        self.due: dict[int, float] = {}
        self.expiry: dict[int, float | None] = {}
        self.keys: dict[int, str] = {}

    @rule(
        client=st.sampled_from(["crm", "billing"]),
        call=st.integers(1, 3),
        expires_s=st.none() | st.integers(1, 40),
    )
    def queue(self, client: str, call: int, expires_s: int | None) -> None:
        expires_at = None if expires_s is None else self.now + expires_s
        [delivery_id] = queued(
            self.store, new(client, call, at=self.now, expires_at=expires_at), now=self.now
        )
        assert delivery_id not in self.model
        self.model[delivery_id] = "queued"
        self.place[delivery_id] = (client, call)
        self.due[delivery_id] = self.now
        self.expiry[delivery_id] = expires_at
        self.keys[delivery_id] = found(self.store, delivery_id).idempotency_key

    @rule(client=st.sampled_from(["crm", "billing"]), limit=st.integers(1, 4))
    def claim(self, client: str, limit: int) -> None:
        taken = claimed(self.store, client, limit, self.now)
        for number, status in self.model.items():
            expires_at = self.expiry[number]
            late = expires_at is not None and expires_at <= self.now
            if status == "queued" and self.place[number][0] == client and late:
                self.model[number] = "expired"
        free = [number for number in self.model if self.claimable(number, client)]
        free.sort(key=lambda number: (self.due[number], number))
        assert ids(taken) == free[:limit]
        for delivery in taken:
            self.model[delivery.id] = "sending"

    def claimable(self, number: int, client: str) -> bool:
        held_up = any(
            earlier < number and self.place[earlier] == self.place[number] and status in ("queued", "sending")
            for earlier, status in self.model.items()
        )
        mine = self.model[number] == "queued" and self.place[number][0] == client
        return mine and not held_up and self.due[number] <= self.now

    @precondition(lambda self: "sending" in self.model.values())
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["delivered", "failed", "expired", "retry"]),
        delay_s=st.integers(0, 30),
    )
    def attempt(self, data: st.DataObject, outcome: str, delay_s: int) -> None:
        sending = [number for number, status in self.model.items() if status == "sending"]
        number = data.draw(st.sampled_from(sending))
        again_at = self.now + delay_s if outcome == "retry" else None
        record(self.store, number, outcome, again_at=again_at, now=self.now)
        self.model[number] = "queued" if outcome == "retry" else outcome
        if again_at is not None:
            self.due[number] = again_at

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.url, "pbx1")
        with self.store.write(self.now) as writer:
            writer.release_claims()
        for number, status in self.model.items():
            if status == "sending":
                self.model[number] = "queued"

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model)))
        with self.store.write(self.now) as writer:
            count = writer.resend([number])
        finished = self.model[number] not in ("queued", "sending")
        assert count == finished
        if finished:
            self.model[number], self.due[number], self.expiry[number] = "queued", self.now, None

    @invariant()
    def nothing_is_lost_and_no_key_changes(self) -> None:
        kept = self.store.deliveries(limit=1000)
        assert {delivery.id: delivery.status for delivery in kept} == self.model
        assert {delivery.id: delivery.idempotency_key for delivery in kept} == self.keys

    @invariant()
    def the_next_due_time_is_that_of_the_next_that_can_be_claimed(self) -> None:
        for client in ("crm", "billing"):
            free = [self.due[n] for n in self.model if self.claimable_ever(n, client)]
            assert self.store.next_due(client) == (min(free) if free else None)

    def claimable_ever(self, number: int, client: str) -> bool:
        now, self.now = self.now, float("inf")
        try:
            return self.claimable(number, client)
        finally:
            self.now = now

    def teardown(self) -> None:
        self.store.close()
        self.open.close()


@contextmanager
def in_a_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield url_of(Path(folder))


def test_the_outbox_in_any_order() -> None:
    bounds = settings(max_examples=25, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(cast("type[Outbox]", lambda: Outbox(in_a_folder())), settings=bounds)


def test_and_on_a_server(postgresql_server: SqlServer) -> None:
    bounds = settings(max_examples=8, stateful_step_count=30, deadline=None)
    made = cast("type[Outbox]", lambda: Outbox(postgresql_server.database()))
    run_state_machine_as_test(made, settings=bounds)
