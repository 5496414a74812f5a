"""The console in a real browser, with real calls behind it: what a person sees, finds and does there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from browser import WIDTHS, Reader, chromium, reader
from company import CALLER, KEY, MISSED, PASSWORD, PICKED_UP, TOKEN, TRANSFERRED, Company, company
from phones import caller, extension
from playing import Playing
from playwright.sync_api import Browser, Page, StorageState, expect

pytestmark = pytest.mark.pbx

LANGUAGES = {"en": "en-GB", "hu": "hu-HU"}
PAGES = ["live", "calls", "call", "deliveries", "delivery", "clients", "charts"]
HEADINGS = {
    "live": ("Live", "Élő"),
    "calls": ("Calls", "Hívások"),
    "call": ("Call", "Hívás"),
    "deliveries": ("Deliveries", "Kézbesítések"),
    "delivery": ("Delivery", "Kézbesítés"),
    "clients": ("Clients", "Kliensek"),
    "charts": ("Charts", "Grafikonok"),
}
LOOSE_S = 1.1
"""Documents tell whole seconds; the picture is drawn to the millisecond."""


@dataclass
class Desk:
    """The company, the browser, and the cookies of somebody who logged in by the page."""

    company: Company
    browser: Browser
    state: StorageState

    def sits(self, language: str = "en", *, known: bool = True) -> Reader:
        """Somebody before the console, logged in if `known`."""
        return reader(self.browser, self.company.url, LANGUAGES[language], self.state if known else None)

    def call_id(self, number: str) -> int:
        """The id that was told of a call, by its outside number."""
        return int(self.company.documents[number]["id"])

    def path(self, page: str) -> str:
        """Where a page of PAGES is."""
        special = {"live": "/", "call": f"/calls/{self.call_id(CALLER)}", "delivery": "/deliveries/1"}
        return special.get(page, f"/{page}")


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with company() as running, chromium() as browser:
        first = reader(browser, running.url, "en-GB")
        log_in(first.opens("/"), TOKEN)
        expect(first.page.get_by_role("heading", level=1)).to_have_text("Live")
        yield Desk(running, browser, first.context.storage_state())


@pytest.fixture
def person(desk: Desk) -> Iterator[Reader]:
    someone = desk.sits()
    yield someone
    someone.context.close()
    assert someone.complaints == []


def log_in(page: Page, token: str) -> None:
    page.locator("input[name=token]").fill(token)
    page.keyboard.press("Enter")


def test_nobody_sees_a_page_without_the_token(desk: Desk) -> None:
    stranger = desk.sits(known=False)
    for name in PAGES:
        page = stranger.opens(desk.path(name))
        assert page.url.startswith(f"{desk.company.url}/login?next=")
        expect(page.locator("input[name=token]")).to_be_visible()
        assert CALLER not in page.content()
    for width in WIDTHS:
        stranger.looks_from(width)
        assert (stranger.violations(), stranger.overflow_px()) == ([], 0)
        stranger.keeps(f"login-{width}")
    log_in(page, "a-wrong-token")
    expect(page.get_by_role("alert")).to_be_visible()
    stranger.opens(desk.path("call"))
    expect(page.locator("input[name=token]")).to_be_visible()
    log_in(page, TOKEN)
    expect(page).to_have_url(desk.company.url + desk.path("call"))
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Call {desk.call_id(CALLER)}")
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("input[name=token]")).to_be_visible()
    stranger.opens("/calls")
    expect(page.locator("input[name=token]")).to_be_visible()
    stranger.context.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_well_made(desk: Desk, name: str, language: str) -> None:
    """In the browser's language; on the phone and at the desk, by day and by night."""
    person = desk.sits(language)
    page = person.opens(desk.path(name))
    expect(page.locator("html")).to_have_attribute("lang", language)
    heading = HEADINGS[name][list(LANGUAGES).index(language)]
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(rf"{heading}( \d+)?"))
    for width in WIDTHS:
        person.looks_from(width)
        assert person.violations() == []
        assert person.overflow_px() <= 0
        assert person.colliding_texts() == []
        person.keeps(f"{name}-{language}-{width}")
        if f"{name}-{language}-{width}" == "call-en-desk":
            person.shows("call", 780)
    if language == "en":
        person.looks_from("desk", "dark")
        assert person.violations("color-contrast") == []
        person.keeps(f"{name}-dark")
        if name == "deliveries":
            person.shows("deliveries", 780)
    person.context.close()
    assert person.complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_worked_by_keyboard(desk: Desk, person: Reader, name: str) -> None:
    page = person.opens(desk.path(name))
    stops = person.walks()
    assert stops[0]["name"] == "Skip to the content"
    assert [stop["name"] for stop in stops if not stop["isSeen"]] == []
    assert person.reachable() <= {stop["place"] for stop in stops}
    person.opens(desk.path(name))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_language_is_switched_and_stays(desk: Desk, person: Reader) -> None:
    page = person.opens("/calls?number=36")
    page.get_by_role("button", name="Magyar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hívások")
    assert page.url.endswith("/calls?number=36")
    page.get_by_role("link", name="Grafikonok").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Grafikonok")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Charts")


