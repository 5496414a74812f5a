"""Delivery workers: what is sent, when, in which order. A real outbox, HTTP server and threads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivering import QUICK, Bridge, client, keys
from faulty_server import FaultyServer
from stored import found, new, open_in, queued
from structlog.testing import capture_logs

from vipex_bridge.deliver.http import Transport


@pytest.fixture
def bridge(tmp_path: Path, transport: Transport) -> Iterator[Bridge]:
    with open_in(tmp_path) as store:
        yield Bridge(store, transport)


def test_what_is_queued_arrives_as_it_was_frozen(bridge: Bridge, faulty_server: FaultyServer) -> None:
    body = '{"id": 91059, "src": "Kovács"}'
    with bridge.running(client()) as deliveries, capture_logs() as logs:
        [delivery_id] = queued(bridge.store, new(call_id=91059, url=faulty_server.url, body=body))
        deliveries.wake("billing")
        bridge.wait_for(1)
    [request] = faulty_server.received
    done = found(bridge.store, delivery_id)
    assert json.loads(request.body) == {"id": 91059, "src": "Kovács"}
    assert request.header("Idempotency-Key") == done.idempotency_key
    assert (done.status, done.attempts) == ("delivered", 1)
    [line] = [line for line in logs if line["event"] == "delivery.sent"]
    assert (line["client"], line["call"], line["delivery"], line["status"]) == (
        "billing",
        91059,
        delivery_id,
        200,
    )


def test_each_try_carries_the_same_data_and_key_until_one_succeeds(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [
        faulty_server.replies(500, b"oops"),
        faulty_server.sends(b"this is no HTTP\r\n\r\n"),
        faulty_server.replies(302, Location="http://127.0.0.1:9/elsewhere"),
    ]
    [delivery_id] = queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(client()):
        bridge.wait_for(4)
    assert [outcome for _, outcome in bridge.tried] == ["retry", "retry", "retry", "delivered"]
    assert len({request.body for request in faulty_server.received}) == 1
    assert keys(faulty_server.received) == {found(bridge.store, delivery_id).idempotency_key}
    codes = [(tried.status_code, tried.answer) for tried in bridge.store.attempts(delivery_id)]
    assert codes == [(500, "oops"), (None, None), (302, ""), (200, "")]


def test_when_the_list_is_used_up_it_is_parked_and_resend_sends_it_again(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.replies(500)
    [delivery_id] = queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(client()) as deliveries:
        bridge.wait_for(1 + len(QUICK))
        parked = found(bridge.store, delivery_id)
        assert (parked.status, parked.error) == ("failed", "the server answered 500")
        faulty_server.answer = None
        with bridge.store.write(parked.finished_at or 0) as writer:
            writer.resend([delivery_id])
        deliveries.wake("billing")
        bridge.wait_for(2 + len(QUICK))
    assert bridge.status(delivery_id) == "delivered"
    assert len(keys(faulty_server.received)) == 1


def test_410_gone_parks_at_once(bridge: Bridge, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(410)
    [delivery_id] = queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(client()):
        bridge.wait_for(1)
    assert bridge.status(delivery_id) == "failed"


def test_retry_after_is_obeyed(bridge: Bridge, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(503, Retry_After="3600")
    [delivery_id] = queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(client()):
        bridge.wait_for(1)
    waiting = found(bridge.store, delivery_id)
    [tried] = bridge.store.attempts(delivery_id)
    assert waiting.status == "queued"
    assert 3599 < waiting.next_attempt_at - tried.started_at < 3610


def test_a_failing_first_one_holds_up_its_call_and_no_other(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.replies(500), faulty_server.replies(500)]
    one = [new("crm", 1, event=event, url=f"{faulty_server.url}/{event}") for event in ("ringing", "answer")]
    first, second = queued(bridge.store, *one)
    with bridge.running(client("crm", concurrency=4, retry_s=(0.05, 0.05))):
        bridge.wait_for(4)
    assert [request.target for request in faulty_server.received] == [
        "/api/ringing", "/api/ringing", "/api/ringing", "/api/answer",
    ]  # fmt: skip
    assert bridge.tried[-2:] == [(first, "delivered"), (second, "delivered")]


def test_many_notifications_of_many_calls_keep_each_calls_order(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    events = ("arrival", "ringing", "answer", "hangup")
    queued(
        bridge.store,
        *[
            new("crm", call, event=event, url=f"{faulty_server.url}/{call}/{event}")
            for event in events
            for call in range(12)
        ],
    )
    with bridge.running(client("crm", concurrency=8)):
        bridge.wait_for(48)
    for call in range(12):
        of_call = [r.target for r in faulty_server.received if r.target.startswith(f"/api/{call}/")]
        assert of_call == [f"/api/{call}/{event}" for event in events]


def test_a_server_that_hangs_delays_no_other_client(
    bridge: Bridge, faulty_server: FaultyServer, second_server: FaultyServer
) -> None:
    faulty_server.answer = faulty_server.hangs()
    queued(bridge.store, *[new("dead", call, url=faulty_server.url) for call in range(8)])
    with bridge.running(
        client("dead", timeout_s=4.0, retry_s=()), client("good"), within_s=0.0
    ) as deliveries:
        faulty_server.wait_for(4)
        queued(bridge.store, *[new("good", call, url=second_server.url) for call in range(20)])
        deliveries.wake("good")
        bridge.wait_for(20)
        assert {outcome for _, outcome in bridge.tried} == {"delivered"}
        faulty_server.closed.set()
        deliveries.close(10.0)


def test_a_due_retry_does_not_wait_for_a_worker_that_hangs(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.replies(500), faulty_server.hangs()]
    first, second = queued(
        bridge.store, new(call_id=1, url=faulty_server.url), new(call_id=2, url=faulty_server.url)
    )
    with bridge.running(client(concurrency=2, timeout_s=30.0, retry_s=(0.3,)), within_s=0.0) as deliveries:
        bridge.wait_for(2)
        assert {outcome for _, outcome in bridge.tried} == {"retry", "delivered"}
        assert sorted([bridge.status(first), bridge.status(second)]) == ["delivered", "sending"]
        faulty_server.closed.set()
        deliveries.close(10.0)


def test_a_notice_that_cannot_be_told_in_time_is_dropped_and_logged(
    bridge: Bridge, refusing_port: int
) -> None:
    [delivery_id] = queued(
        bridge.store, new("crm", event="ringing", url=f"http://127.0.0.1:{refusing_port}/", expires_at=9e9)
    )
    with capture_logs() as logs, bridge.running(client("crm", kind="notify", retry_s=(8e9,))):
        bridge.wait_for(1)
    assert bridge.status(delivery_id) == "expired"
    assert ("delivery.expired", delivery_id) in [(line["event"], line.get("delivery")) for line in logs]
