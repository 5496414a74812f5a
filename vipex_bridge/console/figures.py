"""The numbers behind the charts: calls per hour, ringing and answering, lookups' times. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from vipex_bridge.calls.document import CallDocument, Direction, Part
from vipex_bridge.console.charts import Chart, percentile
from vipex_bridge.console.picture import Say

HOUR_S = 3600.0
MOST_LABELS = 24
"""Of extensions, queues and clients the busiest are shown."""


def calls_per_hour(
    documents: Iterable[CallDocument], first_at: float, hours: int, timezone: ZoneInfo, say: Say
) -> Chart:
    """How many calls began in each of `hours` hours from `first_at` on, by direction and outcome."""
    series = {
        (Direction.INBOUND, True): say("inbound, answered"),
        (Direction.MISSED, False): say("inbound, missed"),
        (Direction.OUTBOUND, True): say("outbound, answered"),
        (Direction.OUTBOUND, False): say("outbound, not answered"),
    }
    kinds = list(series)
    counted = [[0.0] * len(kinds) for _ in range(hours)]
    for document in documents:
        main = document.main
        hour = int((main.start_time - first_at) // HOUR_S)
        if 0 <= hour < hours:
            is_answered = main.direction is Direction.INBOUND or (
                main.direction is Direction.OUTBOUND and main.answer_time is not None
            )
            counted[hour][kinds.index((main.direction, is_answered))] += 1
    labels = tuple(
        datetime.fromtimestamp(first_at + HOUR_S * hour, timezone).strftime(
            "%H:00" if hours <= 24 else "%m-%d %H:00"
        )
        for hour in range(hours)
    )
    rows = tuple(tuple(row) for row in counted)
    return Chart(
        "hours", say("Calls per hour"), say("calls"), tuple(series.values()), labels, rows, least_top=2
    )


def ring_times(documents: Sequence[CallDocument], by: str, say: Say) -> Chart:
    """How long inbound calls rang on average, and the longest, for each extension (`by` exten) or queue."""
    grouped = _legs_by(documents, by)

    def times(legs: list[Part]) -> tuple[float | None, ...]:
        rang = [float(leg.ringtime) for leg in legs]
        return (sum(rang) / len(rang), max(rang))

    title = say("Ring time per extension") if by == "exten" else say("Ring time per queue")
    return _chart(f"ring-{by}", title, say("seconds"), (say("average"), say("longest")), grouped, times)


def answer_rates(documents: Sequence[CallDocument], by: str, say: Say) -> Chart:
    """How many of a hundred inbound calls that reached each extension or queue were answered there."""
    grouped = _legs_by(documents, by)

    def rate(legs: list[Part]) -> tuple[float | None, ...]:
        return (100.0 * sum(leg.answer_time is not None for leg in legs) / len(legs),)

    title = say("Answer rate per extension") if by == "exten" else say("Answer rate per queue")
    return _chart(f"answer-{by}", title, "%", (say("answered"),), grouped, rate, least_top=100)


def lookup_times(elapsed_s: Mapping[str, Sequence[float]], say: Say) -> Chart:
    """The median, and what 95 and 99 of a hundred lookups stay under, for each client, in milliseconds."""
    labels = tuple(sorted(name for name, times in elapsed_s.items() if times)[:MOST_LABELS])
    rows = []
    for name in labels:
        ordered = sorted(elapsed_s[name])
        rows.append(tuple(_ms(percentile(ordered, share)) for share in (0.5, 0.95, 0.99)))
    title = say("Lookup time per client")
    return Chart("lookups", title, "ms", ("p50", "p95", "p99"), labels, tuple(rows), is_stacked=False)


def _ms(elapsed_s: float | None) -> float | None:
    return None if elapsed_s is None else elapsed_s * 1000


def _legs_by(documents: Sequence[CallDocument], by: str) -> dict[str, list[Part]]:
    """The legs of inbound calls; a call counts once for a queue, by the leg that was answered if any was."""
    grouped: dict[str, list[Part]] = {}
    for document in documents:
        if document.main.direction is Direction.OUTBOUND:
            continue
        legs = document.all_legs or document.legs or (document.main,)
        if by == "exten":
            for leg in legs:
                if leg.exten:
                    grouped.setdefault(leg.exten, []).append(leg)
            continue
        for queue in dict.fromkeys(leg.queue for leg in legs if leg.queue):
            of_queue = [leg for leg in legs if leg.queue == queue]
            best = next((leg for leg in of_queue if leg.answer_time is not None), of_queue[-1])
            grouped.setdefault(queue, []).append(best)
    busiest = sorted(grouped, key=lambda name: (-len(grouped[name]), name))[:MOST_LABELS]
    return {name: grouped[name] for name in sorted(busiest)}


def _chart(
    name: str,
    title: str,
    unit: str,
    series: tuple[str, ...],
    grouped: Mapping[str, list[Part]],
    numbers: Callable[[list[Part]], tuple[float | None, ...]],
    least_top: float = 0.0,
) -> Chart:
    rows = tuple(numbers(legs) for legs in grouped.values())
    return Chart(name, title, unit, series, tuple(grouped), rows, is_stacked=False, least_top=least_top)