def test_a_call_is_seen_to_come_ring_talk_and_go(desk: Desk, person: Reader) -> None:
    page = person.opens("/")
    expect(page.locator("#live")).to_contain_text("Nobody is on the telephone.")
    page.evaluate("window.isStillTheSame = true")
    other = desk.sits("hu")
    other.looks_from("phone")
    expect(other.opens("/").locator("#live")).to_contain_text("Most senki sem telefonál.")
    number = "36203330303"
    playing = Playing(
        desk.company.house.asterisk,
        [
            extension("200").rings(4).answers().waits_for_bye(),
            caller(number).dials("3642999411").is_answered().talks(4).hangs_up(),
        ],
    )
    card = page.locator("#live .card")
    expect(card.get_by_role("heading")).to_have_text(f"{number} → 3642999411")
    expect(card).to_contain_text(re.compile(r"Extension 200 ringing since \d\d:\d\d:\d\d"))
    expect(card).to_contain_text(f"Caller {number} calling")
    expect(page.locator("#live .count")).to_have_text("Calls up now: 1")
    expect(other.page.locator("#live .card")).to_contain_text("Mellék 200 csörög")
    other.shows("live", 480)
    expect(card).to_contain_text(re.compile(r"Extension 200 talking since \d\d:\d\d:\d\d"))
    expect(card).to_contain_text(f"Caller {number} talking")
    assert person.violations() == []
    person.keeps("live-talking-desk")
    expect(page.locator("#live")).to_contain_text("Nobody is on the telephone.")
    assert page.evaluate("window.isStillTheSame") is True
    expect(other.page.locator("#live")).to_contain_text("Most senki sem telefonál.")
    other.context.close()
    playing.finish()


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("Number", "36 70 967-6052", [TRANSFERRED]),
        ("Extension", "252", [TRANSFERRED]),
        ("Extension", "221", [CALLER, PICKED_UP, MISSED]),
        ("Number", "36999999999", []),
    ],
)
def test_calls_are_found(desk: Desk, person: Reader, field: str, value: str, found: list[str]) -> None:
    page = person.opens("/calls")
    page.get_by_label(field, exact=True).fill(value)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_label(field, exact=True)).to_have_value(value)
    if found:
        assert ids_shown(page) == {desk.call_id(number) for number in found}
    else:
        expect(page.get_by_text("No call was found.")).to_be_visible()


def test_calls_are_found_by_time_and_by_what_became_of_them(desk: Desk, person: Reader) -> None:
    begun = {datetime.fromisoformat(d["start_time"]): d["id"] for d in desk.company.documents.values()}
    first, after = min(begun), max(begun) + timedelta(minutes=2)
    page = person.opens("/calls")
    for field, moment, is_found in [
        ("From", first, True),
        ("From", after, False),
        ("Until", after, True),
        ("Until", first, False),
    ]:
        page.get_by_label(field, exact=True).fill(f"{moment:%Y-%m-%dT%H:%M}")
        page.get_by_role("button", name="Search").click()
        page.wait_for_url(f"**{moment:%Y-%m-%dT%H}%3A{moment:%M}*")
        assert (begun[first] in ids_shown(page)) == is_found, (field, moment)
        page.get_by_label(field, exact=True).fill("")
    page.get_by_label("Client").select_option("billing")
    page.get_by_label("Outcome").select_option("failed")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No call was found.")).to_be_visible()
    page.get_by_label("Outcome").select_option("delivered")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**client=billing&status=delivered*")
    assert set(begun.values()) <= ids_shown(page)


