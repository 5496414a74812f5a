"""Charts as SVG from numbers, each with its numbers as a table beside it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from vipex_bridge.console.picture import Say, clean

WIDTH, HEIGHT = 600.0, 200.0
LEFT, RIGHT, TOP, FOOT = 44.0, 8.0, 14.0, 28.0
WIDEST = 48.0
"""Of a bar, where there are few."""
SPARK_WIDTH, SPARK_HEIGHT = 240.0, 44.0
_LEAST = 1e-6
"""What is smaller is drawn as nothing."""
_PATTERNS = 4
"""Kinds of bars that the style sheet tells apart, by colour and by hatching."""
_LETTER = 7.0


@dataclass(frozen=True, slots=True)
class Chart:
    """Numbers to be drawn: for each label one value of each series, None where there is none."""

    name: str
    """In ids: letters, digits and hyphens."""
    title: str
    unit: str
    series: tuple[str, ...]
    labels: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    """As many as labels, each as long as series."""
    is_stacked: bool = True
    """The series of a label add up; else they stand side by side."""
    least_top: float = 0.0
    """The scale goes at least so far."""


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour's tries of one client: how many came through and not, and how long they took on average."""

    good: int
    bad: int
    latency_s: float | None


def percentile(sorted_values: Sequence[float], share: float) -> float | None:
    """The value that `share` (0 to 1) of the values do not exceed, nearest rank; None of none."""
    if not sorted_values:
        return None
    rank = max(1, -int(-share * len(sorted_values) // 1))
    return sorted_values[min(rank, len(sorted_values)) - 1]


def number(value: float | None) -> str:
    """A number as the tables have it; – where there is none."""
    if value is None or not isfinite(value):
        return "–"
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}" if abs(value) < 10 else f"{value:.0f}"


def bars(chart: Chart) -> str:
    """The chart as an SVG element: bars, a scale, a legend in words."""
    top = _round_up(max([chart.least_top, *(_tall(chart, row) for row in chart.values)]))
    foot = HEIGHT - FOOT
    lines = "".join(_gridline(share, top, foot) for share in (0.0, 0.5, 1.0))
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(chart.labels))
    every = max(1, int(max((len(label) for label in chart.labels), default=1) * _LETTER // slot) + 1)
    drawn = []
    for place, (label, row) in enumerate(zip(chart.labels, chart.values, strict=True)):
        x = LEFT + slot * place
        drawn.append(_column(chart, row, x, slot, top))
        if place % every == 0:
            drawn.append(f'<text class="when" {_centred(x + slot / 2, foot + 16)}>{clean(label)}</text>')
    return (
        f'<svg class="chart" role="img" aria-labelledby="chart-{chart.name}"'
        f' xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}">'
        f'<title id="chart-{chart.name}">{clean(f"{chart.title} ({chart.unit})")}</title>'
        f'<defs><pattern id="hatch-{chart.name}" width="5" height="5" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="5"/></pattern></defs>'
        f"{lines}{''.join(drawn)}</svg>"
    )


def _centred(x: float, y: float) -> str:
    return f'x="{x:.2f}" y="{y:g}" text-anchor="middle"'


def _tall(chart: Chart, row: Sequence[float | None]) -> float:
    known = [value for value in row if value is not None]
    return sum(known) if chart.is_stacked else max(known, default=0.0)


def _column(chart: Chart, row: Sequence[float | None], x: float, slot: float, top: float) -> str:
    high, foot = HEIGHT - TOP - FOOT, HEIGHT - FOOT
    beside = 1 if chart.is_stacked else max(1, len(row))
    width = min(WIDEST, slot * 0.8 / beside)
    first = x + (slot - width * beside) / 2
    parts, base = [], foot
    for place, value in enumerate(row):
        tall = high * (value or 0.0) / top
        if not chart.is_stacked:
            base = foot
        if tall > 0:
            left = first + (0.0 if chart.is_stacked else width * place)
            box = f'x="{left:.2f}" y="{base - tall:.2f}" width="{width:.2f}" height="{tall:.2f}"'
            parts.append(f'<rect class="bar s{place % _PATTERNS}" {box}/>')
            if place % 2:
                parts.append(f'<rect {box} fill="url(#hatch-{chart.name})"/>')
        base -= tall
    return "".join(parts)


def _gridline(share: float, top: float, foot: float) -> str:
    y = foot - (HEIGHT - TOP - FOOT) * share
    return (
        f'<line class="tick" x1="{LEFT:g}" y1="{y:.2f}" x2="{WIDTH - RIGHT:g}" y2="{y:.2f}"/>'
        f'<text class="when" x="{LEFT - 6:g}" y="{y + 4:.2f}" text-anchor="end">{number(top * share)}</text>'
    )


def _round_up(value: float) -> float:
    """The next round number for the top of a scale, to be halved: 1, 2, 4, 6 or 8 times a power of ten."""
    if value < _LEAST:
        return 1.0
    power = 1.0
    while power * 10 < value:
        power *= 10
    while power >= value * 2:
        power /= 10
    return next(power * step for step in (1, 2, 4, 6, 8, 10, 20) if power * step >= value)


def sparkline(name: str, hours: Sequence[Hour], say: Say) -> str:
    """A day of one client's tries: bars of what came through and what did not, a line of how long it took.

    `name` tells its elements from those of the page's other sparklines.
    """
    most = max((hour.good + hour.bad for hour in hours), default=0) or 1
    slowest = max((hour.latency_s or 0.0 for hour in hours), default=0.0) or 1.0
    slot = SPARK_WIDTH / max(1, len(hours))
    drawn, points = [], []
    for place, hour in enumerate(hours):
        x, base = slot * place, SPARK_HEIGHT
        for kind, count in (("good", hour.good), ("bad", hour.bad)):
            tall = (SPARK_HEIGHT - 4) * count / most
            if tall > 0:
                drawn.append(
                    f'<rect class="{kind}" x="{x:.2f}" y="{base - tall:.2f}"'
                    f' width="{slot * 0.8:.2f}" height="{tall:.2f}"/>'
                )
            base -= tall
        if hour.latency_s is not None:
            y = SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * hour.latency_s / slowest
            points += [f"{x + slot * 0.2:.2f},{y:.2f}", f"{x + slot * 0.6:.2f},{y:.2f}"]
    line = f'<polyline class="latency" points="{" ".join(points)}"/>' if points else ""
    return (
        f'<svg class="spark" role="img" aria-labelledby="spark-{clean(name)}"'
        f' xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SPARK_WIDTH:g} {SPARK_HEIGHT:g}">'
        f'<title id="spark-{clean(name)}">{clean(summary(hours, say))}</title>{"".join(drawn)}{line}</svg>'
    )


def summary(hours: Sequence[Hour], say: Say) -> str:
    """The day in a sentence: how many tries came through, how many did not, how long they took."""
    good, bad = sum(hour.good for hour in hours), sum(hour.bad for hour in hours)
    timed = [(hour.latency_s, hour.good + hour.bad) for hour in hours if hour.latency_s is not None]
    tries = sum(count for _, count in timed)
    text = f"{say('delivered')}: {good}, {say('failed tries')}: {bad}"
    if not tries:
        return text
    mean_s = sum(latency * count for latency, count in timed) / tries
    return f"{text}, {say('average time')}: {mean_s * 1000:.0f} ms"
