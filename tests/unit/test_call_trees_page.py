"""The page of all cases names the tests of each by the kind of PBX, and each of these tests exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/call-trees.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
KINDS = ("plain Asterisk", "FreePBX ways")
"""The last columns; `—` says that a case was not played on such a PBX."""


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("| ").split(" | ")]


def test_the_page_has_cases_and_a_column_for_each_kind_of_pbx() -> None:
    assert len(ROWS) >= 40
    heads = [cells(line) for line in PAGE.splitlines() if line.startswith("| case | what happened")]
    assert heads
    assert all(tuple(head[-len(KINDS) :]) == KINDS for head in heads)


@pytest.mark.parametrize("kind", KINDS)
def test_most_cases_were_played_on_each_kind(kind: str) -> None:
    column = KINDS.index(kind) - len(KINDS)
    assert sum("::" in cells(row)[column] for row in ROWS) >= 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_row_names_tests_that_exist(row: str) -> None:
    columns = cells(row)
    assert len(columns) == 4 + len(KINDS)
    for cell in columns[4:]:
        named = re.findall(r"`?([\w/]+\.py)::(\w+)", cell)
        assert named or cell == "—"
        for file, name in named:
            path = ROOT / "tests" / file if "/" in file else ROOT / "tests/pbx" / file
            assert re.search(rf"^(async )?def {name}\(", path.read_text("utf-8"), re.MULTILINE), (file, name)
