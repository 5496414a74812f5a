"""Which calls a client is told of."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vipex_bridge.config.settings import Match
from vipex_bridge.render.match import matches


def _told(
    match: Match,
    *,
    src: str | None = "36709676052",
    dst: str | None = "3642999408",
    extens: Sequence[str] = ("200", "251"),
    queues: Sequence[str] = ("sales",),
    context: str = "from-trunk",
    account: str = "Acme",
) -> bool:
    return matches(match, src=src, dst=dst, extens=extens, queues=queues, context=context, account=account)


@pytest.mark.parametrize(
    ("match", "told"),
    [
        (Match(), True),
        (Match(dst=("3642999*",)), True),
        (Match(dst=("1*", "3642999*")), True),
        (Match(dst=("1*", "2*")), False),
        (Match(src=("3670967605?",)), True),
        (Match(exten=("25?",)), True),
        (Match(exten=("3??",)), False),
        (Match(queue=("sales",), context=("from-*",)), True),
        (Match(queue=("sales",), context=("to-*",)), False),
        (Match(account=("acme",)), False),
        (Match(account=("[A-C]cme",)), True),
    ],
)
def test_any_glob_of_a_list_and_all_of_the_keys(match: Match, told: bool) -> None:
    assert _told(match) is told


def test_what_is_unknown_meets_no_glob() -> None:
    assert not _told(Match(src=("*",)), src=None)
    assert not _told(Match(dst=("*",)), dst="")
    assert not _told(Match(exten=("*",)), extens=())
    assert not _told(Match(queue=("*",)), queues=())
    assert not _told(Match(context=("*",)), context="")
    assert _told(Match(), src=None, dst=None, extens=(), queues=(), context="", account="")
