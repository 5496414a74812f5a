"""A day of a real bridge with a secret in every place there is for one: none is written anywhere.

Each secret does arrive where it belongs, so the test would see it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request, urlopen

import pytest
import trustme
from agi_call import agi
from bridge_process import BridgeProcess
from canaries import Canaries
from captured_rows import CAPTURES
from fake_ami import FakeAmi
from faulty_server import FaultyServer, Received, running
from free_ports import free_port
from standardwebhooks.webhooks import Webhook

from vipex_bridge.cli.main import main

CONFIGURATION = """
node: !env NODE
timezone: UTC
asterisk:
  ami: {{host: 127.0.0.1, port: {ami}, username: vipex, secret: '{ami_secret}'}}
  agi: {{listen: '127.0.0.1:{agi}', socket: null}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: sqlite:///{state}/state.db
retention: 36500d
http: {{listen: 127.0.0.1:0, tokens: ['{token}']}}
include: clients.d/*.yaml
clients:
  route:
    kind: lookup
    url: !env ROUTE_URL
    basic_auth: {{username: vipex, password: !env BASIC}}
    api_key: {{in: header, name: X-Api-Key, value: !file header-key}}
    headers: {{X-A: !env HEADER_BY_ENV, X-B: !file header-by-file, X-Auth-Token: '{inline_header}'}}
    response: {{set: {{VIPEX_BRANCH: {{path: target, pattern: '.*'}}}}}}
  failing:
    kind: lookup
    url: {url}/fail?access_token={url_parameter}
    api_key: {{in: query, name: key, value: '{query_key}'}}
    fallback_urls: [!env FALLBACK_URL, 'http://127.0.0.1:{refusing}/x']
  stranger:
    kind: lookup
    url: !env STRANGER_URL
    basic_auth: {{username: vipex, password: !env BASIC}}
  crm:
    kind: notify
    on: [arrival, ringing, answer, hangup]
    url: {url}/echo
    retry: [100ms, 100ms]
    api_key: {{in: body, name: key, value: !env BODY_KEY}}
    signing_secret: [!env SIGNING_OLD, !file signing-new]
  gone:
    kind: notify
    on: [ringing]
    url: !env GONE_URL
    retry: []
"""
INCLUDED = """
clients:
  billing:
    kind: call_end
    url: !env BILLING_URL
    retry: [100ms, 100ms, 100ms]
    basic_auth: {{username: vipex, password: '{inline_password}'}}
    signing_secret: '{inline_signing}'
  archive:
    kind: call_end
    url: !env ARCHIVE_URL
    retry: [100ms]
    tls: {{ca: '{ca}', certificate: '{certificate}', key: '{key}'}}
"""
WORSE = """
  worse: {{kind: notify, url: !env USERINFO_URL, signing_secret: '{bad_signing}', retry: never}}
  worst:
    kind: notify
    url: 'https://u:{inline_userinfo}@h/'
    api_key: {{in: header, name: K, value: '{key}☃'}}
"""
TRIED = {"route": 0, "failing": 0, "stranger": 1, "crm": 0, "gone": 1, "billing": 0, "archive": 0}
"""Each client, and what `try` ends with."""


def echo(server: FaultyServer) -> FaultyServer:
    """Makes the server answer with what it was sent: every second time with 500, below /fail always."""

    def answer(sock: socket.socket, request: Received) -> bool:
        said = {
            "target": request.target,
            "headers": dict(request.headers),
            "body": request.body.decode("utf-8", "replace"),
        }
        fails = "/fail" in request.target or (
            request.method == "POST" and sum(r.target == request.target for r in server.received) == 1
        )
        head = {
            "X-Echo": request.target.partition("?")[2] or "-",
            "X-Key": request.header("X-Api-Key") or "-",
        }
        return server.replies(500 if fails else 200, json.dumps(said).encode(), **head)(sock, request)

    server.answer = answer
    return server


class Planted:
    """The configuration with its secrets, and the servers that they are for."""

    def __init__(
        self, folder: Path, server: FaultyServer, archive: FaultyServer, stranger: FaultyServer
    ) -> None:
        self.canaries = Canaries()
        self.folder, self.state = folder, folder / "state"
        self.servers = (server, archive, stranger)
        self.server, self.archive, self.stranger = self.servers

    def environment(self) -> dict[str, str]:
        plant, base = self.canaries.plant, self.server.url
        path, query = plant("url-path", "canary-url-path-0123"), plant("url-query", "canary-q-0123")
        return {
            "NODE": "pbx1",
            "ROUTE_URL": f"{base}/{path}?t={query}",
            "FALLBACK_URL": f"{base}/{plant('fallback-url', 'canary-fallback-0123')}",
            "STRANGER_URL": f"{self.stranger.url}/{plant('stranger-url', 'canary-stranger-0123')}",
            "GONE_URL": f"http://127.0.0.1:{free_port()}/{plant('gone-url', 'canary-gone-0123')}",
            "BILLING_URL": f"{base}/{plant('billing-url', 'canary-billing-0123')}",
            "ARCHIVE_URL": f"{self.archive.url}/{plant('archive-url', 'canary-archive-0123')}",
            "USERINFO_URL": f"https://u:{plant('userinfo', 'canary-userinfo')}@h/",
            "BASIC": plant("basic-by-env"),
            "HEADER_BY_ENV": plant("header-by-env"),
            "BODY_KEY": plant("body-key"),
            "SIGNING_OLD": plant("signing-by-env", "whsec_Y2FuYXJ5LXNpZ25pbmctb2xkLWtleS4u"),
        }

    def write(self, ami: FakeAmi, agi_port: int, tls: SimpleNamespace) -> str:
        """Writes the files that the configuration names, and gives its text."""
        plant = self.canaries.plant
        for name, text in {
            "header-key": plant("key-by-file"),
            "header-by-file": f"Bearer {plant('header-by-file')}",
            "signing-new": plant("signing-by-file"),
        }.items():
            (self.folder / name).write_text(f"{text}\n", "utf-8")
        key_lines = tls.key.read_text().splitlines()
        plant("tls-key", key_lines[2])
        ami.secret = plant("ami", "canary-ami-/+&")
        self.state.mkdir()
        (self.folder / "clients.d").mkdir()
        (self.folder / "clients.d" / "billing.yaml").write_text(
            INCLUDED.format(
                inline_password=plant("inline-password"),
                inline_signing=plant("inline-signing"),
                ca=tls.ca,
                certificate=tls.certificate,
                key=tls.key,
            ),
            "utf-8",
        )
        return CONFIGURATION.format(
            ami=ami.port,
            ami_secret=ami.secret,
            agi=agi_port,
            state=self.state,
            token=plant("http-token"),
            url=self.server.url,
            inline_header=plant("inline-header"),
            url_parameter=plant("url-parameter", "canary-parameter-0123"),
            query_key=plant("inline-query-key"),
            refusing=free_port(),
        )

    def received(self) -> bytes:
        """All that came to the servers."""
        return b"\n".join(
            repr((request.target, request.headers)).encode("utf-8") + request.body
            for server in self.servers
            for request in server.received
        )


@pytest.fixture
def planted(
    tmp_path: Path, authority: trustme.CA, tls_files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Planted]:
    def context(ca: trustme.CA) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(made)
        return made

    with ExitStack() as stack:
        servers = [running(), running(context(authority)), running(context(trustme.CA()))]
        planted = Planted(tmp_path, *(echo(stack.enter_context(server)) for server in servers))
        for name, value in planted.environment().items():
            monkeypatch.setenv(name, value)
        yield planted


async def test_no_secret_is_written_anywhere_in_a_full_day_of_work(
    planted: Planted, tls_files: SimpleNamespace, capfd: pytest.CaptureFixture[str]
) -> None:
    async with FakeAmi() as ami:
        port = free_port()
        bridge = BridgeProcess(planted.folder, planted.write(ami, port, tls_files))
        bridge.config.chmod(0o644)
        await asyncio.to_thread(bridge.start)
        try:
            await a_day(planted, bridge, ami, port)
        finally:
            await asyncio.to_thread(bridge.stop)
        assert [action["Secret"] for action in ami.actions if action["Action"] == "Login"] == [ami.secret]
    await asyncio.to_thread(the_operators_commands, planted, bridge)
    canaries = planted.canaries
    canaries.wrote("log", "\n".join(f"{line}\n{json.dumps(line)}" for line in bridge.lines))
    canaries.wrote("output", "".join(capfd.readouterr()))
    for file in planted.state.iterdir():
        canaries.wrote(file.name, file.read_bytes())
    assert canaries.found() == []
    every_secret_arrived_where_it_belongs(planted)


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def a_day(planted: Planted, bridge: BridgeProcess, ami: FakeAmi, port: int) -> None:
    """Calls, lookups, deliveries, a bad and a good reload."""
    pid = (await asyncio.to_thread(bridge.wait_for, "bridge.started"))["pid"]
    assert bridge.lines[0]["event"] == "configuration.readable_by_all"
    planted.canaries.wrote("cmdline", cmdline(pid))
    for client, status in {"route": "OK", "failing": "OK", "stranger": "UNREACHABLE"}.items():
        variables = await asyncio.to_thread(agi, port, "lookup", client)
        assert variables["VIPEX_STATUS"] == status
    await ami.play(gzip.decompress((CAPTURES / "b_inbound_simple" / "ami.log.gz").read_bytes()))

    def waits() -> None:
        bridge.wait_for("delivery.failed_try", client="crm")
        bridge.wait_for("delivery.sent", client="crm", notice="hangup")
        bridge.wait_for("delivery.parked", client="gone")
        bridge.wait_for("delivery.failed_try", client="billing")
        bridge.wait_for("delivery.sent", client="billing")
        bridge.wait_for("delivery.sent", client="archive")
        good = bridge.config.read_text("utf-8")
        worse = WORSE.format(
            bad_signing="whsec_" + planted.canaries.plant("bad-signing", "canary-bad-signing!"),
            inline_userinfo=planted.canaries.plant("inline-userinfo", "canary-inline-userinfo"),
            key=planted.canaries.plant("bad-key", "canary-bad-key-0123"),
        )
        bridge.config.write_text(good + worse, "utf-8")
        bridge.signal(signal.SIGHUP)
        bridge.wait_for("configuration.refused")
        assert main(["check", "--config", str(bridge.config)]) == 2
        bridge.config.write_text(good, "utf-8")
        bridge.signal(signal.SIGHUP)
        bridge.wait_for("configuration.reloaded")
        for file in planted.state.iterdir():
            planted.canaries.wrote(f"{file.name} while running", file.read_bytes())
        for path in ("/metrics", "/api/v1/clients", "/api/v1/deliveries", "/clients", "/deliveries"):
            planted.canaries.wrote(path, told_with_a_token(bridge, path))

    await asyncio.to_thread(waits)


def told_with_a_token(bridge: BridgeProcess, path: str) -> bytes:
    """What the bridge's own server says to who has its token."""
    port = bridge.wait_for("http.listening")["port"]
    [token] = re.findall(r"tokens: \['(.*?)'\]", bridge.config.read_text("utf-8"))
    asked = Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    with urlopen(asked, timeout=10) as answer:  # noqa: S310
        body: bytes = answer.read()
        return body


def the_operators_commands(planted: Planted, bridge: BridgeProcess) -> None:
    """Every command that reads the configuration or the store."""
    config = ["--config", str(bridge.config)]
    assert main(["check", *config]) == 0
    for client, code in TRIED.items():
        assert main(["render", *config, client]) == 0
        assert (client, main(["try", *config, client])) == (client, code)
    call = next(line["call"] for line in bridge.lines if line.get("client") == "billing")
    for command in (["calls"], ["calls", str(call)], ["explain", str(call)], ["deliveries"]):
        assert main([command[0], *config, *command[1:]]) == 0
    assert main(["resend", *config, "--failed", "--since", "36000d"]) == 0
    assert main(["simulate", *config, str(CAPTURES / "b_inbound_simple" / "ami.log.gz")]) == 0


def every_secret_arrived_where_it_belongs(planted: Planted) -> None:
    canaries, received = planted.canaries, planted.received()
    never_sent = {
        "ami", "http-token", "tls-key", "userinfo", "inline-userinfo", "bad-signing", "bad-key",
        "stranger-url", "gone-url", "signing-by-env", "signing-by-file", "inline-signing",
    }  # fmt: skip
    missing = [
        name for name in canaries.secrets if name not in never_sent and not canaries.arrived(name, received)
    ]
    assert missing == []
    assert planted.stranger.received == []
    told = [request for request in planted.server.received if request.target == "/api/echo"]
    assert told
    for request in told:
        headers = dict(request.headers)
        Webhook(canaries.secrets["signing-by-env"]).verify(request.body, headers)
        Webhook(canaries.secrets["signing-by-file"].encode()).verify(request.body, headers)


def test_the_password_of_a_cdr_database_is_nowhere_when_it_cannot_be_reached(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    canaries = Canaries()
    password = canaries.plant("cdr", "canary-cdr-0123")
    text = (
        f"asterisk: {{agi: null, cdr: {{source: 'mysql://asterisk:{password}@127.0.0.1:{free_port()}/cdr'}}}}\n"
        f"store: sqlite:///{tmp_path}/state.db\n"
    )
    bridge = BridgeProcess(tmp_path, text)
    for command, code in (("check", 0), ("doctor", 1)):
        done = bridge.command(command)
        assert done.returncode == code
        canaries.wrote(command, done.stdout + done.stderr)
    with bridge:
        assert "Connection refused" in bridge.wait_for("cdr.source_failed")["error"]
    canaries.wrote("log", bridge.log())
    assert canaries.found() == []


def test_a_traceback_on_a_terminal_shows_no_locals() -> None:
    """Even with a library at hand that would print them prettily."""
    program = (
        "import structlog\nfrom vipex_bridge.cli import logs\nlogs.configure()\n"
        "def broken(planted):\n    raise ValueError('no')\n"
        "try:\n    broken('-'.join(['canary', 'local']))\n"
        "except ValueError:\n    structlog.get_logger().exception('it.broke')\n"
    )
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with os.fdopen(theirs, "wb") as stderr:
            done = subprocess.run([sys.executable, "-c", program], stderr=stderr, timeout=60, check=False)
        assert done.returncode == 0
        os.set_blocking(terminal.fileno(), False)
        said = terminal.read(65_536)
    assert said is not None
    assert b"it.broke" in said and b"ValueError: no" in said
    assert b"canary-local" not in said