def ids_shown(page: Page) -> set[int]:
    return {int(text) for text in page.locator("tbody th a").all_inner_texts()}


@dataclass
class Drawn:
    """A bar as it stands on the screen, in seconds of the axis that is drawn under it."""

    what: str
    start: float
    end: float


def lanes(page: Page) -> dict[str, list[Drawn]]:
    """The picture as the eye has it: each lane's name and bars, measured by the axis' own marks."""
    found = page.locator("svg.picture[role=img]").evaluate(
        """svg => {
          const middle = e => (b => (b.left + b.right) / 2)(e.getBoundingClientRect());
          const marks = [...svg.querySelectorAll('.axis .when')]
            .map(e => [parseFloat(e.textContent), middle(e)]);
          const [[s0, x0], [s1, x1]] = [marks[0], marks[marks.length - 1]];
          const at = x => s0 + (x - x0) * (s1 - s0) / (x1 - x0);
          return [...svg.querySelectorAll('.lane')].map(lane => [
            lane.querySelector('.who').textContent,
            [...lane.querySelectorAll('.span')].map(span => {
              const bar = span.querySelector('.bar, .moment').getBoundingClientRect();
              return [span.querySelector('title').textContent, at(bar.left), at(bar.right)];
            })]);
        }"""
    )
    return {who: [Drawn(name.split(",")[0], start, end) for name, start, end in bars] for who, bars in found}


def test_the_inbound_example_is_drawn_as_it_was_told(desk: Desk, person: Reader) -> None:
    document = desk.company.documents[CALLER]
    page = person.opens(desk.path("call"))
    drawn = lanes(page)
    assert list(drawn) == [f"Caller {CALLER}", "Extension 200", "Extension 221", "Extension 251"]
    first, second, third = document["sub_cdrs"]
    at = {name: seconds(document, third, name) for name in ("start_time", "answer_time", "hangup_time")}
    rang_200 = seconds(document, first, "hangup_time")
    expected = {
        f"Caller {CALLER}": [
            ("IVR 1", 0, rang_200 - first["ringtime"]),
            ("connected", rang_200 - first["ringtime"], rang_200),
            ("queue 18", at["start_time"], at["answer_time"]),
            ("talking", at["answer_time"], at["hangup_time"]),
        ],
        "Extension 200": [("ringing", rang_200 - first["ringtime"], rang_200)],
        "Extension 221": [("dialled", seconds(document, second, "start_time"), at["start_time"])],
        "Extension 251": [
            ("ringing", at["answer_time"] - third["ringtime"], at["answer_time"]),
            ("talking", at["answer_time"], at["hangup_time"]),
        ],
    }
    for who, bars in expected.items():
        assert [bar.what for bar in drawn[who]] == [what for what, _, _ in bars], who
        for bar, (what, start, end) in zip(drawn[who], bars, strict=True):
            assert (bar.start, bar.end) == pytest.approx((start, end), abs=LOOSE_S), (who, what)
    talks = [drawn[who][-1] for who in (f"Caller {CALLER}", "Extension 251")]
    assert (talks[0].start, talks[0].end) == pytest.approx((talks[1].start, talks[1].end), abs=0.2)
    tree = page.locator("section", has=page.get_by_role("heading", name="The tree")).get_by_role("listitem")
    expect(tree).to_contain_text(
        [
            f"{CALLER} → 3642999408",
            "Extension 200: rang 4 s, was not answered",
            "Extension 221, queue 18: rang 0 s, was not answered",
            "Extension 251, queue 18: rang 8 s, talked 4 s",
        ]
    )


def seconds(document: dict[str, object], part: dict[str, object], name: str) -> float:
    """A time of a part, from the call's start."""
    moment, start = (
        datetime.fromisoformat(str(part[name])),
        datetime.fromisoformat(str(document["start_time"])),
    )
    return (moment - start).total_seconds()


