"""How many threads deliver: as many as there is work for, however many clients are configured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivering import Bridge, client, settings_of, wait_until
from faulty_server import FaultyServer, Received
from stored import NOW, new, open_in, queued

from vipex_bridge.deliver import worker
from vipex_bridge.deliver.http import Transport


@pytest.fixture
def bridge(tmp_path: Path, transport: Transport) -> Iterator[Bridge]:
    with open_in(tmp_path) as store:
        yield Bridge(store, transport)


def workers_of(name: str = "") -> list[str]:
    found = [thread.name for thread in threading.enumerate()]
    return sorted(named for named in found if named.startswith(f"deliver-{name}"))


def test_clients_that_are_told_nothing_have_no_thread(bridge: Bridge, faulty_server: FaultyServer) -> None:
    many = [client(f"customer-{number}", concurrency=4) for number in range(500)]
    with bridge.running(*many) as deliveries:
        assert workers_of() == []
        queued(bridge.store, new("customer-7", url=faulty_server.url))
        deliveries.wake("customer-7")
        bridge.wait_for(1)
        assert {name.rpartition("-")[0] for name in workers_of()} == {"deliver-customer-7"}


def test_a_worker_with_nothing_to_do_leaves_and_another_comes_when_there_is(
    bridge: Bridge, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LONGEST_SLEEP_S", 0.2)
    with bridge.running(client()) as deliveries:
        for count in (1, 2):
            queued(bridge.store, new(call_id=count, url=faulty_server.url))
            deliveries.wake("billing")
            bridge.wait_for(count)
            wait_until(lambda: not workers_of())


def test_what_falls_due_when_every_worker_has_left_is_sent(
    bridge: Bridge, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LONGEST_SLEEP_S", 0.2)
    faulty_server.queue = [faulty_server.replies(500)]
    queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(client(retry_s=(1.5,))):
        bridge.wait_for(1)
        wait_until(lambda: not workers_of())
        bridge.wait_for(2)
    assert [outcome for _, outcome in bridge.tried] == ["retry", "delivered"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_as_many_work_at_once_as_the_client_allows(
    bridge: Bridge, faulty_server: FaultyServer, concurrency: int
) -> None:
    go_on, together = threading.Event(), threading.Semaphore(0)

    def slowly(sock: object, request: Received) -> bool:
        together.release()
        assert go_on.wait(20)
        return faulty_server.replies()(sock, request)  # type: ignore[arg-type]

    faulty_server.answer = slowly
    with bridge.running(client(concurrency=1)) as deliveries:
        deliveries.reload(settings_of(client(concurrency=concurrency)))
        queued(bridge.store, *(new(call_id=number, url=faulty_server.url) for number in range(1, 9)), now=NOW)
        deliveries.wake("billing")
        for _ in range(concurrency):
            assert together.acquire(timeout=20)
        assert len(workers_of("billing")) == concurrency
        assert not together.acquire(timeout=0.3), "one more than the client allows"
        go_on.set()
        bridge.wait_for(8)
