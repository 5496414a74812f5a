"""What can be done on the console: sending again, pausing, testing a client; and that it shows no secret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from console_bench import HUNGARIAN, console, told_example, words_of
from delivering import client, wait_until
from faulty_server import FaultyServer
from lxml import html
from stored import claimed, found, new, queued, record

from vipex_bridge.config.settings import ApiKey, BasicAuth, LookupOptions, Mapped, Privacy, Secret
from vipex_bridge.console.page import local

PASSWORD, KEY, HEADER, PATH = "pass-canary-1", "key-canary-2", "header-canary-3", "path-canary-4"


def test_a_failed_delivery_is_resent_by_a_click_and_turns_green(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    faulty_server.queue = [faulty_server.replies(410), faulty_server.replies(200)]
    with console(tmp_path, client(url=faulty_server.url), works=True) as bench:
        [delivery_id] = queued(bench.store, new(url=faulty_server.url, at=bench.clock()), now=bench.clock())
        bench.deliveries.wake("billing")
        wait_until(lambda: found(bench.store, delivery_id).status == "failed")
        row = bench.page(f"/deliveries/{delivery_id}/row")
        [form] = row.iter("form")
        assert form.get("hx-post") == form.get("action") == f"/deliveries/{delivery_id}/resend"
        clicked = bench.post(form.get("action"), {}, **{"HX-Request": "true"}, **HUNGARIAN)
        assert clicked.status_code == 200 and f'id="delivery-{delivery_id}"' in clicked.text
        wait_until(lambda: found(bench.store, delivery_id).status == "delivered")
        after = bench.page(f"/deliveries/{delivery_id}/row", HUNGARIAN)
        [badge] = after.find_class("badge")
        assert (badge.get("class"), words_of(badge)) == ("badge delivered", "kézbesítve")
        assert "hx-trigger" not in html.tostring(after).decode()
    assert len(faulty_server.received) == 2


def test_without_scripts_a_click_leads_back_to_the_page(tmp_path: Path) -> None:
    with console(tmp_path) as bench:
        [delivery_id] = queued(bench.store, new(at=bench.clock()), now=bench.clock())
        claimed(bench.store, now=bench.clock())
        record(bench.store, delivery_id, "failed", now=bench.clock())
        answer = bench.post(f"/deliveries/{delivery_id}/resend", {"back": "/deliveries?status=failed"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/deliveries?status=failed")
        assert found(bench.store, delivery_id).status == "queued"
        assert bench.post("/deliveries/12345/resend").status_code == 303
        assert bench.get("/deliveries/12345").status_code == 404
        assert bench.get("/deliveries/x").status_code == 404


def test_all_that_failed_since_a_time_is_sent_again(tmp_path: Path) -> None:
    with console(tmp_path) as bench:
        now = bench.clock()
        old, late = queued(bench.store, new(at=now), new(call_id=2, at=now), now=now)
        claimed(bench.store, limit=2, now=now)
        record(bench.store, old, "failed", now=now - 90000)
        record(bench.store, late, "failed", now=now)
        since = bench.clock() - 7200
        field = local(since, bench.the_settings.timezone).replace(" ", "T")[:16]
        assert bench.post("/deliveries/resend", {"since": field}).status_code == 303
        assert [found(bench.store, each).status for each in (old, late)] == ["failed", "queued"]
        assert bench.post("/deliveries/resend", {"since": "yesterday"}).status_code == 404
        assert bench.post("/deliveries/resend", {}).status_code == 404


def test_a_paused_client_gets_nothing_until_it_is_resumed(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    with console(tmp_path, client(url=faulty_server.url), works=True) as bench:
        assert bench.post("/clients/billing/pause").status_code == 303
        [delivery_id] = queued(bench.store, new(url=faulty_server.url, at=bench.clock()), now=bench.clock())
        bench.deliveries.wake("billing")
        page = bench.page("/deliveries", HUNGARIAN)
        assert "szünetel" in words_of(page.xpath("//section[@aria-labelledby='health-heading']")[0])
        assert found(bench.store, delivery_id).status == "queued"
        [form] = [form for form in page.iter("form") if (form.get("action") or "").startswith("/clients/")]
        assert form.get("action") == "/clients/billing/resume"
        assert not faulty_server.received
        assert bench.post(form.get("action")).status_code == 303
        wait_until(lambda: found(bench.store, delivery_id).status == "delivered")
        assert bench.post("/clients/nobody/pause").status_code == 404


def test_how_a_client_stands_is_told(tmp_path: Path) -> None:
    with console(tmp_path) as bench:
        now = bench.clock()
        bench.clock = lambda: now
        ids = queued(bench.store, *[new(call_id=number, at=now) for number in (1, 2, 3)], now=now)
        claimed(bench.store, limit=2, now=now)
        record(bench.store, ids[0], "delivered", now=now - 60)
        record(bench.store, ids[1], "failed", now=now - 60)
        health = bench.page("/deliveries").xpath("//section[@aria-labelledby='health-heading']")[0]
        assert "delivered: 1, failed tries: 1, average time: 250 ms" in words_of(health)
        [spark] = health.find_class("spark")
        assert [rect.get("class") for rect in spark.iter("rect")] == ["good", "bad"]
        assert [words_of(cell) for cell in health.find(".//tbody/tr").findall("td")][1:3] == [
            "1 (oldest 0 s)",
            "1",
        ]


def test_a_clients_test_shows_exactly_what_went_and_came(tmp_path: Path, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(201, b'{"took": "it", "password": "pass-canary-1"}')
    crm = client(
        "crm",
        kind="notify",
        url=Secret(f"{faulty_server.url}/{PATH}"),
        parameters=("src", "dst", "exten"),
        basic_auth=BasicAuth("vipex", Secret(PASSWORD)),
        headers=(("X-Own", Secret(HEADER)),),
        on=frozenset({"ringing"}),
    )
    with console(tmp_path, crm) as bench:
        shown = bench.post("/clients/crm/test", {"event": "ringing"}, **{"HX-Request": "true"}, **HUNGARIAN)
    [request] = faulty_server.received
    assert request.header("X-Own") == HEADER
    text = words_of(html.fromstring(shown.text))
    assert '"src": "36709676052"' in text or '"src":"36709676052"' in text
    assert request.body.decode() in text
    assert '{"took": "it", "password": "********"}' in text
    assert "HTTP 201" in text and "sikeres" in text


def test_a_lookups_test_shows_the_variables_it_would_set(tmp_path: Path, faulty_server: FaultyServer) -> None:
    faulty_server.answer = faulty_server.replies(200, b'{"branch": "Pest"}')
    options = LookupOptions(format="json", set=(Mapped("VIPEX_BRANCH", "branch"),))
    route = client(
        "route", kind="lookup", method="GET", url=faulty_server.url, parameters=("src",), lookup=options
    )
    with console(tmp_path, route) as bench:
        text = words_of(html.fromstring(bench.post("/clients/route/test").text))
    assert "VIPEX_STATUS=OK" in text and "VIPEX_BRANCH Pest" in text
    assert "GET http://127.0.0.1" in text and "src=36709676052" in text


def test_a_clients_test_that_is_not_answered_says_why(tmp_path: Path) -> None:
    with console(tmp_path, client(url="http://127.0.0.1:9/")) as bench:
        text = words_of(html.fromstring(bench.post("/clients/billing/test").text))
    assert "no success" in text and "refused" in text


def test_no_secret_is_on_any_page(tmp_path: Path) -> None:
    crm = client(
        "crm",
        url=Secret(f"http://127.0.0.1:9/{PATH}"),
        basic_auth=BasicAuth("vipex", Secret(PASSWORD)),
        api_key=ApiKey("header", "X-Api-Key", Secret(KEY)),
        headers=(("X-Own", Secret(HEADER)),),
        signing_secrets=(Secret("whsec_c2lnbmluZy1jYW5hcnktNQ=="),),
        body='{"a": "{{ src }}", "key": "key-canary-2"}',
    )
    with console(tmp_path, crm) as bench:
        [delivery_id] = queued(bench.store, new("crm", url="", at=bench.clock()), now=bench.clock())
        texts = [
            bench.get(path).text
            for path in ("/clients", "/deliveries", f"/deliveries/{delivery_id}", "/calls")
        ]
        texts.append(bench.post("/clients/crm/test").text)
    assert "crm" in texts[0] and "http://127.0.0.1:9/********" in texts[0]
    for text in texts:
        for secret in (PASSWORD, KEY, HEADER, PATH, "c2lnbmluZy1jYW5hcnktNQ"):
            assert secret not in text


def test_a_form_without_end_is_refused(tmp_path: Path) -> None:
    with console(tmp_path) as bench:
        answer = bench.post("/language", {"language": "hu", "back": "x" * 100_000})
    assert answer.status_code == 413


def test_keys_that_callers_pressed_are_hidden_where_they_are_to_be(tmp_path: Path) -> None:
    with console(tmp_path) as bench:
        bench.the_settings = replace(bench.the_settings, privacy=Privacy(mask_digits=True))
        now = bench.clock()
        call_id = told_example(bench.store, now)
        queued(bench.store, new(call_id=call_id, body='{"ivr_digits": "1,2"}', at=now), now=now)
        text = bench.get(f"/calls/{call_id}").text
    assert "IVR *,*" in text
    assert "1,2" not in text
