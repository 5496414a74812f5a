"""What is installed from a wheel: everything that the bridge reads beside its code is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pages import ROOT

NEEDED = ("vipex_bridge", "agi", "etc", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
PROGRAM = """
import sys
from pathlib import Path
import vipex_bridge
from vipex_bridge.cli.main import main
from vipex_bridge.console.page import rendered
from vipex_bridge.console.words import words
from vipex_bridge.setup.shipped import texts
assert Path(vipex_bridge.__file__).is_relative_to(sys.argv[1]), vipex_bridge.__file__
assert words("hu").say("Calls") == "Hívások"
page = rendered("problem.html", say=words("hu").say, language="hu", what="x", detail="", is_out=False)
assert "<html" in page and 'lang="hu"' in page
shipped = texts()
assert {"cdr.conf", "extensions_vipex.conf", "vipex-lookup"} <= set(shipped), list(shipped)
assert all(shipped.values())
sys.exit(main(["check", "--config", sys.argv[2]]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        place = ROOT / name
        if place.is_dir():
            without = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(place, source / name, symlinks=True, ignore=without)
        else:
            shutil.copy(place, source / name)
    made = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(made), str(source)], check=True)
    [wheel] = made.glob("*.whl")
    return wheel


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    there = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("vipex_bridge/")}
    package = ROOT / "vipex_bridge"
    wanted = {
        str((Path(folder) / name).relative_to(ROOT))
        for folder, _, names in os.walk(package, followlinks=True)
        for name in names
        if "__pycache__" not in folder and not name.endswith((".pyc", ".orig"))
    }
    # Read by people who look into the repository, not by the bridge.
    wanted -= {name for name in wanted if name.endswith("README.md")}
    assert wanted <= there, sorted(wanted - there)


def test_it_works_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, str(target), str(wheel)], check=True)
    config = tmp_path / "config.yaml"
    config.write_text("node: pbx1\nasterisk: {agi: null}\n")
    run = [sys.executable, "-c", PROGRAM, str(target), str(config)]
    done = subprocess.run(
        run, env={**os.environ, "PYTHONPATH": str(target)}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
