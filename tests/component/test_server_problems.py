"""What is told when something cannot be done: to a person a page in his language, to a program one line."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import requests
from console_bench import no_recordings, served, words_of
from delivering import client, settings_of
from lxml import html
from outcome import NUMBERING
from stored import url_of

from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.config.settings import Http, Secret
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.lookup.exchange import Lookups
from vipex_bridge.metrics import Metrics, Present
from vipex_bridge.server.app import application
from vipex_bridge.server.context import Context
from vipex_bridge.store.store import Store

TOKEN = "planted-token-of-the-problems"
PROGRAM = {"Authorization": f"Bearer {TOKEN}"}
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "hu-HU,hu;q=0.9,en;q=0.5"}
NO_STORE = "A híd most nem éri el az adatbázisát."


@dataclass
class Server:
    """The whole server over a store."""

    store: Store
    is_broken: bool = False
    """As by a mistake of ours: whatever wants to know the time fails."""
    ports: list[int] = field(default_factory=list)

    def clock(self) -> float:
        if self.is_broken:
            raise RuntimeError("planted mistake")
        return time.time()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[0]}{path}"

    def get(self, path: str, *headers: dict[str, str]) -> requests.Response:
        sent = {name: value for each in headers for name, value in each.items()}
        return requests.get(self.url(path), headers=sent, timeout=10, allow_redirects=False)

    def post(self, path: str, data: dict[str, str], *headers: dict[str, str]) -> requests.Response:
        sent = {name: value for each in headers for name, value in each.items()}
        return requests.post(self.url(path), data=data, headers=sent, timeout=10, allow_redirects=False)

    def session(self) -> dict[str, str]:
        """The cookie of somebody who has logged in."""
        answer = self.post("/login", {"token": TOKEN, "next": "/"})
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    http = Http("127.0.0.1", 0, (Secret(TOKEN),))
    settings = replace(settings_of(client()), http=http)
    with contextlib.ExitStack() as undo:
        store, transport = Store(url_of(tmp_path), "pbx1"), Transport()
        lookups = Lookups(transport)
        for each in (lookups, transport, store):
            undo.callback(each.close)
        made = Server(store)
        deliveries = Deliveries(store, settings, transport, open_recording=no_recordings)
        context = Context(
            store=store,
            settings=lambda: settings,
            deliveries=deliveries,
            tracker=Tracker(NUMBERING),
            transport=transport,
            lookups=lookups,
            health=list,
            metrics=Metrics(),
            present=lambda: Present("pbx1"),
            clock=made.clock,
        )
        made.ports.append(undo.enter_context(served(application(context))))
        yield made


def page_of(answer: requests.Response, status: int, language: str = "hu") -> html.HtmlElement:
    """The page that a browser got with that status; nothing of it comes from elsewhere."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-language"] == language
    assert "unsafe" not in answer.headers["content-security-policy"]
    page = html.document_fromstring(answer.content.decode("utf-8"))
    assert page.get("lang") == language
    assert not page.xpath("//script | //style | //*[@style]")
    return page


def test_a_store_that_fails_is_a_page_in_the_readers_language_and_json_for_a_program(server: Server) -> None:
    cookie = server.session()
    server.store.close()
    for path in ("/calls", "/deliveries", "/deliveries/1", "/charts"):
        page = page_of(server.get(path, cookie, BROWSER), 503)
        assert NO_STORE in words_of(page)
        assert "the bridge is stopping" in words_of(page)
    english = page_of(server.get("/calls", cookie, {"Accept": "text/html"}), 503, "en")
    assert "The bridge cannot use its database." in words_of(english)
    for path in ("/api/v1/calls", "/api/v1/deliveries", "/api/v1/clients"):
        told = server.get(path, PROGRAM, {"Accept": "text/html"})
        assert (told.status_code, told.headers["content-type"]) == (503, "application/json")
        assert "the bridge is stopping" in told.json()["detail"]


def test_a_page_that_is_not_there_is_a_page(server: Server) -> None:
    cookie = server.session()
    assert "Nincs ilyen oldal." in words_of(page_of(server.get("/nowhere", cookie, BROWSER), 404))
    assert server.get("/api/v1/nowhere", PROGRAM, BROWSER).json() == {"detail": "Not Found"}
    assert server.get("/nowhere", PROGRAM).json() == {"detail": "Not Found"}


def test_a_mistake_of_ours_is_told_as_one_and_shows_nothing_of_it(server: Server) -> None:
    cookie = server.session()
    server.is_broken = True
    page = server.get("/calls", cookie, BROWSER)
    assert "hibázott" in words_of(page_of(page, 500))
    told = requests.post(
        server.url("/api/v1/deliveries/resend"), json={"failed_since": 0}, headers=PROGRAM, timeout=10
    )
    assert (told.status_code, told.json()) == (500, {"detail": "the bridge made a mistake: see its log"})
    assert "planted" not in page.text


def test_the_log_in_page_speaks_the_readers_language_and_lets_him_choose(server: Server) -> None:
    page = page_of(server.get("/login?next=%2Fcalls", BROWSER), 200)
    assert words_of(page.find(".//h1")) == "Belépés"
    [language] = [form for form in page.iter("form") if form.get("method") == "get"]
    assert [button.get("aria-pressed") for button in language.iter("button")] == ["false", "true"]
    chosen = server.get("/login?next=%2Fcalls&language=en", BROWSER)
    english = page_of(chosen, 200, "en")
    assert english.find(".//input[@name='next']").get("value") == "/calls"
    cookie = {"Cookie": chosen.headers["set-cookie"].partition(";")[0]}
    assert words_of(page_of(server.get("/login", BROWSER, cookie), 200, "en").find(".//h1")) == "Log in"
    assert words_of(page_of(server.get("/login?language=de", BROWSER), 200).find(".//h1")) == "Belépés"


def test_who_is_refused_reads_why_in_his_language(server: Server) -> None:
    wrong = server.post("/login", {"token": "guess", "next": "/"}, BROWSER)
    assert "Ez a token ismeretlen." in words_of(page_of(wrong, 401))
    elsewhere = server.post("/login", {"token": TOKEN}, BROWSER, {"Sec-Fetch-Site": "cross-site"})
    assert "Ezen az oldalon lépjen be." in words_of(page_of(elsewhere, 403))
    cookie = server.session()
    forged = server.post("/deliveries/resend", {"since": "x", "csrf": "made-up"}, cookie, BROWSER)
    assert "Töltse be újra az oldalt." in words_of(page_of(forged, 403))
    out = server.post("/deliveries/resend", {"since": "x"}, BROWSER)
    [link] = page_of(out, 401).find(".//main").iter("a")
    assert link.get("href") == "/login"
    for _ in range(12):
        last = server.post("/login", {"token": "guess"}, BROWSER)
    assert "Próbálja újra" in words_of(page_of(last, 429))
    assert int(last.headers["retry-after"]) >= 1
    assert (
        server.get("/api/v1/calls", {"X-Api-Key": "guess"}, BROWSER).json()["detail"].startswith("too many")
    )
