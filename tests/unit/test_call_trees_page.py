"""The page of all cases: what it names exists, and what runs fill is filled as `columns.py` does it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from columns import COLUMNS, FAILED, MADE, NAMED, PAGE, cells, filled, is_case, named_in, outcomes

TESTS = Path(__file__).parents[1]
TEXT = PAGE.read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if is_case(line)]
REASONS = {"only FreePBX has it", "no PBX: a capture"}
"""What a cell may say that no run filled."""


def test_the_page_has_cases_and_a_column_for_each_kind_of_pbx_and_store() -> None:
    assert len(ROWS) >= 70
    heads = [cells(line) for line in TEXT.splitlines() if line.startswith("| case | what happened")]
    assert heads
    assert all(tuple(head[-len(COLUMNS) :]) == COLUMNS for head in heads)


@pytest.mark.parametrize("column", COLUMNS)
def test_all_cases_but_a_few_were_played_in_each_column(column: str) -> None:
    place = COLUMNS.index(column) - len(COLUMNS)
    assert sum(cells(row)[place] in REASONS for row in ROWS) <= 12


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_row_names_tests_that_exist_and_says_when_they_ran(row: str) -> None:
    columns = cells(row)
    assert len(columns) == 4 + len(COLUMNS)
    for cell in columns[4 : 4 + len(NAMED)]:
        assert re.fullmatch(r"`[\w/]+\.py::\w+`", cell) or cell in REASONS
    for file, name in named_in(row):
        text = (TESTS / f"{file}.py").read_text("utf-8")
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), (file, name)
    for cell in columns[-len(MADE) :]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", cell) or cell.startswith(FAILED) or cell in REASONS


HEAD = f"| case | what happened | tree | notifications | {' | '.join(COLUMNS)} |"
PLAYED = "| a | b `x` | c | d | `test_a.py::test_one` | `test_b.py::test_two` | 2026-01-01 | {} |"
CAPTURED = "| e | f | g | h | `unit/calls/test_c.py::test_three` | no PBX | no PBX | no PBX |"


def report(*cases: str) -> str:
    return (
        f'<testsuites><testsuite timestamp="2026-12-01T01:30:00.1">{"".join(cases)}</testsuite></testsuites>'
    )


def case(file: str, name: str, inner: str = "") -> str:
    return f'<testcase classname="tests.pbx.{file}" name="{name}">{inner}</testcase>'


@pytest.mark.parametrize(
    ("ran", "cell"),
    [
        ([case("test_a", "test_one"), case("test_b", "test_two[phone]")], "2026-12-01"),
        ([case("test_a", "test_one")], "2026-12-01"),
        ([case("test_a", "test_one"), case("test_b", "test_two", "<failure/>")], "failed"),
        ([case("test_a", "test_one"), case("test_b", "test_two[a]", "<error/>")], "failed"),
        ([case("test_b", "test_two[a]", "<failure/>"), case("test_b", "test_two[b]")], "failed"),
        ([case("test_a", "test_one", "<skipped/>")], "before"),
        ([case("test_other", "test_one")], "before"),
        ([], "before"),
    ],
    ids=["all", "some", "one failed", "no house", "one of two", "skipped", "another's", "none"],
)
def test_a_run_fills_its_column_and_no_other(ran: list[str], cell: str) -> None:
    page = f"{HEAD}\n{PLAYED.format('before')}\n{CAPTURED}\n\ntext\n"
    expected = f"{HEAD}\n{PLAYED.format(cell)}\n{CAPTURED}\n\ntext\n"
    assert filled(page, "PostgreSQL store", report(*ran)) == expected


def test_the_page_comes_out_as_it_was_where_nothing_ran() -> None:
    assert all(filled(TEXT, column, report()) == TEXT for column in MADE)
    assert outcomes(report()) == {}
