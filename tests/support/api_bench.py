"""A real bridge with its HTTP server, told of calls by the CDR, and somebody who asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge_process import BridgeProcess
from cdr_file import make_table, write_row
from faulty_server import FaultyServer, running

TOKEN = "planted-token-of-the-api"
CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', preset: sqlite3_custom, poll: 100ms}}
  recordings: {{root: {folder}/monitor, wait: 1s}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
http: {{listen: '127.0.0.1:0', tokens: [{token}], recordings_url: 'https://pbx.example.com'}}
clients:
  billing:
    kind: call_end
    url: '{url}/cdr'
    headers: {{X-Secret: planted-secret-of-billing}}
    retry: [1h]
"""
SOUND = bytes(range(256)) * 40


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """The bridge's server, and the receiver of its client."""

    port: int
    receiver: FaultyServer

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        token: str | None = TOKEN,
        body: object = None,
        **headers: str,
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, str) else None if body is None else json.dumps(body)
        if body is not None and not isinstance(body, str):
            sent.setdefault("Content-Type", "application/json")
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def until(self, path: str, found: str) -> Any:
        """What the path gives once there is something under `found`."""
        for _ in range(200):
            given = self.ask(path).json
            if given[found]:
                return given
            time.sleep(0.05)
        raise AssertionError(f"nothing at {path}")


@contextlib.contextmanager
def told_of_three_calls(folder: Path) -> Iterator[Server]:
    """A bridge that was told of three calls by the CDR, the last of them just now, with a recording."""
    (folder / "monitor").mkdir()
    (folder / "monitor" / "call-3.wav").write_bytes(SOUND)
    master = folder / "master.db"
    make_table(master)
    with running() as receiver:
        receiver.answer = receiver.replies(500)
        text = CONFIGURATION.format(folder=folder, token=TOKEN, url=receiver.url)
        bridge = BridgeProcess(folder, text)
        with bridge:
            # Calls from before the bridge's first look are told to nobody.
            bridge.wait_for("reconcile.done")
            begun = int(time.time()) + 1
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(begun))
            for number in (1, 2, 3):
                write_row(
                    master,
                    {
                        "start": at, "answer": at, "end": at, "src": f"3670555100{number}", "dst": "364299",
                        "channel": f"PJSIP/trunk-0000000{number}", "dstchannel": f"PJSIP/25{number}-000000a",
                        "lastapp": "Dial", "duration": 0, "billsec": 0, "disposition": "ANSWERED",
                        "uniqueid": f"{begun}.{number}", "linkedid": f"{begun}.{number}",
                        "sequence": number, "recordingfile": f"call-{number}.wav", "ivr_digits": "1,22",
                    },
                )  # fmt: skip
            port = bridge.wait_for("http.listening")["port"]
            for _ in range(3):
                bridge.wait_for("delivery.failed_try", timeout_s=40)
            made = Server(port, receiver)
            while len(made.ask("/api/v1/deliveries").json["deliveries"]) < 3:
                time.sleep(0.1)
            yield made
