#!/usr/bin/env python3
"""`under_atheris.py TARGET [options and folders of libFuzzer]`: one target, until its time is over."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import atheris

HERE = Path(__file__).parent


def main() -> None:
    """Fuzzes; a finding ends the process with libFuzzer's exit code."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
    with atheris.instrument_imports(include=["vipex_bridge", "vipex_agi", "json", "jmespath"]):
        target = import_module(f"fuzz_{sys.argv[1]}")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
