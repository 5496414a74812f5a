"""The programs in the receiver's guides, run: against requests that we signed, and against our own server."""

from __future__ import annotations

import base64
import http.client
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from bridge_process import BridgeProcess
from cdr_file import make_table, write_ended_call
from faulty_server import running
from pages import blocks
from receiver_pages import PAGES
from sending import post

from vipex_bridge.config.settings import Secret
from vipex_bridge.deliver.signing import sign

each_page = pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
KEY = "whsec_" + base64.b64encode(b"a key that has 32 bytes.....?>~~").decode()
OTHER = "whsec_" + base64.b64encode(b"another key of 32 bytes.........").decode()
BODY = '{"id": 91001, "src": "Kovács", "custom_field": "árvíztűrő \\u0000"}\r\n'.encode()

# What the page's function needs around it to be asked from outside: arguments, the body on standard input.
ASKED = {
    "python": (
        "test.py",
        "\nimport sys\nprint(is_genuine(*sys.argv[1:5], sys.stdin.buffer.read()))\n",
        [sys.executable],
    ),
    "php": (
        "test.php",
        "\n$body = file_get_contents('php://stdin');\n"
        "echo is_genuine($argv[1], $argv[2], $argv[3], $argv[4], $body) ? 'True' : 'False';\n",
        ["php"],
    ),
    "js": (
        "test.js",
        "\nconst body = require('fs').readFileSync(0);\n"
        "console.log(isGenuine(...process.argv.slice(2, 6), body) ? 'True' : 'False');\n",
        ["node"],
    ),
}


