"""The page of all cases names the test of each, and each of these tests exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/call-trees.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]


def test_the_page_has_cases() -> None:
    assert len(ROWS) >= 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_row_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`?([\w/]+\.py)::(\w+)", row)
    assert named
    for file, name in named:
        path = ROOT / "tests" / file if "/" in file else ROOT / "tests/pbx" / file
        assert re.search(rf"^(async )?def {name}\(", path.read_text("utf-8"), re.MULTILINE), (file, name)