@pytest.mark.parametrize(
    ("number", "who", "what", "in_tree"),
    [
        (
            TRANSFERRED,
            "Extension 251",
            "transfer to 252",
            "Extension 252: rang 1 s, talked 2 s (blind transfer by",
        ),
        (
            PICKED_UP,
            "Extension 221",
            "picks up 200",
            "Extension 221: rang 0 s, talked 2 s (picked up the call that",
        ),
    ],
)
def test_transfer_and_pickup_are_drawn_and_named(
    desk: Desk, person: Reader, number: str, who: str, what: str, in_tree: str
) -> None:
    page = person.opens(f"/calls/{desk.call_id(number)}")
    lane = page.locator("svg.picture .lane").filter(has_text=who)
    expect(lane.locator(".mark text")).to_have_text(what)
    expect(page.locator(".tree")).to_contain_text(in_tree)
    person.keeps(f"call-{number}")
    in_hungarian = desk.sits("hu")
    in_hungarian.opens(f"/calls/{desk.call_id(number)}")
    assert person.colliding_texts() + in_hungarian.colliding_texts() == []
    in_hungarian.context.close()
    if number == TRANSFERRED:
        assert [bar.what for bar in lanes(page)[who]] == ["ringing", "talking", "on hold"]


def test_the_recording_is_played_where_it_lies_on_the_axis(desk: Desk, person: Reader) -> None:
    page = person.opens(desk.path("call"))
    audio = page.locator("audio")
    expect(audio).to_have_count(1)
    head = page.locator(".recording .playhead")
    before = str(head.get_attribute("x1"))
    audio.focus()
    page.keyboard.press("Space")
    expect(head).not_to_have_attribute("x1", before)
    length = float(audio.evaluate("e => e.duration"))
    assert int(audio.evaluate("e => e.readyState")) >= 2
    assert 3 < length < 5
    bar = page.locator(".recording .bar").bounding_box()
    talk = page.locator(".lane .talking .bar").last.bounding_box()
    assert bar is not None and talk is not None
    assert bar["x"] == pytest.approx(talk["x"], abs=6)
    assert bar["x"] + bar["width"] == pytest.approx(talk["x"] + talk["width"], abs=12)
    place = head.bounding_box()
    assert place is not None and bar["x"] <= place["x"] + place["width"] / 2 <= bar["x"] + bar["width"]


def test_every_request_about_a_call_is_shown(desk: Desk, person: Reader) -> None:
    page = person.opens(desk.path("call"))
    sent = page.locator("details.delivery")
    told = [text.split("20")[0].split() for text in sent.locator("summary").all_inner_texts()]
    assert [" ".join(words[:4]) for words in told] == [
        "arrival → crm-calls delivered",
        "lookup → crm-route OK",
        "ringing → crm-calls delivered",
        "ringing → crm-calls delivered",
        "answer → crm-calls delivered",
        "hangup → crm-calls delivered",
        "call_end → billing delivered",
        "call_end → helpdesk failed",
    ]
    failed = sent.last
    failed.locator("summary").click()
    expect(failed.locator("pre").first).to_contain_text(
        f"POST http://127.0.0.1:{desk.company.helpdesk.port}/tickets"
    )
    expect(failed.locator("pre").first).to_contain_text(f'"src": "{CALLER}"')
    rows = failed.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("500")
    expect(rows.first).to_contain_text("tried again")
    expect(rows.first).to_contain_text(re.compile(r"\d+ ms"))
    lookup = sent.nth(1)
    lookup.locator("summary").click()
    expect(lookup.locator("pre").first).to_contain_text("GET http://127.0.0.1:")
    expect(lookup.locator("pre").first).to_contain_text(f"src={CALLER}")
    expect(lookup).to_contain_text("HTTP 200")
    expect(lookup.locator("pre").last).to_contain_text('"agent": {"extension": "251"}')
    expect(lookup.locator("dl")).to_contain_text("VIPEX_EXTEN")
    assert person.violations() == []
    person.keeps("call-opened-desk")
    for secret in (PASSWORD, KEY):
        assert secret not in page.content()


