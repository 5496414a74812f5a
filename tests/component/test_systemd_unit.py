"""The shipped unit, judged by systemd itself: nothing wrong in it, and little left open."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd/vipex-bridge.service"
MOST_EXPOSURE = 1.5
"""Of 10, by `systemd-analyze security`; an unrestricted service has 9.6."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there: systemd looks for it."""
    text = UNIT.read_text("utf-8")
    placed, count = re.subn(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text)
    assert count == 1
    copy = tmp_path / UNIT.name
    copy.write_text(placed, "utf-8")
    return copy


def test_nothing_is_wrong_in_it(unit: Path) -> None:
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_mistake_in_it_would_be_seen(unit: Path) -> None:
    unit.write_text(unit.read_text("utf-8").replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"), "utf-8")
    assert "NoNewPrivilege" in analyze("verify", str(unit)).stderr


def test_little_is_left_open(unit: Path) -> None:
    done = analyze("security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    print(f"exposure {found[1]} of 10")
    assert float(found[1]) <= MOST_EXPOSURE
