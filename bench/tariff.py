"""How fast a large tariff is: 100,000 prefixes, 100,000 calls; against a walk over ever shorter prefixes.

    python bench/tariff.py

The walk looks each prefix of the number up in a dict, longest first, as a plain script would, and adds up in
floats; it knows no times, no increments and no rounding.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal

from vipex_bridge.calls.price import Rate, Tariff, Times

PREFIXES, CALLS, ROUNDS = 100_000, 100_000, 5
AT = 1_795_483_310.0


def main() -> None:
    chance = random.Random(5)
    prefixes = sorted({str(chance.randrange(10, 10 ** chance.randrange(2, 9))) for _ in range(2 * PREFIXES)})
    prefixes = chance.sample(prefixes, PREFIXES)
    evening = Times(minutes=(18 * 60, 8 * 60))
    rates = [Rate(prefix, Decimal(1), Decimal("12.5"), 60, 60) for prefix in prefixes]
    rates += [Rate(prefix, Decimal(1), Decimal(6), 60, 60, evening) for prefix in prefixes[: PREFIXES // 10]]
    tariff = Tariff(rates)
    plain = {rate.prefix: (1.0, 12.5) for rate in rates}
    calls = [
        (chance.choice(prefixes) + str(chance.randrange(10**6)), chance.randrange(1, 600))
        for _ in range(CALLS)
    ]

    def ours() -> None:
        for number, billsec in calls:
            tariff.price(number, billsec, AT)

    def walk() -> None:
        for number, billsec in calls:
            for length in range(len(number), 0, -1):
                found = plain.get(number[:length])
                if found is not None:
                    _ = found[0] + found[1] * billsec / 60
                    break

    taken: dict[str, list[float]] = {"tariff": [], "walk": []}
    for _ in range(ROUNDS):
        for name, work in (("tariff", ours), ("walk", walk)):
            taken[name].append(timed(work))
    tariff_s, walk_s = (statistics.median(taken[name]) for name in ("tariff", "walk"))
    print(f"tariff: {CALLS / tariff_s:,.0f} calls/s of processor time; walk: {CALLS / walk_s:,.0f}")
    print(f"ratio of times, medians of {ROUNDS}: {tariff_s / walk_s:.2f}")


def timed(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
