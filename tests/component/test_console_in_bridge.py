"""The console in the real bridge: behind a log-in, a person sees a call come, be told, be sent again."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from bridge_process import BridgeProcess
from captured_rows import CAPTURES
from console_bench import words_of
from fake_ami import FakeAmi
from faulty_server import FaultyServer
from lxml import html

TOKEN = "planted-token-of-the-console"
CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  ami: {{host: 127.0.0.1, port: {ami}, username: vipex, secret: labsecret}}
  agi: null
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: 'sqlite:///{folder}/state.db'
http: {{listen: '127.0.0.1:0', tokens: [{token}]}}
clients:
  billing: {{kind: call_end, url: '{url}/cdr', retry: [1h]}}
"""
CASE = "b_inbound_simple"


@dataclass
class Person:
    """Somebody with a browser that keeps cookies and reads Hungarian."""

    session: requests.Session
    url: str

    def get(self, path: str) -> requests.Response:
        return self.session.get(
            self.url + path, timeout=10, headers={"Accept": "text/html", "Accept-Language": "hu"}
        )

    def page(self, path: str) -> html.HtmlElement:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return html.document_fromstring(answer.content.decode("utf-8"))

    def sends(self, form: html.HtmlElement) -> requests.Response:
        """Presses the form's button: its hidden fields go with it."""
        fields = {field.get("name"): field.get("value") for field in form.iter("input") if field.get("name")}
        return self.session.post(self.url + form.get("action"), data=fields, timeout=10)

    def logs_in(self) -> None:
        page = self.page("/")
        assert page.find(".//input[@name='token']") is not None
        data = {"token": TOKEN, "next": "/"}
        assert self.session.post(self.url + "/login", data=data, timeout=10).status_code == 200


@asynccontextmanager
async def bridge(folder: Path, url: str) -> AsyncIterator[tuple[BridgeProcess, FakeAmi, Person]]:
    async with FakeAmi() as ami:
        process = BridgeProcess(
            folder, CONFIGURATION.format(ami=ami.port, folder=folder, token=TOKEN, url=url)
        )
        await asyncio.to_thread(process.start)
        try:
            port = process.wait_for("http.listening")["port"]
            with requests.Session() as session:
                yield process, ami, Person(session, f"http://127.0.0.1:{port}")
        finally:
            await asyncio.to_thread(process.stop)


def halves() -> tuple[bytes, bytes]:
    """A recorded call up to its answer, and the rest."""
    blocks = gzip.decompress((CAPTURES / CASE / "ami.log.gz").read_bytes()).split(b"\r\n\r\n")
    last = max(number for number, block in enumerate(blocks) if b"Event: BridgeEnter" in block)
    return b"\r\n\r\n".join(blocks[: last + 1]) + b"\r\n\r\n", b"\r\n\r\n".join(blocks[last + 1 :])


async def until(person: Person, path: str, text: str) -> html.HtmlElement:
    for _ in range(200):
        page = await asyncio.to_thread(person.page, path)
        if text in words_of(page):
            return page
        await asyncio.sleep(0.05)
    raise AssertionError(f"{text} never was on {path}: {words_of(page)}")


async def test_a_call_is_seen_live_then_told_and_what_failed_is_sent_again(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.replies(410)]
    before, after = halves()
    async with bridge(tmp_path, faulty_server.url) as (process, ami, person):
        await asyncio.to_thread(person.logs_in)
        assert "Most senki sem telefonál." in words_of(await asyncio.to_thread(person.page, "/"))
        await ami.play(before)
        live = await until(person, "/", "beszél")
        assert "Mellék 251 beszél" in words_of(live) or "Mellék 200 beszél" in words_of(live)
        await ami.play(after)
        await until(person, "/", "Most senki sem telefonál.")
        await asyncio.to_thread(process.wait_for, "delivery.parked", 20.0)
        log = await until(person, "/deliveries?status=failed", "sikertelen")
        [form] = [form for form in log.iter("form") if form.get("hx-post")]
        forged = await asyncio.to_thread(
            lambda: person.session.post(person.url + form.get("action"), data={"csrf": "made-up"}, timeout=10)
        )
        assert forged.status_code == 403
        assert (await asyncio.to_thread(person.sends, form)).status_code == 200
        row = await until(person, f"{form.get('action').removesuffix('/resend')}/row", "kézbesítve")
        call = await asyncio.to_thread(person.page, row.xpath("//a[starts-with(@href, '/calls/')]/@href")[0])
        assert [svg for svg in call.iter("svg") if svg.get("role") == "img"]
    assert len(faulty_server.received) == 2


async def test_nobody_sees_anything_without_logging_in(tmp_path: Path, faulty_server: FaultyServer) -> None:
    async with bridge(tmp_path, faulty_server.url) as (_, _, person):
        for path in (
            "/",
            "/calls",
            "/deliveries",
            "/clients",
            "/charts",
            "/live/calls",
            "/live/events",
            "/calls/1",
        ):
            answer = await asyncio.to_thread(
                lambda path: requests.get(person.url + path, timeout=10, allow_redirects=False), path
            )
            assert answer.status_code == 401, path
        for path in ("/clients/billing/test", "/clients/billing/pause", "/deliveries/1/resend", "/language"):
            answer = await asyncio.to_thread(lambda path: requests.post(person.url + path, timeout=10), path)
            assert answer.status_code == 401, path
        assert (await asyncio.to_thread(requests.get, f"{person.url}/static/console.css")).status_code == 200
        assert not faulty_server.received


async def test_a_bridge_with_readers_stops_in_time(tmp_path: Path, faulty_server: FaultyServer) -> None:
    async with bridge(tmp_path, faulty_server.url) as (process, _, person):
        await asyncio.to_thread(person.logs_in)
        streams = [person.session.get(f"{person.url}/live/events", stream=True, timeout=10) for _ in range(3)]
        assert all(next(stream.iter_lines()) == b"event: moved" for stream in streams)
        # The contract's promise, section 1.
        assert await asyncio.to_thread(process.stop) < 5.0
        for stream in streams:
            stream.close()
