"""The step that asks for known vulnerabilities: it fails for one, and for nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
NOT_RUN = "pip-audit: not run (advisory service not reachable)\n"


def audited(folder: Path, script: str, within_s: str = "30") -> tuple[int, str]:
    """Exit code and output of the step over a pip-audit that does this; `$report` is its output file."""
    instead = folder / "pip-audit"
    find = 'while [ "$1" != --output ]; do shift; done; report=$2\n'
    instead.write_text(f"#!/bin/sh\n{find}{script}\n", "utf-8")
    instead.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(AUDIT)],
        env={**os.environ, "VIPEX_PIP_AUDIT": str(instead), "VIPEX_AUDIT_WITHIN_S": within_s},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def writing(*packages: Mapping[str, object]) -> str:
    """A pip-audit's script that reports these."""
    return f"cat > \"$report\" <<'END'\n{json.dumps({'dependencies': packages, 'fixes': []})}\nEND"


SOUND = {"name": "requests", "version": "2.34.2", "vulns": []}
FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["2.35"], "aliases": [], "description": "..."}
UNKNOWN = {"name": "own", "skip_reason": "Dependency not found on PyPI"}


def test_a_vulnerability_fails_the_run_and_is_named(tmp_path: Path) -> None:
    code, said = audited(tmp_path, writing(SOUND, {**SOUND, "vulns": [FLAW]}, UNKNOWN) + "\nexit 1")
    assert (code, said.splitlines()[0]) == (1, "pip-audit: requests 2.34.2: PYSEC-2026-1, mended in 2.35")


def test_none_is_told_with_the_number_of_packages_and_what_was_not_looked_at(tmp_path: Path) -> None:
    assert audited(tmp_path, writing(SOUND, UNKNOWN)) == (
        0,
        "pip-audit: own not looked at: Dependency not found on PyPI\n"
        "pip-audit: 1 packages looked at, no known vulnerability\n",
    )


@pytest.mark.parametrize(
    "script", ["echo ConnectionError >&2; exit 1", writing(UNKNOWN), "echo '{' > $report"]
)
def test_a_service_that_cannot_be_asked_does_not_fail_the_run(script: str, tmp_path: Path) -> None:
    assert audited(tmp_path, script) == (0, NOT_RUN)


def test_nor_does_one_that_does_not_answer_in_time(tmp_path: Path) -> None:
    assert audited(tmp_path, "exec sleep 30", within_s="1") == (0, NOT_RUN)


def test_nor_does_a_missing_pip_audit(tmp_path: Path) -> None:
    assert audited(tmp_path, "exec /nowhere/pip-audit 2>/dev/null") == (0, NOT_RUN)
