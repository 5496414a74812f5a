"""Series of one metric as Prometheus reads them, told quickly where thousands of clients have one each.

A series' lines are written when something happens to it; when Prometheus asks, they are put together.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence

Values = tuple[str, ...]
"""The values of a series' labels, in the order of the labels."""


class Counts:
    """A counter by the values of its labels, counted from any thread."""

    def __init__(self, name: str, says: str, labels: Sequence[str]) -> None:
        """`name` is without its `_total`."""
        self._name, self._labels = f"{name}_total", tuple(labels)
        self._head = _head(self._name, "counter", says)
        self._counts: dict[Values, float] = {}
        self._lines: dict[Values, str] = {}
        self._lock = threading.Lock()

    def expect(self, values: Values) -> None:
        """Tell this one from now on, 0 as long as nothing has happened."""
        if values not in self._counts:
            self.add(values, 0)

    def add(self, values: Values, count: float = 1) -> None:
        """So much has happened."""
        with self._lock:
            total = self._counts[values] = self._counts.get(values, 0.0) + count
            self._lines[values] = f"{self._name}{{{_labelled(self._labels, values)}}} {total!r}\n"

    def text(self) -> str:
        """All of it in Prometheus' text format."""
        with self._lock:
            return self._head + "".join(self._lines.values())


class Times:
    """A histogram of seconds by the values of its labels, observed from any thread."""

    def __init__(self, name: str, says: str, labels: Sequence[str], buckets_s: Sequence[float]) -> None:
        self._name, self._labels, self._buckets_s = name, tuple(labels), tuple(buckets_s)
        self._head = _head(name, "histogram", says)
        self._bounds = [*(repr(float(bound)) for bound in buckets_s), "+Inf"]
        self._found: dict[Values, tuple[list[int], float]] = {}
        """How many fell into each bucket, and the sum of all."""
        self._lines: dict[Values, str] = {}
        self._lock = threading.Lock()

    def observe(self, values: Values, took_s: float) -> None:
        """Something took so long."""
        with self._lock:
            counts, sum_s = self._found.get(values) or ([0] * len(self._bounds), 0.0)
            counts[bisect_left(self._buckets_s, took_s)] += 1
            self._found[values] = (counts, sum_s + took_s)
            self._lines[values] = self._written(values)

    def text(self) -> str:
        """All of it in Prometheus' text format."""
        with self._lock:
            return self._head + "".join(self._lines.values())

    def _written(self, values: Values) -> str:
        label, (counts, sum_s) = _labelled(self._labels, values), self._found[values]
        lines, total = [], 0
        for bound, count in zip(self._bounds, counts, strict=True):
            total += count
            lines.append(f'{self._name}_bucket{{{label},le="{bound}"}} {total}.0\n')
        lines.append(f"{self._name}_count{{{label}}} {total}.0\n{self._name}_sum{{{label}}} {sum_s!r}\n")
        return "".join(lines)


def gauges(name: str, says: str, label: str, values: Mapping[str, float]) -> str:
    """A gauge by one label, in Prometheus' text format."""
    lines = [f'{name}{{{label}="{_escaped(key)}"}} {float(value)!r}\n' for key, value in values.items()]
    return _head(name, "gauge", says) + "".join(lines)


def _head(name: str, kind: str, says: str) -> str:
    return f"# HELP {name} {says}\n# TYPE {name} {kind}\n"


def _labelled(labels: Values, values: Values) -> str:
    return ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
