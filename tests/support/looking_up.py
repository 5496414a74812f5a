"""Lookup clients in a few words, and the answers they expect."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from vipex_bridge.config.settings import Client, LookupOptions, Mapped
from vipex_bridge.lookup.exchange import Lookups
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.render.request import Request

WANTED = (
    Mapped("VIPEX_BRANCH", "route.branch"),
    Mapped("VIPEX_EXTEN", "agent.extension", re.compile(r"\d{2,4}"), "200"),
)
DEFAULTS = (("VIPEX_BRANCH", ""), ("VIPEX_EXTEN", "200"))
GOOD = b'{"route": {"branch": "sales"}, "agent": {"extension": 251}}'
MAPPED = (("VIPEX_BRANCH", "sales"), ("VIPEX_EXTEN", "251"))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def client(url: str, *, timeout_s: float = 5.0, **options: object) -> Client:
    lookup = replace(LookupOptions(set=WANTED), **options)  # type: ignore[arg-type]
    return Client("crm", "lookup", url, "GET", (), timeout_s=timeout_s, lookup=lookup)


def asking(asked: Client, query: str = "?src=36709676052") -> Request:
    return Request("GET", query, (), None)


async def ask(lookups: Lookups, asked: Client, query: str = "?src=36709676052") -> LookupResult:
    return await lookups.ask(asked, asking(asked, query))