def _judge(path: Path, language: str, folder: Path) -> Callable[[str, Mapping[str, str], bytes], bool]:
    """The page's function in this language, as a program of its own."""
    code = next(text for text in blocks(path, language) if "is_genuine" in text or "isGenuine" in text)
    name, asking, interpreter = ASKED[language]
    (folder / name).write_text(("<?php\n" if language == "php" else "") + code + asking, encoding="utf-8")

    def judge(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
        given = [headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature")]
        command = [*interpreter, str(folder / name), secret, *given]
        done = subprocess.run(command, input=body, capture_output=True, check=True, timeout=60)
        assert done.stderr == b""
        return {b"True": True, b"False": False}[done.stdout.strip()]

    return judge


def _headers(*secrets: str, at: float | None = None, body: bytes = BODY) -> Mapping[str, str]:
    outgoing = post("https://crm.example/cdr", body)
    signed = sign(outgoing, map(Secret, secrets), "3f1c5a0d", time.time() if at is None else at)
    return dict(signed.headers)


@each_page
@pytest.mark.parametrize("language", ASKED)
def test_a_request_that_we_signed_is_genuine_and_nothing_else_is(
    path: Path, language: str, tmp_path: Path
) -> None:
    judge = _judge(path, language, tmp_path)
    headers = _headers(KEY)
    assert judge(KEY, headers, BODY)
    assert judge(KEY, _headers(KEY, body=b""), b"")
    assert judge(KEY, _headers(OTHER, KEY), BODY), "while one secret replaces the other"
    assert not judge(OTHER, headers, BODY)
    assert not judge(KEY, headers, BODY.replace(b"91001", b"91002"))
    assert not judge(KEY, {**headers, "webhook-id": "another"}, BODY)
    assert not judge(KEY, {**headers, "webhook-signature": "v1,"}, BODY)
    assert not judge(KEY, {**headers, "webhook-signature": ""}, BODY)
    assert not judge(KEY, {**headers, "webhook-signature": "v1,árvíz"}, BODY)
    assert not judge(KEY, {**headers, "webhook-timestamp": "now"}, BODY)
    assert not judge(KEY, _headers(KEY, at=time.time() - 600), BODY)
    assert not judge(KEY, _headers(KEY, at=time.time() + 600), BODY)


def _defined(path: Path, name: str) -> Any:
    """A function of one of the page's Python blocks."""
    code = next(text for text in blocks(path, "python") if f"def {name}(" in text)
    names: dict[str, Any] = {}
    exec(compile(code, str(path), "exec"), names)  # noqa: S102 - the page is ours
    return names[name]


@each_page
def test_a_delivery_that_comes_twice_is_kept_once(path: Path) -> None:
    keep_once = _defined(path, "keep_once")
    with closing(sqlite3.connect(":memory:")) as database:
        assert keep_once(database, "k1", {"id": 7, "billsec": 4})
        assert not keep_once(database, "k1", {"id": 7, "billsec": 4})
        assert keep_once(database, "k2", {"id": 8, "billsec": 5})
        assert keep_once(database, "k3", {"id": 7, "billsec": 6}), "replayed: a new key"
        rows = database.execute("SELECT id, document FROM calls ORDER BY id").fetchall()
    assert [(number, json.loads(text)["billsec"]) for number, text in rows] == [(7, 6), (8, 5)]


# Recordings

TOKEN = "planted-token-of-the-api"
SOUND = bytes(range(256)) * 1000
CONFIGURATION = """
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', poll: 100ms}}
  recordings: {{root: {folder}/monitor, wait: 1s}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
http: {{listen: '127.0.0.1:0', tokens: [{token}]}}
clients:
  billing: {{kind: call_end, url: '{url}/cdr'}}
"""


@dataclass
class Told:
    """Where the API is, and the end of a call as its receiver got it."""

    api: str
    call: Mapping[str, Any]

    @property
    def recording(self) -> str:
        return f"{self.api}/api/v1/recordings/{self.call['main_reference_id']}"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A bridge that told a receiver of one recorded call."""
    folder = tmp_path_factory.mktemp("bridge")
    (folder / "monitor").mkdir()
    (folder / "monitor" / "call.wav").write_bytes(SOUND)
    make_table(folder / "master.db")
    with running() as receiver:
        bridge = BridgeProcess(folder, CONFIGURATION.format(folder=folder, token=TOKEN, url=receiver.url))
        with bridge:
            bridge.wait_for("reconcile.done")
            write_ended_call(folder / "master.db", recordingfile="call.wav")
            port = bridge.wait_for("http.listening")["port"]
            receiver.wait_for(1, timeout_s=60)
            yield Told(f"http://127.0.0.1:{port}", json.loads(receiver.received[0].body))


@each_page
def test_a_recording_is_fetched_and_gone_on_with(path: Path, told: Told, tmp_path: Path) -> None:
    fetch = _defined(path, "fetch")
    file = tmp_path / "call.wav"
    fetch(told.recording, str(file), TOKEN)
    assert file.read_bytes() == SOUND == base64.b64decode(told.call["monitor_file"])
    os.truncate(file, 100_000)
    fetch(told.recording, str(file), TOKEN)
    assert file.read_bytes() == SOUND
    fetch(told.recording, str(file), TOKEN)
    assert file.read_bytes() == SOUND, "it is all there already"


@each_page
def test_a_link_needs_no_token(path: Path, told: Told, tmp_path: Path) -> None:
    fetch = _defined(path, "fetch")
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    place = urlsplit(told.recording)
    with closing(http.client.HTTPConnection(place.netloc, timeout=10)) as connection:
        connection.request("POST", f"{place.path}/link", b'{"valid_s": 3600}', headers)
        link = json.load(connection.getresponse())
    shown = json.loads(next(text for text in blocks(path, "json") if "expires_at" in text))
    assert list(link) == list(shown)
    file = tmp_path / "call.wav"
    file.write_bytes(SOUND[:7])
    fetch(f"{told.api}{link['url']}", str(file))
    assert file.read_bytes() == SOUND


@each_page
def test_without_a_token_or_for_another_recording_there_is_nothing(
    path: Path, told: Told, tmp_path: Path
) -> None:
    fetch = _defined(path, "fetch")
    for url, token, status in ((told.recording, "", 401), (told.recording + "x", TOKEN, 404)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(url, str(tmp_path / "call.wav"), token)
        assert refused.value.code == status
        refused.value.close()
    assert not (tmp_path / "call.wav").exists()
