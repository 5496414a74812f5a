"""What one worker of a client leaves to another, over a real outbox, HTTP server and threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivering import Bridge, client, settings_of, wait_until
from faulty_server import FaultyServer, Received
from stored import new, open_in, queued

from vipex_bridge.deliver import worker
from vipex_bridge.deliver.http import Transport
from vipex_bridge.errors import StoreError
from vipex_bridge.store.writer import Writer


@pytest.fixture
def bridge(tmp_path: Path, transport: Transport) -> Iterator[Bridge]:
    with open_in(tmp_path) as store:
        yield Bridge(store, transport)


def test_a_try_that_ends_while_another_worker_looks_for_work_holds_up_its_call_for_no_time(
    bridge: Bridge, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call's next notice must not wait for the next look at the clock."""
    monkeypatch.setattr(worker, "LONGEST_SLEEP_S", 3600.0)
    answering, looking = threading.Event(), threading.Event()

    def slowly(sock: object, request: Received) -> bool:
        assert answering.wait(20)
        return faulty_server.replies()(sock, request)  # type: ignore[arg-type]

    faulty_server.queue = [slowly]
    next_due = bridge.store.next_due
    with bridge.running(client(concurrency=2)) as deliveries:

        def looks_slowly(name: str) -> float | None:
            due = next_due(name)
            if due is None and not looking.is_set():
                looking.set()
                answering.set()
                # Until the other one has left its result to this one.
                wait_until(lambda: deliveries._lanes["billing"].free() == 1)
            return due

        queued(bridge.store, new(url=faulty_server.url, event="arrival"))
        deliveries.wake("billing")
        faulty_server.wait_for(1)
        monkeypatch.setattr(bridge.store, "next_due", looks_slowly)
        queued(bridge.store, new(url=faulty_server.url, event="ringing"))
        deliveries.wake("billing")
        assert looking.wait(10)
        bridge.wait_for(2)


def test_what_is_recorded_and_claimed_anew_in_one_go_is_sent_by_one_worker(
    bridge: Bridge, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage of the store longer than the pause before the next try."""
    answering, failed = threading.Event(), threading.Event()
    is_down = threading.Event()

    def refused(sock: object, request: Received) -> bool:
        is_down.set()
        return faulty_server.replies(500)(sock, request)  # type: ignore[arg-type]

    def slowly(sock: object, request: Received) -> bool:
        assert answering.wait(20)
        return faulty_server.replies()(sock, request)  # type: ignore[arg-type]

    write = bridge.store.write

    @contextlib.contextmanager
    def failing(now: float) -> Iterator[Writer]:
        if is_down.is_set():
            is_down.clear()
            failed.set()
            raise StoreError("the disk is full: make room on it")
        with write(now) as writer:
            yield writer

    faulty_server.queue = [refused]
    faulty_server.answer = slowly
    monkeypatch.setattr(bridge.store, "write", failing)
    queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(client(concurrency=2, timeout_s=30.0)) as deliveries:
        faulty_server.wait_for(2, 20)
        assert failed.is_set()
        looks = bridge.store.due_by_client
        looked = threading.Semaphore(0)

        def counted() -> object:
            found = looks()
            looked.release()
            return found

        monkeypatch.setattr(bridge.store, "due_by_client", counted)
        for _ in range(3):
            deliveries.look()
            assert looked.acquire(timeout=10)
        answering.set()
        bridge.wait_for(2)
    assert len(faulty_server.received) == 2, "one try refused, one taken"


def test_what_was_rendered_before_a_reload_and_committed_after_it_is_parked_with_its_reason(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    with bridge.running(client(), client("crm")) as deliveries:
        deliveries.reload(settings_of(client("crm")))
        with deliveries.claiming() as claim, bridge.store.write(time.time()) as writer:
            late = writer.queue(new(url=faulty_server.url, at=time.time()))
            claim(writer, {"billing"})
        deliveries.look()
        assert late is not None
        wait_until(lambda: bridge.status(late) == "failed")


def test_what_is_queued_for_a_client_that_comes_with_the_next_reload_waits_for_it(
    bridge: Bridge, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`replay --client NEW` reads the new file before the bridge does."""
    looked = threading.Semaphore(0)
    looks = bridge.store.due_by_client

    def counted() -> object:
        looked.release()
        return looks()

    with bridge.running(client("crm")) as deliveries:
        [early] = queued(bridge.store, new(url=faulty_server.url))
        monkeypatch.setattr(bridge.store, "due_by_client", counted)
        # The second look begins when the first has ended.
        for _ in range(2):
            deliveries.look()
            assert looked.acquire(timeout=10)
        assert bridge.status(early) == "queued"
        deliveries.reload(settings_of(client("crm"), client()))
        bridge.wait_for(1)
    assert bridge.status(early) == "delivered"
