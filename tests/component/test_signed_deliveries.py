"""Signed requests, checked by the specification's own library at a real HTTP server."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from delivering import Bridge, client, settings_of
from faulty_server import FaultyServer, Received
from looking_up import ask
from looking_up import client as lookup_client
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from stored import NOW, new, open_in, queued

from vipex_bridge.config.settings import Client, Recordings, Secret
from vipex_bridge.deliver.http import Transport
from vipex_bridge.lookup.exchange import Lookups
from vipex_bridge.recordings import opened
from vipex_bridge.render.request import Request, Slot
from vipex_bridge.store.outbox import NewDelivery

OLD = "whsec_" + base64.b64encode(b"an old key of 24 bytes..").decode()
NEW = "whsec_" + base64.b64encode(b"a new key that has 32 bytes.....").decode()
TOKEN = "vipex" + "0" * 32


@pytest.fixture
def bridge(tmp_path: Path, transport: Transport) -> Iterator[Bridge]:
    with open_in(tmp_path) as store:
        yield Bridge(store, transport, open_recording=partial(opened, Recordings(tmp_path)))


def signing(*secrets: str, **options: object) -> Client:
    return replace(client(**options), signing_secrets=tuple(map(Secret, secrets)))  # type: ignore[arg-type]


def verified(received: Received, secret: str) -> object:
    """The body, once the library has found it well signed; raises WebhookVerificationError."""
    return Webhook(secret).verify(received.body, dict(received.headers))


def test_every_try_is_signed_with_its_own_time_and_the_deliverys_id(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.replies(500), faulty_server.replies(503)]
    queued(bridge.store, new(url=faulty_server.url, body='{"src": "Kovács"}'))
    with bridge.running(signing(NEW)):
        bridge.wait_for(3)
    assert [verified(request, NEW) for request in faulty_server.received] == [{"src": "Kovács"}] * 3
    ids = {request.header("webhook-id") for request in faulty_server.received}
    assert ids == {faulty_server.received[0].header("Idempotency-Key")}


def test_each_try_has_the_time_at_which_it_was_made(bridge: Bridge, faulty_server: FaultyServer) -> None:
    faulty_server.queue = [faulty_server.replies(500)]
    queued(bridge.store, new(url=faulty_server.url))
    moment = [NOW]

    def clock() -> float:
        moment[0] += 60
        return moment[0]

    bridge.clock = clock
    with bridge.running(signing(NEW)):
        bridge.wait_for(2)
    stamps = [request.header("webhook-timestamp") or "" for request in faulty_server.received]
    assert all(re.fullmatch(r"\d{10}", stamp) for stamp in stamps)
    assert NOW < int(stamps[0]) < int(stamps[1])
    assert len({request.header("webhook-signature") for request in faulty_server.received}) == 2


def test_while_one_secret_replaces_the_other_a_receiver_may_have_either(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(signing(OLD, NEW)) as deliveries:
        bridge.wait_for(1)
        deliveries.reload(settings_of(signing(NEW)))
        queued(bridge.store, new(url=faulty_server.url, call_id=2))
        deliveries.wake("billing")
        bridge.wait_for(2)
    both, renewed = faulty_server.received
    assert verified(both, OLD) == verified(both, NEW) == verified(renewed, NEW) == {"id": 1}
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        verified(renewed, OLD)


def test_a_changed_secret_serves_a_delivery_that_was_queued_before(
    bridge: Bridge, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.replies(500)]
    queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(signing(OLD, retry_s=(0.5,))) as deliveries:
        bridge.wait_for(1)
        deliveries.reload(settings_of(signing(NEW, retry_s=(0.5,))))
        bridge.wait_for(2)
    assert [verified(request, OLD if n == 0 else NEW) for n, request in enumerate(faulty_server.received)]


def test_a_plain_text_secret_is_its_bytes(bridge: Bridge, faulty_server: FaultyServer) -> None:
    queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(signing("a plain passphrase")):
        bridge.wait_for(1)
    as_the_library_takes_it = base64.b64encode(b"a plain passphrase").decode()
    assert verified(faulty_server.received[0], as_the_library_takes_it) == {"id": 1}


def test_a_recording_in_the_body_is_signed_with_it(
    bridge: Bridge, faulty_server: FaultyServer, tmp_path: Path
) -> None:
    sound = bytes(range(256)) * 40_000
    (tmp_path / "a.wav").write_bytes(sound)
    request = Request(
        "POST",
        faulty_server.url,
        (("Content-Type", "application/json"),),
        f'{{"id": 1, "monitor_file": {TOKEN}}}',
        (Slot(TOKEN, "recording", "json", True, "a.wav"),),
    )
    queued(bridge.store, NewDelivery("billing", "call_end", 1, "call_end", NOW, request))
    with bridge.running(signing(OLD, NEW)):
        bridge.wait_for(1)
    document = verified(faulty_server.received[0], OLD)
    assert verified(faulty_server.received[0], NEW) == document
    assert document == {"id": 1, "monitor_file": base64.b64encode(sound).decode()}


def test_a_body_that_was_tampered_with_is_found_out(bridge: Bridge, faulty_server: FaultyServer) -> None:
    queued(bridge.store, new(url=faulty_server.url))
    with bridge.running(signing(NEW)):
        bridge.wait_for(1)
    request = faulty_server.received[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(request.body.replace(b"1", b"2"), dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(request.body, {**dict(request.headers), "webhook-id": "another"})


async def test_a_lookup_is_signed_too_with_an_id_of_its_own(
    lookups: Lookups, faulty_server: FaultyServer
) -> None:
    asked = replace(lookup_client(faulty_server.url), signing_secrets=(Secret(NEW),))
    for _ in range(2):
        await ask(lookups, asked)
    for request in faulty_server.received:
        assert Webhook(NEW).verify(request.body, dict(request.headers), json_parse=False) is None
        assert request.body == b""
    assert len({request.header("webhook-id") for request in faulty_server.received}) == 2
    assert faulty_server.received[0].header("Idempotency-Key") is None
