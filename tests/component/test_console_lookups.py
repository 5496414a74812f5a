"""What was asked about a call while the caller waited stands on its page, without secrets, for a while."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from console_bench import HUNGARIAN, Bench, console, told_example, words_of
from delivering import client

from vipex_bridge.config.settings import ApiKey, Client, LookupOptions, Mapped, Privacy, Secret
from vipex_bridge.deliver.http import HttpAnswer
from vipex_bridge.lookup.asked import KEPT, KEPT_S, Asked, LookupLog, asked
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.render.request import Request

KEY = "key-canary-7"
ROUTE = client(
    "route",
    kind="lookup",
    method="GET",
    url="http://crm.example/route",
    api_key=ApiKey("query", "key", Secret(KEY)),
    lookup=LookupOptions(format="json", set=(Mapped("VIPEX_BRANCH", "branch"),)),
)


def lookup(
    call_id: int, *, at: float = 1000.0, of: Client = ROUTE, body: bytes = b'{"branch": "Pest"}'
) -> Asked:
    request = Request("GET", "?src=36709676052&ivr_digits=1,2", (), None)
    answer = HttpAnswer(200, (("Content-Type", "application/json"),), body, 0.05)
    result = LookupResult("OK", 200, (("VIPEX_BRANCH", "Pest"),), 0.05, answer=answer)
    return asked(of, call_id, request, result, at)


def sent(bench: Bench, call_id: int) -> str:
    page = bench.page(f"/calls/{call_id}", HUNGARIAN)
    return words_of(page.xpath("//section[@aria-labelledby='sent-heading']")[0])


def test_a_calls_page_shows_what_was_asked_and_answered(tmp_path: Path) -> None:
    with console(tmp_path, ROUTE) as bench:
        call_id = told_example(bench.store, bench.clock())
        bench.lookup_log.add(
            lookup(call_id, at=bench.clock(), body=b'{"branch": "Pest", "echo": "key-canary-7"}')
        )
        bench.lookup_log.add(lookup(call_id + 1, at=bench.clock(), body=b'"of another call"'))
        text = sent(bench, call_id)
    assert "lookup → route OK" in text and "50 ms" in text and "HTTP 200" in text
    assert "GET http://crm.example/route?src=36709676052" in text
    assert '{"branch": "Pest", "echo": "********"}' in text and "VIPEX_BRANCH Pest" in text
    assert KEY not in text and "of another call" not in text


def test_what_callers_pressed_is_hidden_and_what_was_dropped_is_gone(tmp_path: Path) -> None:
    with console(tmp_path, ROUTE) as bench:
        bench.the_settings = replace(bench.the_settings, privacy=Privacy(mask_digits=True))
        call_id = told_example(bench.store, bench.clock())
        bench.lookup_log.add(lookup(call_id, at=bench.clock()))
        assert "ivr_digits=*,*" in sent(bench, call_id).replace("%2C", ",")
        bench.lookup_log.drop(bench.clock() + 1)
        assert "lookup" not in sent(bench, call_id)


def test_only_the_latest_are_kept_and_of_an_answer_its_beginning() -> None:
    log = LookupLog()
    for number in range(KEPT + 10):
        log.add(lookup(number // 100, at=1000.0 + number))
    assert len(log.of_call(0)) == 90
    assert len(log.of_call(5)) == 100
    log.add(lookup(99, at=1000.0 + KEPT_S + 500, body=b"x" * 1_000_000))
    assert log.of_call(4) == []
    assert len(log.of_call(5)) == 100
    [last] = log.of_call(99)
    assert len(last.answer) == 4096
