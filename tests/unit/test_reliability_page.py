"""The page that tells of the faults: a row for each, with what was measured."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

REPORT = Path(__file__).parents[1] / "faults" / "report.py"


def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reliability_report", REPORT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_fault_is_a_row_with_its_figures() -> None:
    line = {"fault": "killed", "rounds": 200, "calls": 3000, "lost": 0, "duplicates": 12, "note": "a | b"}
    page = report().page([line | {"recovery_s": [0.5, 0.7, 2.25]}, line | {"recovery_s": []}], "# Head\n")
    assert page.splitlines() == [
        "# Head",
        "| killed | 200 | 3000 | 0 | 12 | 0.7 s, 2.2 s | a \\| b |",
        "| killed | 200 | 3000 | 0 | 12 | - | a \\| b |",
    ]


def test_the_head_is_complete() -> None:
    head = report().HEAD.format(when="2026-11-23", cores=2, kernel="6.1", python="3.11")
    assert "./test --long" in head and head.endswith("| --- |\n")
