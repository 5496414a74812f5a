"""The API keeps to its own description: schemathesis asks a running bridge, and the examples are true."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from api_bench import SOUND, TOKEN, Server
from bridge_process import BridgeProcess
from console_bench import told_example
from faulty_server import running
from jsonschema import Draft202012Validator
from stored import claimed, new, open_in, queued, record, url_of

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
FUZZED_EXAMPLES = 5
"""For each operation, besides those that its schema's every corner gives."""
KNOWN = """
[phases.coverage]
unexpected-methods = ["PUT", "DELETE", "OPTIONS"]

[[operations]]
include-path-regex = "/recordings/"
parameters = {{ reference = "{reference}" }}

[[operations]]
include-path-regex = "/calls/\\\\{{id\\\\}}"
parameters = {{ id = {call} }}

[[operations]]
include-path-regex = "/deliveries/\\\\{{id\\\\}}"
parameters = {{ id = {delivery} }}
"""
CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  agi: null
  recordings: {{root: '{monitor}'}}
store: '{store}'
http: {{listen: '127.0.0.1:0', tokens: [{token}]}}
clients:
  billing: {{kind: call_end, url: '{url}/cdr', retry: [1h]}}
  crm: {{kind: notify, on: [ringing], url: '{url}/ring'}}
  route: {{kind: lookup, url: '{url}/route', response: {{format: json, set: {{VIPEX_BRANCH: branch}}}}}}
"""
REFERENCE = "3f1c5a0d9b7e4c62a1d08e5f7b9c2d41"
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass
class Described:
    """A bridge with calls and deliveries, and what it says of itself."""

    server: Server
    schema: dict[str, Any]
    call_id: int
    failed_id: int

    def operations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for path, item in self.schema["paths"].items():
            for method in METHODS:
                if method in item:
                    yield f"{method} {path}", item[method]

    def errors(self, part: dict[str, Any], value: object) -> list[str]:
        """What of the value does not keep to a schema in the description."""
        whole = {**part, "components": self.schema["components"]}
        return [error.message for error in Draft202012Validator(whole).iter_errors(value)]

    def examples(self, part: dict[str, Any]) -> list[Any]:
        """Those of a parameter or a body, wherever OpenAPI and JSON Schema let them be."""
        if "example" in part:
            return [part["example"]]
        schema = part.get("schema", {})
        if "$ref" in schema:
            schema = self.schema["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        either = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
        if either and "examples" not in schema:
            return self.examples({"schema": either[0]})
        return list(schema.get("examples", []))


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    """A bridge with a told call, its recording, and deliveries of every outcome."""
    folder = tmp_path_factory.mktemp("bridge")
    monitor = folder / "monitor"
    monitor.mkdir()
    (monitor / "91064.wav").write_bytes(SOUND)
    now = time.time()
    with running() as receiver:
        receiver.answer = receiver.replies(200, b'{"branch": "sales"}')
        with open_in(folder) as store:
            call_id = told_example(store, now)
            with store.write(now) as writer:
                writer.add_recording(REFERENCE, call_id, str(monitor / "91064.wav"))
            delivered, failed, _ = queued(
                store, *[new(call_id=number, at=now) for number in (call_id, 2, 3)], now=now
            )
            claimed(store, limit=3, now=now)
            record(store, delivered, "delivered", now=now)
            record(store, failed, "failed", now=now)
        text = CONFIGURATION.format(store=url_of(folder), monitor=monitor, token=TOKEN, url=receiver.url)
        with BridgeProcess(folder, text) as bridge:
            server = Server(bridge.wait_for("http.listening")["port"], receiver)
            yield Described(server, server.ask("/api/v1/openapi.json").json, call_id, failed)


def test_every_operation_has_examples_and_they_are_true(described: Described) -> None:
    found = dict(described.operations())
    assert {"get /healthz", "get /api/v1/calls/{id}", "post /api/v1/clients/{name}/test"} <= found.keys()
    for name, operation in found.items():
        assert operation.get("description") or operation.get("summary"), name
        places = [*operation.get("parameters", [])]
        places += (
            [operation["requestBody"]["content"]["application/json"]] if "requestBody" in operation else []
        )
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                assert media_type == "application/json" or status in ("200", "206"), name
                places += [content] if media_type == "application/json" else []
        for place in places:
            examples = described.examples(place)
            assert examples, (name, place)
            for example in examples:
                assert not described.errors(place.get("schema", {}), example), (name, place)


def test_every_operation_but_health_wants_a_token_and_says_so(described: Described) -> None:
    for name, operation in described.operations():
        if name == "get /healthz":
            assert "security" not in operation
            continue
        assert [list(scheme) for scheme in operation["security"]] == [["HTTPBearer"], ["APIKeyHeader"]]
        assert {"401", "429", "503"} <= operation["responses"].keys()
        method, path = name.split()
        refused = described.server.ask(re.sub(r"\{\w+\}", "1", path), method.upper(), token=None)
        assert refused.status == 401, name
        assert not described.errors(operation["responses"]["401"]["content"]["application/json"]["schema"],
                                    refused.json)  # fmt: skip


def test_the_running_bridge_keeps_to_its_description(described: Described, tmp_path: Path) -> None:
    """Right and wrong requests alike: statuses, content types, schemas, and never a 5xx."""
    server = described.server
    known = tmp_path / "schemathesis.toml"
    known.write_text(KNOWN.format(reference=REFERENCE, call=described.call_id, delivery=described.failed_id))
    done = subprocess.run(
        [
            str(SCHEMATHESIS), "--no-color", "--config-file", str(known),
            "run", f"http://127.0.0.1:{server.port}/api/v1/openapi.json",
            "--header", f"Authorization: Bearer {TOKEN}", "--mode", "all", "--seed", "1",
            "--phases", "examples,coverage,fuzzing", "--max-examples", str(FUZZED_EXAMPLES),
            # Guessing tokens makes an address wait (tested elsewhere), and with it the rest of this.
            "--checks", "all", "--exclude-checks", "ignored_auth",
            "--continue-on-failure", "--request-timeout", "10",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Operations: +1[0-9] selected / 1[0-9] total", done.stdout)
    assert TOKEN not in done.stdout
