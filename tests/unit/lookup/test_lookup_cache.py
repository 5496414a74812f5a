"""The cache of answers: for how long which answer serves, and for which question."""

from __future__ import annotations

from dataclasses import replace

from vipex_bridge.config.settings import Client, LookupOptions
from vipex_bridge.lookup.cache import AnswerCache, key
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.render.request import Request, Slot

OK = LookupResult("OK", 200, (("VIPEX_X", "a"),))
NOMATCH = LookupResult("NOMATCH", 404, (("VIPEX_X", ""),))


def client(cache_s: float = 60.0, stale_if_error_s: float = 0.0) -> Client:
    options = LookupOptions(cache_s=cache_s, stale_if_error_s=stale_if_error_s)
    return Client("c", "lookup", "https://c.example", "GET", (), lookup=options)


def asking(token: str = "vipexaa", src: str = "1", source: str = "api_key") -> Request:
    url = f"https://c.example?src={src}&key={token}"
    return Request("GET", url, (("X-A", "1"),), None, (Slot(token, source, "url"),))


def test_the_same_question_has_the_same_key_although_tokens_differ() -> None:
    assert key(client(), asking("vipexaa")) == key(client(), asking("vipexbb"))


def test_another_question_or_another_configuration_has_another_key() -> None:
    known = key(client(), asking())
    assert key(client(), asking(src="2")) != known
    assert key(client(), replace(asking(), method="POST", body="")) != known
    assert key(client(), replace(asking(), headers=(("X-A", "2"),))) != known
    assert key(client(cache_s=61.0), asking()) != known


def test_an_answer_serves_for_its_time_and_no_longer() -> None:
    cache = AnswerCache()
    for answer in (OK, NOMATCH):
        asked = key(client(60.0), asking(src=answer.status))
        cache.keep(asked, answer, 100.0)
        assert cache.fresh(asked, 159.9) == answer
        assert cache.fresh(asked, 160.0) is None


def test_without_cache_nothing_is_kept() -> None:
    cache = AnswerCache()
    cache.keep(key(client(0.0), asking()), OK, 100.0)
    assert len(cache) == 0


def test_an_older_ok_serves_on_error_after_its_fresh_time_and_a_nomatch_does_not() -> None:
    cache = AnswerCache()
    asked = key(client(60.0, 600.0), asking())
    cache.keep(asked, OK, 100.0)
    assert cache.stale(asked, 700.0) == (OK, 600.0)
    assert cache.stale(asked, 760.0) is None
    cache.keep(asked, NOMATCH, 800.0)
    assert cache.stale(asked, 801.0) is None


def test_a_nomatch_replaces_an_older_ok_where_only_errors_are_bridged() -> None:
    cache = AnswerCache()
    asked = key(client(0.0, 600.0), asking())
    cache.keep(asked, OK, 100.0)
    assert cache.fresh(asked, 100.0) is None
    assert cache.stale(asked, 101.0) == (OK, 1.0)
    cache.keep(asked, NOMATCH, 102.0)
    assert cache.stale(asked, 103.0) is None


def test_it_is_bounded_and_gives_up_what_was_longest_unused() -> None:
    cache = AnswerCache(max_entries=2)
    first, second, third = (key(client(), asking(src=str(number))) for number in range(3))
    cache.keep(first, OK, 0.0)
    cache.keep(second, OK, 0.0)
    cache.fresh(first, 1.0)
    cache.keep(third, OK, 1.0)
    assert len(cache) == 2
    assert cache.fresh(first, 2.0) == OK
    assert cache.fresh(second, 2.0) is None
