"""Delivery workers: a real outbox, a real HTTP server, real threads."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from faulty_server import FaultyServer, Received
from stored import NOW, claimed, found, new, open_in, queued, record
from structlog.testing import capture_logs

from vipex_bridge.config.settings import Agi, ApiKey, BasicAuth, Client, Numbers, Secret, Settings
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.render.request import Request, Slot
from vipex_bridge.store.outbox import Delivery, NewAttempt, NewDelivery
from vipex_bridge.store.store import Store

QUICK = (0.01, 0.02, 0.03)


def client(name: str = "billing", **options: object) -> Client:
    made = Client(name, "call_end", "http://127.0.0.1/", "POST", (), timeout_s=5.0, retry_s=QUICK)
    return replace(made, **options)  # type: ignore[arg-type]


def settings_of(*clients: Client) -> Settings:
    return Settings(
        node="pbx1",
        timezone=ZoneInfo("UTC"),
        ami=None,
        agi=Agi(None, 0, None),
        cdr=None,
        cel=None,
        recordings=None,
        numbers=Numbers(),
        store=Secret(""),
        retention_s=86400.0,
        http=None,
        clients={made.name: made for made in clients},
    )


@dataclass
class Bridge:
    """A store with workers over it, and the means to wait for what they do."""

    store: Store
    transport: Transport
    recordings: Mapping[str, Path] = field(default_factory=dict)
    tried: list[tuple[int, str]] = field(default_factory=list)
    clock: Callable[[], float] = time.time
    happened: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def running(self, *clients: Client, within_s: float = 5.0) -> Iterator[Deliveries]:
        deliveries = Deliveries(
            self.store,
            settings_of(*clients),
            self.transport,
            find_recording=self.recordings.get,
            clock=self.clock,
            random=lambda: 0.0,
            on_attempt=self.on_attempt,
        )
        deliveries.start()
        try:
            yield deliveries
        finally:
            deliveries.close(within_s)

    def on_attempt(self, delivery: Delivery, attempt: NewAttempt) -> None:
        with self.happened:
            self.tried.append((delivery.id, attempt.outcome))
            self.happened.notify_all()

    def wait_for(self, count: int) -> None:
        """Block until so many tries have been recorded in all."""
        with self.happened:
            assert self.happened.wait_for(lambda: len(self.tried) >= count, 20), self.tried

    def status(self, delivery_id: int) -> str:
        return found(self.store, delivery_id).status


@pytest.fixture
def bridge(tmp_path: Path, transport: Transport) -> Iterator[Bridge]:
    with open_in(tmp_path) as store:
        yield Bridge(store, transport)


def keys(received: list[Received]) -> set[str | None]:
    return {request.header("Idempotency-Key") for request in received}


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


def wait_for_workers() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("deliver-"):
            thread.join(20)
            assert not thread.is_alive()


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


def wait_until(true: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(500):
        if true():
            return
        tick.wait(0.02)
    raise AssertionError("it did not come about")


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
        alive = {thread.name for thread in threading.enumerate() if thread.name.startswith("deliver-billing")}
        assert alive >= {f"deliver-billing-{number}" for number in range(3)}
    sent = [request.header("X-Api-Key") for request in faulty_server.received]
    assert [key for key in sent if key] == ["old", "new", "newer"]


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

    class Broken(dict[str, Path]):
        def get(self, key: str, default: object = None) -> Path:
            if not bridge.tried:
                raise ZeroDivisionError
            return Path("/nowhere")

    bridge.recordings = Broken()
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
        queued(bridge.store, new(at=NOW + due_in_s))
    looked: list[float] = []

    def clock() -> float:
        looked.append(NOW)
        return NOW

    bridge.clock = clock
    with bridge.running(client(concurrency=1)):
        threading.Event().wait(1.0)
        assert len(looked) <= 6
