#!/usr/bin/env python3
"""`under_atheris.py [options and folders of libFuzzer]`: one target, until its time is over.

Which one is in VIPEX_FUZZ_TARGET: libFuzzer starts this again with arguments of its own to minimise.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import atheris

HERE = Path(__file__).parent


def main() -> None:
    """Fuzzes; a finding ends the process with libFuzzer's exit code."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
    with atheris.instrument_imports(include=["vipex_bridge", "vipex_agi", "json", "jmespath"]):
        target = import_module(f"fuzz_{os.environ['VIPEX_FUZZ_TARGET']}")
    atheris.Setup(sys.argv, target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
