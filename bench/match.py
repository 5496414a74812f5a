"""How long it takes to find whom a call is told to, among the clients of many customers.

    .venv/bin/python bench/match.py

Each customer has three clients: notifications by DID, a call_end by DID or account, one by trunk. Printed: µs
for one event, the median of nine runs of 2,000 events each, for growing numbers of customers.
"""

from __future__ import annotations

import statistics
import time

from vipex_bridge.calls.document import CallView, Kind
from vipex_bridge.config.settings import Client, Match
from vipex_bridge.render.match import Matcher, matches, traits_of_view

EVENTS, RUNS = 2_000, 9


def main() -> None:
    for customers in (3, 200, 2_000, 20_000):
        clients = [client for number in range(customers) for client in of_customer(number)]
        matcher = Matcher(clients)
        views = [view(number % customers) for number in range(EVENTS)]
        took_us = statistics.median(_one_run(matcher, views) for _ in range(RUNS))
        traits = traits_of_view(views[7], "251")
        # Once before: what a glob is made into is kept.
        assert len([client for client in clients if matches(client.match, traits)]) == 3
        began = time.perf_counter()
        each = [client for client in clients if matches(client.match, traits)]
        each_us = (time.perf_counter() - began) * 1e6
        assert each == matcher.of(traits) and len(each) == 3
        found = f"{len(clients):6} clients: {took_us:6.1f} µs"
        print(f"{found}; each of them asked: {each_us:9.0f} µs")


def _one_run(matcher: Matcher, views: list[CallView]) -> float:
    began = time.perf_counter()
    for view in views:
        matcher.of(traits_of_view(view, "251"))
    return (time.perf_counter() - began) / len(views) * 1e6


def of_customer(number: int) -> list[Client]:
    """The three clients of one customer."""
    did = (f"3642{number:07}", f"3670{number:07}*")
    filters = (
        Match(context=("from-trunk",), did=did),
        Match(did=did, account=(f"customer-{number}",)),
        Match(trunk=(f"PJSIP/customer-{number}", f"PJSIP/customer-{number}-*")),
    )
    return [
        Client(f"customer-{number}-{kind}", "notify", "http://127.0.0.1/", "POST", (), match=match)
        for kind, match in enumerate(filters)
    ]


def view(number: int) -> CallView:
    """A call of that customer's."""
    return CallView(
        key="1.1",
        kind=Kind.INBOUND,
        start_time=0.0,
        src="36709676052",
        dst=f"3642{number:07}",
        context="from-trunk",
        account=f"customer-{number}",
        trunks=(f"PJSIP/customer-{number}",),
    )


if __name__ == "__main__":
    main()
