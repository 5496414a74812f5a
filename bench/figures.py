"""What a measurement gives: printed for a reader, and kept for docs/performance.md, which `bench/run` makes.

Every script of bench/ that compares ends with `tell(figures, arguments)`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the page.

    `ratio` is None where the goal is an absolute one; `is_met` is None without a goal.
    """

    measure: str
    """Which row of the page's table of goals: P1 to P10."""
    what: str
    """What was measured, with its rate, size or percentile."""
    ours: str
    """The figure, with its unit."""
    against: str
    """Against what, with its figure; '' for an absolute goal."""
    ratio: float | None
    goal: str
    is_met: bool | None
    remark: str = ""
    """What the other does not do that we do; why a goal was not met."""

    def line(self) -> str:
        """The row for a terminal."""
        ratio = f", ratio {self.ratio:.2f}" if self.ratio is not None else ""
        against = f" against {self.against}" if self.against else ""
        met = {True: ": met", False: ": NOT MET", None: ""}[self.is_met]
        figure = f"{self.measure} {self.what}: {self.ours}{against}{ratio}"
        return f"{figure} (goal {self.goal}{met}) {self.remark}".rstrip()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every measurement has."""
    parser.add_argument("--short", action="store_true", help="a smoke: few rounds, small sizes")
    parser.add_argument("--json", type=Path, help="append the figures to this file, one JSON line each")


def tell(figures: Iterable[Figure], arguments: argparse.Namespace) -> None:
    """Prints each figure, and appends it to `--json`."""
    for figure in figures:
        print(figure.line(), flush=True)
        if arguments.json is not None:
            with arguments.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(figure), ensure_ascii=False) + "\n")
