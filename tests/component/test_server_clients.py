"""Clients by the API: the configuration as understood, a test of each, a pause that outlasts a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_bench import TOKEN, Server
from bridge_process import BridgeProcess
from faulty_server import FaultyServer
from stored import found, new, open_in, queued, url_of

KEY, HEADER, PATH = "planted-key-of-crm", "planted-header-of-billing", "planted-path-of-billing"
CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk: {{agi: null}}
store: '{store}'
http: {{listen: '127.0.0.1:0', tokens: [{token}]}}
clients:
  billing:
    kind: call_end
    url: !env BILLING_URL
    headers: {{X-Secret: '{header}'}}
    retry: [1h]
  crm:
    kind: notify
    on: [ringing, answer]
    url: '{url}/ring'
    api_key: {{in: header, name: X-Api-Key, value: '{key}'}}
    parameters: [src, exten]
  route:
    kind: lookup
    url: '{url}/route'
    parameters: [src]
    response: {{format: json, set: {{VIPEX_BRANCH: branch}}}}
"""


@contextmanager
def bridge_for(folder: Path, receiver: FaultyServer) -> Iterator[BridgeProcess]:
    text = CONFIGURATION.format(store=url_of(folder), token=TOKEN, header=HEADER, key=KEY, url=receiver.url)
    with BridgeProcess(folder, text) as bridge:
        yield bridge


def asked(bridge: BridgeProcess, receiver: FaultyServer, after: int = 0) -> Server:
    return Server(bridge.wait_for("http.listening", after=after)["port"], receiver)


@pytest.fixture(autouse=True)
def place_of_billing(monkeypatch: pytest.MonkeyPatch, faulty_server: FaultyServer) -> None:
    monkeypatch.setenv("BILLING_URL", f"{faulty_server.url}/{PATH}")


def test_the_configuration_is_told_as_it_was_understood_without_a_secret(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    with bridge_for(tmp_path, faulty_server) as bridge:
        answer = asked(bridge, faulty_server).ask("/api/v1/clients")
    shown = answer.json
    assert [(client["name"], client["kind"]) for client in shown["clients"]] == [
        ("billing", "call_end"), ("crm", "notify"), ("route", "lookup"),
    ]  # fmt: skip
    billing, crm, route = ({key["key"]: key["value"] for key in c["configuration"]} for c in shown["clients"])
    assert billing["url"] == f"http://127.0.0.1:{faulty_server.port}/********"
    assert billing["headers"] == "X-Secret: ********"
    assert (crm["on"], crm["api_key"]) == ("answer, ringing", "header, X-Api-Key: ********")
    assert route["response.set"] == "VIPEX_BRANCH = branch"
    assert {"key": "node", "value": "pbx1"} in shown["bridge"]
    assert [client["deliveries"] and client["deliveries"]["state"] for client in shown["clients"]] == [
        "active", "active", None,
    ]  # fmt: skip
    for secret in (KEY, HEADER, PATH, TOKEN):
        assert secret.encode() not in answer.body


def test_a_clients_test_tells_exactly_what_went_and_came(tmp_path: Path, faulty_server: FaultyServer) -> None:
    faulty_server.queue = [
        faulty_server.replies(201, f'{{"you": "{KEY}"}}'.encode()),
        faulty_server.replies(200, b'{"branch": "sales"}'),
        faulty_server.replies(500, b"no"),
    ]
    with bridge_for(tmp_path, faulty_server) as bridge:
        server = asked(bridge, faulty_server)
        crm = server.ask("/api/v1/clients/crm/test", "POST", body={"event": "answer"})
        route = server.ask("/api/v1/clients/route/test", "POST").json
        billing = server.ask("/api/v1/clients/billing/test", "POST").json
        assert server.ask("/api/v1/clients/nobody/test", "POST").status == 404
        assert server.ask("/api/v1/clients/crm/test", "POST", body={"event": "never"}).status == 422
    first, second, third = faulty_server.received
    assert first.header("X-Api-Key") == KEY
    sent = crm.json["sent"]
    assert sent.startswith(f"POST {faulty_server.url}/ring\n") and "X-Api-Key: ********" in sent
    assert sent.endswith("\n\n" + first.body.decode())
    assert (crm.json["is_well"], crm.json["status_code"], crm.json["fault"]) == (True, 201, "")
    assert crm.json["came"].endswith('{"you": "********"}')
    assert KEY.encode() not in crm.body
    assert second.target.startswith("/api/route?")
    assert (route["verdict"], route["variables"]) == ("OK", [{"name": "VIPEX_BRANCH", "value": "sales"}])
    assert third.target == f"/api/{PATH}"
    assert (billing["is_well"], billing["status_code"], billing["elapsed_ms"] >= 0) == (False, 500, True)


def test_a_pause_holds_over_a_restart_and_ends_by_the_api(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    with bridge_for(tmp_path, faulty_server) as bridge:
        server = asked(bridge, faulty_server)
        paused = server.ask("/api/v1/clients/billing/pause", "POST").json
        assert paused["deliveries"]["state"] == "paused" and paused["deliveries"]["paused_since"]
        assert server.ask("/api/v1/clients/billing/pause", "POST").json == paused
        assert server.ask("/api/v1/clients/route/pause", "POST").status == 409
        assert server.ask("/api/v1/clients/nobody/resume", "POST").status == 404
        bridge.stop()
        with open_in(tmp_path) as store:
            to_billing, to_crm = queued(store, new("billing", url=""), new("crm", event="ringing", url=""))
        after = bridge.mark()
        bridge.start()
        bridge.wait_for("delivery.paused", after=after, client="billing")
        bridge.wait_for("delivery.sent", after=after, client="crm")
        server = asked(bridge, faulty_server, after)
        assert server.ask("/api/v1/clients/billing").json["deliveries"]["waiting"] == 1
        assert [request.target for request in faulty_server.received] == ["/api/ring"]
        resumed = server.ask("/api/v1/clients/billing/resume", "POST").json["deliveries"]
        assert (resumed["state"], resumed["paused_since"]) == ("active", None)
        bridge.wait_for("delivery.sent", after=after, client="billing")
    with open_in(tmp_path) as store:
        assert [found(store, each).status for each in (to_billing, to_crm)] == ["delivered", "delivered"]
