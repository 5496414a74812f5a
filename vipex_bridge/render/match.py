"""Which calls a client is told of: the `match` of its configuration (contract, section 2)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from functools import lru_cache

from vipex_bridge.calls.document import CallDocument, CallView, Kind
from vipex_bridge.config.settings import Client, Match

Traits = Mapping[str, tuple[str, ...]]
"""What a call has for each key of `match`; nothing that is unknown or empty."""

KEYS = ("dst", "did", "src", "exten", "queue", "context", "account", "trunk")
_MAGIC = re.compile(r"[*?\[]")


def traits_of_view(view: CallView, exten: str | None) -> Traits:
    """A live call's; `exten` is the one extension that a notification is about."""
    return _traits(
        kind=view.kind,
        src=view.src,
        dst=view.dst,
        extens=(exten,),
        queues=(view.queue,),
        context=view.context,
        account=view.account,
        trunks=view.trunks,
    )


def traits_of_document(document: CallDocument) -> Traits:
    """A finished call's, with all of its extensions, queues and outside lines."""
    return _traits(
        kind=document.kind,
        src=document.main.src,
        dst=document.main.dst,
        extens=document.extens,
        queues=document.queues,
        context=document.context,
        account=document.account,
        trunks=document.trunks,
    )


def _traits(
    *,
    kind: Kind,
    src: str | None,
    dst: str | None,
    extens: Iterable[str | None],
    queues: Iterable[str | None],
    context: str,
    account: str,
    trunks: Iterable[str],
) -> Traits:
    had: dict[str, Iterable[str | None]] = {
        "dst": (dst,),
        "did": (dst,) if kind is Kind.INBOUND else (),
        "src": (src,),
        "exten": extens,
        "queue": queues,
        "context": (context,),
        "account": (account,),
        "trunk": trunks,
    }
    return {key: tuple(value for value in values if value) for key, values in had.items()}


def matches(match: Match, traits: Traits) -> bool:
    """Say whether a call is one that `match` lets through.

    Globs are case-sensitive (`*`, `?`, `[...]`). Any glob of a key suffices, every key that is given must
    be met, and a key that is given is not met by what is unknown.
    """
    return all(_met(globs, traits[key]) for key in KEYS if (globs := getattr(match, key)))


def _met(globs: Iterable[str], values: Iterable[str]) -> bool:
    return any(_compiled(glob)(value) for value in values for glob in globs)


@lru_cache(maxsize=131_072)
def _compiled(glob: str) -> Callable[[str], object]:
    return re.compile(translate(glob)).match if _MAGIC.search(glob) else glob.__eq__


class Matcher:
    """Finds, of many clients, those that a call is told to, without asking each of them.

    Every client is filed under the one key of its `match` that it shares with the fewest others, by what
    its globs there begin with; only those filed under what the call has are compared in full.
    """

    def __init__(self, clients: Iterable[Client]) -> None:
        self._clients = list(clients)
        self._everywhere: list[int] = []
        """Those whose `match` can only be compared."""
        self._exact: dict[tuple[str, str], list[int]] = {}
        self._beginning: dict[tuple[str, str], list[int]] = {}
        shared = Counter(mark for client in self._clients for mark in _marks(client.match))
        for number, client in enumerate(self._clients):
            key = _rarest(client.match, shared)
            if key is None:
                self._everywhere.append(number)
                continue
            for glob in dict.fromkeys(getattr(client.match, key)):
                begins, is_whole = _beginning(glob)
                filed = self._exact if is_whole else self._beginning
                filed.setdefault((key, begins), []).append(number)
        self._lengths: dict[str, list[int]] = {}
        for key, begins in self._beginning:
            if len(begins) not in self._lengths.setdefault(key, []):
                self._lengths[key].append(len(begins))

    def of(self, traits: Traits) -> list[Client]:
        """The clients whose `match` lets this call through, in the order they were given."""
        found = set(self._everywhere)
        for key, values in traits.items():
            for value in values:
                found.update(self._exact.get((key, value), ()))
                for length in self._lengths.get(key, ()):
                    found.update(self._beginning.get((key, value[:length]), ()))
        return [client for n in sorted(found) if matches((client := self._clients[n]).match, traits)]


def _marks(match: Match) -> Iterator[tuple[str, str]]:
    """Under what a client could be filed: each key with the beginning of each of its globs."""
    for key in KEYS:
        yield from {(key, _beginning(glob)[0]) for glob in getattr(match, key)}


def _rarest(match: Match, shared: Counter[tuple[str, str]]) -> str | None:
    """The key under which the fewest others are filed with it; None when no key's globs begin with text."""
    usable = [key for key in KEYS if (globs := getattr(match, key)) and all(_beginning(g)[0] for g in globs)]
    return min(
        usable,
        key=lambda key: sum(shared[key, _beginning(glob)[0]] for glob in getattr(match, key)),
        default=None,
    )


def _beginning(glob: str) -> tuple[str, bool]:
    """What every match of the glob begins with, and whether that is the whole of it."""
    magic = _MAGIC.search(glob)
    return (glob, True) if magic is None else (glob[: magic.start()], False)