def test_a_failed_delivery_is_resent_by_a_click_and_turns_green(desk: Desk, person: Reader) -> None:
    page = person.opens("/deliveries?client=helpdesk&status=failed")
    rows = page.locator("tr[id^=delivery-]")
    assert rows.count() >= len(desk.company.documents)
    first = rows.first
    red = first.locator(".badge").evaluate("e => getComputedStyle(e).color")
    row = page.locator(f"#{first.get_attribute('id')}")
    desk.company.mends()
    pause(page, "helpdesk")
    page.evaluate("window.isStillTheSame = true")
    row.get_by_role("button", name="Send again").click()
    expect(row.locator(".badge")).to_have_text("queued")
    assert desk.company.helpdesk.requests_received() == []
    other = desk.sits().opens("/deliveries")
    other.get_by_role("button", name="Resume helpdesk").click()
    expect(other.get_by_role("button", name="Pause helpdesk")).to_be_visible()
    expect(row.locator(".badge")).to_have_text("delivered")
    assert page.evaluate("window.isStillTheSame") is True
    green = row.locator(".badge").evaluate("e => getComputedStyle(e).color")
    assert (is_reddish(red), is_reddish(green)) == (True, False)
    [request] = desk.company.helpdesk.requests_received()
    assert (request.method, request.path) == ("POST", "/tickets")
    other.get_by_label("Failed since").fill("2020-01-01T00:00")
    other.get_by_role("button", name="Send all of them again").click()
    for call in desk.company.documents.values():
        other.goto(f"/calls/{call['id']}")
        last = other.locator("details.delivery").last
        expect(last).to_contain_text("call_end → helpdesk")
        desk.company.house.bridge.wait_for("delivery.sent", client="helpdesk", call=call["id"])
        other.reload()
        expect(last.locator(".badge").first).to_have_text("delivered")
    other.goto("/deliveries?client=helpdesk&status=failed")
    expect(other.get_by_text("No delivery was found.")).to_be_visible()


def pause(page: Page, client: str) -> None:
    page.get_by_role("button", name=f"Pause {client}").click()
    expect(page.get_by_role("row", name=re.compile(client)).first.locator(".badge").first).to_have_text(
        "paused"
    )


def is_reddish(colour: str) -> bool:
    red, green, _blue = (int(number) for number in re.findall(r"\d+", colour)[:3])
    return red > green


def test_clients_are_shown_without_secrets_and_tested(desk: Desk, person: Reader) -> None:
    page = person.opens("/clients")
    section = page.locator("section.client", has=page.get_by_role("heading", name="helpdesk"))
    expect(section.locator(".keys")).to_contain_text("vipex:********")
    expect(section.locator(".keys")).to_contain_text("X-Api-Key: ********")
    assert PASSWORD not in page.content() and KEY not in page.content() and TOKEN not in page.content()
    route = page.locator("section.client", has=page.get_by_role("heading", name="crm-route"))
    route.get_by_role("button", name="Send a test").click()
    trial = route.locator(".trial")
    expect(trial).to_contain_text("GET http://127.0.0.1:")
    expect(trial).to_contain_text("VIPEX_STATUS=OK")
    expect(trial).to_contain_text("HTTP 200")
    expect(trial).to_contain_text('"branch": "vip"')
    expect(trial.locator("dl")).to_contain_text("VIPEX_EXTEN")
    assert person.violations() == []
    person.keeps("clients-tested-desk")
    ring = page.locator("section.client", has=page.get_by_role("heading", name="crm-calls"))
    ring.get_by_label("Event").select_option("answer")
    ring.get_by_role("button", name="Send a test").click()
    expect(ring.locator(".trial")).to_contain_text("a success")
    expect(ring.locator(".trial pre").first).to_contain_text("POST http://127.0.0.1:")


def test_the_charts_are_drawn_from_the_calls(desk: Desk, person: Reader) -> None:
    page = person.opens("/charts")
    boxes = page.locator(".chart-box")
    expect(boxes).to_have_count(6)
    for box in boxes.all():
        heights = box.locator("svg.chart .bar").evaluate_all("bars => bars.map(b => b.getBBox().height)")
        assert heights and all(height > 1 for height in heights)
    rates = {row[0]: row[1] for row in table_of(page, "Answer rate per extension")}
    assert (rates["252"], rates["221"]) == ("100", "33")
    rings = {row[0]: row[1:] for row in table_of(page, "Ring time per extension")}
    assert rings["251"][1] == "8"
    hours = table_of(page, "Calls per hour")
    answered, missed, outgoing = (sum(int(row[place]) for row in hours) for place in (1, 2, 3))
    assert (answered >= 3, missed, outgoing) == (True, 1, 1)
    page.get_by_role("link", name="The last week").click()
    assert sum(int(row[3]) for row in table_of(page, "Calls per hour")) == 1


def table_of(page: Page, title: str) -> list[list[str]]:
    """The numbers behind a chart, row by row."""
    box = page.locator(".chart-box", has=page.get_by_role("heading", name=title))
    box.locator("summary").click()
    return [row.locator("th, td").all_inner_texts() for row in box.locator("tbody tr").all()]
