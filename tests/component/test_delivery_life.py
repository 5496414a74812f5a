"""Delivery workers through stops, reloads, faults and echoes. A real outbox, HTTP server and threads."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest
from delivering import QUICK, Bridge, client, keys, settings_of, wait_for_workers, wait_until
from faulty_server import FaultyServer, Received
from stored import NOW, claimed, found, new, open_in, queued, record
from structlog.testing import capture_logs

from vipex_bridge.config.settings import ApiKey, BasicAuth, Client, Secret
from vipex_bridge.deliver.http import Transport
from vipex_bridge.recordings import opened
from vipex_bridge.render.request import Request, Slot
from vipex_bridge.store.outbox import NewDelivery


@pytest.fixture
def bridge(tmp_path: Path, transport: Transport) -> Iterator[Bridge]:
    with open_in(tmp_path) as store:
        yield Bridge(store, transport)


def test_what_was_being_sent_at_a_stop_is_sent_at_the_next_start_with_the_same_key(
    tmp_path: Path, transport: Transport, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.hangs()]
    with open_in(tmp_path) as store:
        bridge = Bridge(store, transport)
        [delivery_id] = queued(store, new(url=faulty_server.url))
        with bridge.running(client(timeout_s=1.0), within_s=0.0):
            faulty_server.wait_for(1)
        assert bridge.status(delivery_id) == "sending"
    wait_for_workers()
    with open_in(tmp_path) as store:
        bridge = Bridge(store, transport)
        with bridge.running(client()):
            bridge.wait_for(1)
        assert bridge.status(delivery_id) == "delivered"
    first, second = faulty_server.received
    assert first.body == second.body and len(keys([first, second])) == 1


def test_a_try_under_way_may_end_before_the_bridge_stops(bridge: Bridge, faulty_server: FaultyServer) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slowly(sock: object, request: Received) -> bool:
        arrived.set()
        assert go_on.wait(10)
        return faulty_server.replies()(sock, request)  # type: ignore[arg-type]

    faulty_server.answer = slowly
    one, two = queued(
        bridge.store, new(call_id=1, url=faulty_server.url), new(call_id=2, url=faulty_server.url)
    )
    with bridge.running(client(concurrency=1)):
        assert arrived.wait(10)
        threading.Timer(0.2, go_on.set).start()
    assert (bridge.status(one), bridge.status(two)) == ("delivered", "queued"), "nothing new was begun"


def test_a_client_taken_out_of_the_configuration_parks_its_deliveries(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    ghost, kept = queued(bridge.store, new("ghost", url=faulty_server.url), new(url=faulty_server.url))
    with bridge.running(client(), client("crm", concurrency=1)) as deliveries:
        bridge.wait_for(1)
        parked = found(bridge.store, ghost)
        assert parked.status == "failed" and "ghost is not in the configuration" in str(parked.error)
        faulty_server.answer = faulty_server.replies(500)
        [failing] = queued(bridge.store, new("crm", url=faulty_server.url))
        deliveries.wake("crm")
        bridge.wait_for(2)
        deliveries.reload(settings_of(client()))
        wait_until(lambda: bridge.status(failing) == "failed")
        assert bridge.status(kept) == "delivered"


def test_a_reload_brings_new_clients_new_secrets_and_other_numbers_of_workers(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    def keyed(secret: str, concurrency: int) -> Client:
        return client(api_key=ApiKey("header", "X-Api-Key", Secret(secret)), concurrency=concurrency)

    with bridge.running(keyed("old", 4)) as deliveries:
        for count, made in enumerate([keyed("old", 4), keyed("new", 1), keyed("newer", 3)], start=1):
            deliveries.reload(settings_of(made, client("crm")))
            queued(
                bridge.store,
                new(call_id=count, url=faulty_server.url),
                new("crm", count, url=faulty_server.url),
            )
            deliveries.wake("billing")
            deliveries.wake("crm")
            bridge.wait_for(2 * count)
    sent = [request.header("X-Api-Key") for request in faulty_server.received]
    assert [key for key in sent if key] == ["old", "new", "newer"]


def test_a_corrected_url_and_header_serve_a_delivery_that_waits_with_the_data_it_was_frozen_with(
    bridge: Bridge, faulty_server: FaultyServer, refusing_port: int
) -> None:
    wrong = client(url=f"http://127.0.0.1:{refusing_port}/", headers=(("X-Token", Secret("old")),))
    right = replace(wrong, url=f"{faulty_server.url}?k=1", headers=(("X-Token", Secret("new")),))
    frozen = Request("POST", "?id=7", (("Content-Type", "application/json"),), '{"id": 7}')
    wrong, right = (replace(made, retry_s=(0.05,) * 100) for made in (wrong, right))
    [delivery_id] = queued(bridge.store, NewDelivery("billing", "call_end", 7, "call_end", NOW, frozen))
    with bridge.running(wrong) as deliveries:
        bridge.wait_for(1)
        deliveries.reload(settings_of(right))
        wait_until(lambda: bridge.status(delivery_id) == "delivered")
    [request] = faulty_server.received
    assert (request.target, request.header("X-Token")) == ("/api?k=1&id=7", "new")
    assert request.body == b'{"id": 7}'


def test_no_secret_reaches_the_store_or_the_log_even_when_the_server_echoes_it(
    tmp_path: Path, bridge: Bridge, faulty_server: FaultyServer
) -> None:
    token, secret = "vipex" + "0" * 32, 's3cr"t/+'
    sending = client(
        api_key=ApiKey("body", "key", Secret(secret)), basic_auth=BasicAuth("vipex", Secret("p4ssw0rd"))
    )

    def echo(sock: object, request: Received) -> bool:
        said = request.body + b" " + secret.encode() + b" p4ssw0rd"
        return faulty_server.replies(500, said)(sock, request)  # type: ignore[arg-type]

    faulty_server.answer = echo
    request = Request(
        "POST", faulty_server.url, (), f'{{"key": "{token}"}}', (Slot(token, "api_key", "json"),)
    )
    [delivery_id] = queued(bridge.store, NewDelivery("billing", "call_end", 1, "call_end", NOW, request))
    with capture_logs() as logs, bridge.running(sending):
        bridge.wait_for(1 + len(QUICK))
    assert json.loads(faulty_server.received[0].body) == {"key": secret}
    assert bridge.store.attempts(delivery_id)[0].answer == '{"key": "********"} ******** ********'
    assert "s3cr" not in repr(logs) and "p4ssw0rd" not in repr(logs)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        dumped = "\n".join(connection.iterdump())
    assert "s3cr" not in dumped and "p4ssw0rd" not in dumped


def test_a_long_answer_is_kept_in_part(bridge: Bridge, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(200, ("é" * 500_000).encode())
    [delivery_id] = queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(client()):
        bridge.wait_for(1)
    [tried] = bridge.store.attempts(delivery_id)
    assert tried.answer == "é" * 1024
    assert bridge.status(delivery_id) == "delivered"


def test_a_recording_that_is_gone_is_left_out_and_logged(bridge: Bridge, faulty_server: FaultyServer) -> None:
    token = "vipex" + "1" * 32
    slot = Slot(token, "recording", "json", True, "in-1.wav")
    request = Request("POST", faulty_server.url, (), f'{{"monitor_file": {token}}}', (slot,))
    queued(bridge.store, NewDelivery("billing", "call_end", 1, "call_end", NOW, request))
    with capture_logs() as logs, bridge.running(client()):
        bridge.wait_for(1)
    assert json.loads(faulty_server.received[0].body) == {"monitor_file": None}
    assert [line["recording"] for line in logs if line["event"] == "recording.left_out"] == ["in-1.wav"]


def test_a_fault_of_ours_is_one_failed_try_and_no_lost_delivery(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    token = "vipex" + "2" * 32

    def broken_once(name: str) -> FileIO:
        if not bridge.tried:
            raise ZeroDivisionError
        return opened(None, name)

    bridge.open_recording = broken_once
    slot = Slot(token, "recording", "json", True, "in-1.wav")
    request = Request("POST", faulty_server.url, (), token, (slot,))
    [delivery_id] = queued(bridge.store, NewDelivery("billing", "call_end", 1, "call_end", NOW, request))
    with capture_logs() as logs, bridge.running(client()):
        bridge.wait_for(2)
    assert [outcome for _, outcome in bridge.tried] == ["retry", "delivered"]
    assert "ZeroDivisionError" in str(bridge.store.attempts(delivery_id)[0].error)
    assert "delivery.broken" in [line["event"] for line in logs]


def test_an_outcome_is_recorded_when_the_store_comes_back(
    tmp_path: Path, bridge: Bridge, faulty_server: FaultyServer
) -> None:
    answering = threading.Event()

    def answer(sock: object, request: Received) -> bool:
        assert answering.wait(20)
        return faulty_server.replies()(sock, request)  # type: ignore[arg-type]

    faulty_server.answer = answer
    [delivery_id] = queued(bridge.store, new(url=faulty_server.url))
    with capture_logs() as logs, bridge.running(client(concurrency=1, timeout_s=30)):
        faulty_server.wait_for(1)
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answering.set()
            wait_until(lambda: any(line["event"] == "delivery.not_recorded" for line in logs))
            other.execute("ROLLBACK")
        bridge.wait_for(1)
    assert bridge.status(delivery_id) == "delivered"
    assert len(faulty_server.received) == 1, "it was not sent again"


def test_a_resend_by_a_command_beside_the_bridge_is_noticed(
    tmp_path: Path, bridge: Bridge, faulty_server: FaultyServer
) -> None:
    [delivery_id] = queued(bridge.store, new(url=faulty_server.url))
    claimed(bridge.store)
    record(bridge.store, delivery_id, "failed")
    with bridge.running(client()), open_in(tmp_path, alone=False) as beside:
        with beside.write(NOW) as writer:
            assert writer.resend([delivery_id]) == 1
        bridge.wait_for(1)
    assert bridge.status(delivery_id) == "delivered"


@pytest.mark.parametrize("due_in_s", [None, 3600.0])
def test_an_idle_bridge_looks_at_its_store_hardly_ever(bridge: Bridge, due_in_s: float | None) -> None:
    if due_in_s is not None:
        [delivery_id] = queued(bridge.store, new())
        claimed(bridge.store)
        record(bridge.store, delivery_id, "retry", again_at=NOW + due_in_s)
    looked: list[float] = []

    def clock() -> float:
        looked.append(NOW)
        return NOW

    bridge.clock = clock
    bridge.uptime = time.monotonic
    with bridge.running(client(concurrency=1)):
        threading.Event().wait(1.0)
        assert len(looked) <= 4
