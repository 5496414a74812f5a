"""Which calls a client is told of."""

from __future__ import annotations

from dataclasses import fields, replace
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.calls.document import CallView, Kind
from vipex_bridge.config.settings import Client, Match
from vipex_bridge.render.match import KEYS, Matcher, Traits, matches, traits_of_view

CALL: Traits = {
    "src": ("36709676052",),
    "dst": ("3642999408",),
    "did": ("3642999408",),
    "exten": ("200", "251"),
    "queue": ("sales",),
    "context": ("from-trunk",),
    "account": ("Acme",),
    "trunk": ("PJSIP/trunk", "PJSIP/second"),
}
VIEW = CallView("1.1", Kind.INBOUND, 0.0, "36709676052", "3642999408", None, "sales", trunks=("PJSIP/trunk",))


@pytest.mark.parametrize(
    ("match", "told"),
    [
        (Match(), True),
        (Match(dst=("3642999*",)), True),
        (Match(dst=("1*", "3642999*")), True),
        (Match(dst=("1*", "2*")), False),
        (Match(did=("3642999408",)), True),
        (Match(did=("3642999409",)), False),
        (Match(src=("3670967605?",)), True),
        (Match(exten=("25?",)), True),
        (Match(exten=("3??",)), False),
        (Match(queue=("sales",), context=("from-*",)), True),
        (Match(queue=("sales",), context=("to-*",)), False),
        (Match(account=("acme",)), False),
        (Match(account=("[A-C]cme",)), True),
        (Match(trunk=("PJSIP/second",)), True),
        (Match(trunk=("SIP/*",)), False),
    ],
)
def test_any_glob_of_a_list_and_all_of_the_keys(match: Match, told: bool) -> None:
    assert matches(match, CALL) is told


def test_every_key_of_match_is_one_that_is_compared() -> None:
    assert {field.name for field in fields(Match)} == set(KEYS)


def test_what_is_unknown_meets_no_glob() -> None:
    unknown: Traits = dict.fromkeys(KEYS, ())
    for key in KEYS:
        assert not matches(Match(**{key: ("*",)}), unknown)
    assert matches(Match(), unknown)
    empty = traits_of_view(CallView("1.1", Kind.INBOUND, 0.0, None, ""), None)
    assert {key: values for key, values in empty.items() if values} == {}


def test_the_did_is_the_number_that_an_inbound_call_dialled() -> None:
    assert traits_of_view(VIEW, "251")["did"] == ("3642999408",)
    outgoing = traits_of_view(replace(VIEW, kind=Kind.OUTBOUND), None)
    assert (outgoing["did"], outgoing["dst"]) == ((), ("3642999408",))
    assert not matches(Match(did=("3642999408",)), outgoing)


LETTERS = st.text(alphabet="ab1*?[]!-", max_size=5)
GLOBS = st.lists(LETTERS.filter(bool), max_size=3).map(tuple)
MATCHES = st.builds(Match, **dict.fromkeys(KEYS, GLOBS))
VALUES = st.lists(st.text(alphabet="ab1*", min_size=1, max_size=4), max_size=3).map(tuple)
TRAITS = st.fixed_dictionaries(dict.fromkeys(KEYS, VALUES))


def _clients(of: list[Match]) -> list[Client]:
    return [Client(f"c{n}", "notify", "http://c", "POST", (), match=match) for n, match in enumerate(of)]


@given(st.lists(MATCHES, max_size=12), TRAITS)
def test_of_many_clients_those_are_found_that_asking_each_would_find(of: list[Match], call: Traits) -> None:
    clients = _clients(of)
    found = [client.name for client in Matcher(clients).of(call)]
    assert found == [client.name for client in clients if _asked_alone(client.match, call)]


def _asked_alone(match: Match, call: Traits) -> bool:
    """The rule itself, as the contract words it."""
    given_keys = [key for key in KEYS if getattr(match, key)]
    return all(
        any(fnmatchcase(value, glob) for value in call[key] for glob in getattr(match, key))
        for key in given_keys
    )


def test_only_those_are_compared_that_may_match() -> None:
    """Thousands of customers share a context; each has a number and a trunk of its own."""
    of = [Match(context=("from-trunk",), did=(f"3642{n:06}", f"3670{n:05}*")) for n in range(3000)]
    compared = []

    class Counted(Match):
        def __getattribute__(self, name: str) -> object:
            compared.append(name)
            return object.__getattribute__(self, name)

    counted = [Counted(context=match.context, did=match.did) for match in of]
    matcher = Matcher(_clients(list(counted)))
    compared.clear()
    call: Traits = {**dict.fromkeys(KEYS, ()), "context": ("from-trunk",), "did": ("3642000007",)}
    assert [client.name for client in matcher.of(call)] == ["c7"]
    assert len(compared) <= 2 * len(KEYS)
