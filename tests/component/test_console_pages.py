"""The console's pages over a real socket, in both languages, as a reader and a browser find them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from console_bench import ENGLISH, HUNGARIAN, Bench, console, told_example, words_of
from lxml import html
from stored import claimed, new, queued, record
from story import inbound_example

PAGES = ["/", "/calls", "/deliveries", "/clients", "/charts"]
HEADINGS = {
    "/": ("Live", "Élő"),
    "/calls": ("Calls", "Hívások"),
    "/deliveries": ("Deliveries", "Kézbesítések"),
    "/clients": ("Clients", "Kliensek"),
    "/charts": ("Charts", "Grafikonok"),
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with console(tmp_path) as bench:
        yield bench


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_there_in_both_languages(bench: Bench, path: str) -> None:
    for language, headers, heading in zip(("en", "hu"), (ENGLISH, HUNGARIAN), HEADINGS[path], strict=True):
        page = bench.page(path, headers)
        assert page.get("lang") == language
        assert words_of(page.find(".//h1")) == heading
        current = [words_of(link) for link in page.iterfind(".//nav//a[@aria-current]")]
        assert current == [heading]


def test_the_language_can_be_switched_and_is_kept(bench: Bench) -> None:
    answer = bench.post("/language", {"language": "hu", "back": "/calls?number=36"}, **ENGLISH)
    assert (answer.status_code, answer.headers["location"]) == (303, "/calls?number=36")
    cookie = answer.headers["set-cookie"].split(";")[0]
    page = html.document_fromstring(bench.get("/calls", **ENGLISH, Cookie=cookie).text)
    assert page.get("lang") == "hu"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""]
)
def test_nobody_is_sent_elsewhere(bench: Bench, target: str) -> None:
    answer = bench.post("/language", {"language": "hu", "back": target})
    assert answer.headers["location"] == "/"


def assert_fit_for_a_strict_policy(text: str) -> None:
    """No script or style in the page itself (Content-Security-Policy without unsafe-inline)."""
    page = html.document_fromstring(text)
    for element in page.iter():
        assert element.get("style") is None
        assert not [name for name in element.attrib if str(name).startswith(("on", "hx-on"))]
        assert element.tag != "style"
        if element.tag == "script":
            assert (element.get("src") or "").startswith("/static/")
            assert not (element.text or "").strip()
        for name in ("src", "href", "action"):
            assert (element.get(name) or "/").startswith(("/", "#"))


def assert_named(text: str) -> None:
    """What a screen reader needs: landmarks, one heading, named fields, buttons, tables; ids that are one."""
    page = html.document_fromstring(text)
    assert len(page.findall(".//main")) == len(page.findall(".//h1")) == 1
    assert all(nav.get("aria-label") for nav in page.iter("nav"))
    ids = [name for element in page.iter() if (name := element.get("id"))]
    assert sorted(ids) == sorted(set(ids))
    labels = {label.get("for") for label in page.iter("label")}
    for element in page.iter("input", "select", "textarea"):
        assert element.get("type") == "hidden" or element.get("id") in labels
    for element in page.iter("button"):
        assert words_of(element)
    for element in page.iter("table"):
        assert words_of(element.find("caption"))
    for element in page.iter("svg"):
        if element.get("role") == "img":
            assert set((element.get("aria-labelledby") or "").split()) <= set(ids)
            assert element.get("aria-labelledby")
    for element in page.iter("audio"):
        assert element.get("aria-label")
    levels = [int(e.tag[1]) for e in page.iter("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("headers", [ENGLISH, HUNGARIAN])
def test_every_page_is_fit_for_policy_and_screen_reader(bench: Bench, headers: dict[str, str]) -> None:
    call_id = told_example(bench.store, bench.clock())
    now = bench.clock()
    [one, other] = queued(bench.store, new(call_id=call_id), new(call_id=call_id), now=now)
    claimed(bench.store, limit=2, now=now)
    record(bench.store, one, "failed", now=now - 30)
    bench.lookup_times.note("crm", 0.2)
    for path in [*PAGES, f"/calls/{call_id}", f"/deliveries/{one}", f"/deliveries/{other}", "/calls/999999"]:
        text = bench.get(path, **headers).text
        assert_fit_for_a_strict_policy(text)
        assert_named(text)


def test_live_shows_who_rings_and_then_who_talks(bench: Bench) -> None:
    assert "Nobody is on the telephone." in words_of(bench.page("/"))
    events = inbound_example(bench.clock() - 20).events
    talks = next(number for number, event in enumerate(events) if type(event).__name__ == "BridgeEnter")
    bench.happens(*events[: talks - 3])
    ringing = words_of(bench.page("/").get_element_by_id("live"))
    assert "3642999425 → 3642999408" in ringing
    assert re.search(r"Extension 251 ringing since \d\d:\d\d:\d\d", ringing)
    assert "Extension 200" not in ringing
    bench.happens(*events[talks - 3 : talks + 2])
    talking = words_of(bench.page("/live/calls"))
    assert "Extension 251 talking" in talking
    assert "Mellék 251 beszél" in words_of(bench.page("/live/calls", HUNGARIAN))
    bench.happens(*events[talks + 2 :])
    assert "Nobody is on the telephone." in words_of(bench.page("/live/calls"))


def test_live_says_when_something_moves(bench: Bench) -> None:
    with requests.get(f"{bench.url}/live/events", stream=True, timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == b"event: moved"
        bench.happens(*inbound_example(bench.clock()).events[:3])
        assert next(line for line in lines if line.startswith(b"event")) == b"event: moved"


def test_a_call_is_found_and_shown_as_a_picture_with_what_was_sent(bench: Bench) -> None:
    now = bench.clock()
    call_id = told_example(bench.store, now)
    [delivery_id] = queued(bench.store, new(call_id=call_id, at=now), now=now)
    claimed(bench.store, now=now)
    record(bench.store, delivery_id, "delivered", now=now)
    for query, is_found in [
        ("number=3642999425", True),
        ("number=9-94+25", True),
        ("exten=251", True),
        ("exten=999", False),
        ("client=billing&status=delivered", True),
        ("client=billing&status=failed", False),
        ("since=2020-01-01T00:00", True),
        ("until=2020-01-01T00:00", False),
        ("since=nonsense", True),
    ]:
        links = [link.get("href") for link in bench.page(f"/calls?{query}").iterfind(".//tbody//a")]
        assert links == ([f"/calls/{call_id}"] if is_found else []), query
    page = bench.page(f"/calls/{call_id}", HUNGARIAN)
    [picture] = [svg for svg in page.iter("svg") if svg.get("role") == "img"]
    lanes = [
        words_of(g.find("title")) for g in picture.iter("g") if (g.get("class") or "").startswith("lane")
    ]
    assert lanes == ["Hívó 3642999425", "Mellék 200", "Mellék 221", "Mellék 251"]
    sent = words_of(page.xpath("//section[@aria-labelledby='sent-heading']")[0])
    assert "call_end → billing kézbesítve" in sent
    assert "POST http://127.0.0.1:9/api" in sent and '{"id": 1}' in sent
    assert "250 ms" in sent and "said" in sent
    tree = words_of(page.xpath("//section[@aria-labelledby='tree-heading']")[0])
    assert "Mellék 251, várósor 18: csörgött 8 s, beszélt 4 s" in tree


def test_the_recording_lies_where_it_was_made(bench: Bench) -> None:
    page = bench.page(f"/calls/{told_example(bench.store, bench.clock())}")
    [audio] = page.iter("audio")
    assert audio.get("src") == "/api/v1/recordings/ref-1"
    [row] = [g for g in page.iter("g") if g.get("class") == "recording"]
    talking = [g for g in page.iter("g") if g.get("class") == "span talking"][-1]
    assert row.find("rect").get("x") == talking.find("rect").get("x")


def test_a_call_is_found_by_asterisks_own_name_for_it(bench: Bench) -> None:
    call_id = told_example(bench.store, bench.clock(), "1700000000.1")
    assert bench.get("/calls/1700000000.1").headers["location"] == f"/calls/{call_id}"
    assert bench.get("/calls/nothing").status_code == 404


def test_hostile_text_stays_text(bench: Bench) -> None:
    hostile = "</title><script>alert(1)</script>"
    now = bench.clock()
    call_id = told_example(bench.store, now, hostile)
    [delivery_id] = queued(bench.store, new(call_id=call_id, event=hostile, body=hostile, at=now), now=now)
    for path in [
        "/calls",
        f"/calls/{call_id}",
        f"/deliveries/{delivery_id}",
        "/deliveries",
        f"/calls?number={hostile}",
    ]:
        text = bench.get(path).text
        assert hostile not in text
        assert "alert(1)" in text or path == "/calls"
        assert_fit_for_a_strict_policy(text)
