"""The wheel and its dependencies on the newest Python around, the laboratory's Debian's: calls are told."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from agi_call import agi
from bridge_process import BridgeProcess
from faulty_server import running
from free_ports import free_port
from pages import ROOT
from played_pbx import PlayedPbx
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

DEBIAN = Path(os.environ.get("VIPEX_LAB_ROOT", "/var/lib/vipex-lab/asterisk"))
WHEELS = ROOT / ".venv/newest"
"""What tests/pbx/setup.sh fetched for that Python."""
STRICT = ("-W", "error::DeprecationWarning:vipex_bridge")


@pytest.fixture
def inside() -> Iterator[Path]:
    """A folder of that Debian with the bridge in it, as pip installs it for that Python."""
    if not (WHEELS / "stamp").exists():
        pytest.skip("there is no other Python: this machine's own Asterisk is tested, not a Debian's")
    version = (WHEELS / "stamp").read_text().split()[0]
    with tempfile.TemporaryDirectory(dir=DEBIAN / "opt", prefix="newest-python-") as name:
        folder = Path(name)
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
        build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
        subprocess.run([*build, str(_source(folder / "source"))], check=True)
        # Which wheels fit was asked when they were fetched.
        wheels = [str(wheel) for wheel in [*WHEELS.glob("*.whl"), *folder.glob("*.whl")]]
        site = ["--target", str(folder / "site"), "--python-version", version, "--only-binary=:all:"]
        platforms = [f"--platform={wheel.split('-')[-1][:-4].split('.')[0]}" for wheel in wheels]
        install = [*pip, "install", "--no-deps", "--no-index", "--no-compile", *site, *set(platforms)]
        subprocess.run([*install, *wheels], check=True)
        yield folder


def _source(folder: Path) -> Path:
    """What a wheel is made of, without what earlier builds left."""
    folder.mkdir()
    for name in ("vipex_bridge", "agi", "etc", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-a", ROOT / name, folder], check=True)
    return folder


def test_the_newest_python_tells_calls_and_answers_callers(inside: Path) -> None:
    here = f"/{inside.relative_to(DEBIAN)}"
    command = (
        "chroot", str(DEBIAN), "/usr/bin/env", "LC_ALL=C.UTF-8", f"PYTHONPATH={here}/site",
        "/usr/bin/python3", *STRICT, "-m", "vipex_bridge.cli.main",
    )  # fmt: skip
    port = free_port()
    with running() as server, PlayedPbx(inside) as pbx:
        server.answer = server.replies(200, b'{"branch": "vip"}')
        text = CONFIGURATION.format(ami=pbx.ami.port, folder=here, http=server.port, notice=NOTICE)
        text = text.replace("agi: null", f"agi: {{listen: '127.0.0.1:{port}', socket: null}}")
        text += (
            f"  route: {{kind: lookup, url: '{server.url}', response: {{set: {{VIPEX_BRANCH: branch}}}}}}\n"
        )
        text += "http: {listen: '127.0.0.1:0', tokens: [a-token-that-is-long-enough]}\n"
        bridge = BridgeProcess(inside, text)
        config = ("--config", f"{here}/config.yaml")
        done = subprocess.run([*command, "check", *config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        # BridgeProcess adds its own Python and words: they are left to $0 and the rest.
        bridge.launcher = ("/bin/sh", "-c", f"exec {' '.join((*command, 'run', *config))}")
        with bridge:
            bridge.wait_for("reconcile.done", timeout_s=60.0)
            pbx.burst(3)
            assert agi(port, "lookup", "route")["VIPEX_BRANCH"] == "vip"
            assert not wait_for_all(server, pbx.calls, notices=True)
        check(told(server.received), pbx.calls, was_there=True)
        assert not [line for line in bridge.lines if line.get("level") in ("error", "critical")]
        assert not [line for line in bridge.lines if line["event"] == "(not JSON)"], "nothing but its log"
