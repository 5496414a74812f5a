"""Fills the columns of docs/call-trees.md that runs of the tests make.

columns.py tests                            the tests that the table names, as pytest takes them
columns.py fill "Asterisk 16" JUNIT.XML     the column of the table, from pytest's `--junitxml`
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

PAGE = Path(__file__).parents[2] / "docs/call-trees.md"
NAMED = ("plain Asterisk", "FreePBX ways")
"""The columns that name the tests of a case."""
MADE = ("Asterisk 16", "PostgreSQL store")
"""The columns that say when these tests passed in such a house."""
COLUMNS = (*NAMED, *MADE)
FAILED = "failed"
_TEST = re.compile(r"`([\w/]+)\.py::(\w+)`")


def cells(row: str) -> list[str]:
    """The cells of a row of the table."""
    return [cell.strip() for cell in row.strip().strip("|").split(" | ")]


def named_in(row: str) -> list[tuple[str, str]]:
    """The tests that a row names: (file below tests/, without .py; function)."""
    named = [found for cell in cells(row)[4 : 4 + len(NAMED)] for found in _TEST.findall(cell)]
    return [(file if "/" in file else f"pbx/{file}", function) for file, function in named]


def is_case(line: str) -> bool:
    """Whether the line of the page is a case of the table."""
    return line.startswith("| ") and "::" in line


def outcomes(report: str) -> dict[tuple[str, str], str]:
    """Of each test in pytest's report the day of the run, or `failed`; one that was skipped is not there."""
    found: dict[tuple[str, str], str] = {}
    for suite in ElementTree.fromstring(report).iter("testsuite"):
        day = suite.attrib["timestamp"].partition("T")[0]
        for case in suite.iter("testcase"):
            file = case.attrib["classname"].removeprefix("tests.").replace(".", "/")
            test = (file, case.attrib["name"].partition("[")[0])
            outcome = {child.tag for child in case}
            if outcome & {"failure", "error"}:
                found[test] = FAILED
            elif "skipped" not in outcome:
                found.setdefault(test, day)
    return found


def filled(page: str, column: str, report: str) -> str:
    """The page with the column as the report has it; a case of which no test ran keeps what it says."""
    ran = outcomes(report)
    place = 4 + COLUMNS.index(column)
    lines = []
    for line in page.splitlines():
        told = [ran[test] for test in named_in(line) if test in ran] if is_case(line) else []
        if told:
            row = cells(line)
            row[place] = FAILED if FAILED in told else max(told)
            line = f"| {' | '.join(row)} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _named_tests(page: str) -> Iterable[str]:
    tests = [test for line in page.splitlines() if is_case(line) for test in named_in(line)]
    return (f"tests/{file}.py::{name}" for file, name in dict.fromkeys(tests) if file.startswith("pbx/"))


def main() -> int:
    """Prints or fills, as its first argument says."""
    page = PAGE.read_text("utf-8")
    match sys.argv[1:]:
        case ["tests"]:
            print("\n".join(_named_tests(page)))
        case ["fill", column, report] if column in MADE:
            PAGE.write_text(filled(page, column, Path(report).read_text("utf-8")), "utf-8")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
