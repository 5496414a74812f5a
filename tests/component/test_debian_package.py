"""The Debian package on a machine that knew nothing of it: installed, used, upgraded, removed, purged."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from bridge_process import BridgeProcess
from delivering import wait_until
from fake_asterisk import environment
from faulty_server import running
from free_ports import free_port
from fresh_debian import FreshDebian
from pages import ROOT
from played_pbx import PlayedPbx
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

from vipex_bridge import __version__

SITE = "/opt/vipex-bridge/lib/python3.11/site-packages"
SHIPPED = ROOT / "etc/vipex-bridge/config.yaml"
CONFIG = "/etc/vipex-bridge/config.yaml"
AGI_BIN = "/usr/share/asterisk/agi-bin"


def built(folder: Path) -> Path:
    """A package, of the wheels that are here already."""
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(ROOT / ".venv/wheels")}
    quick = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
    command = [str(ROOT / "packaging/build-deb"), str(folder)]
    done = subprocess.run(
        command, env={**os.environ, **offline, **quick}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def content(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("content") / "of"
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def earlier(content: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as it may have been before: another configuration, and a module that is no more."""
    folder = tmp_path_factory.mktemp("earlier")
    shutil.copytree(content, folder / "of", symlinks=True)
    control = folder / "of/DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {__version__}", "Version: 0.0.9"))
    config = folder / f"of{CONFIG}"
    config.write_text(config.read_text() + "# As it was.\n")
    (folder / f"of{SITE}/vipex_bridge/gone.py").write_text("")
    package = folder / "earlier.deb"
    subprocess.run(
        ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", folder / "of", package], check=True
    )
    return package


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A machine that came to this version by an upgrade: what the operator wrote, what was before."""

    debian: FreshDebian
    at_first: Mapping[str, tuple[int, int, int, int]]
    written: Mapping[str, str]

    def still_written(self) -> Mapping[str, str]:
        return {name: self.debian.path(name).read_text() for name in self.written}


@pytest.fixture(scope="module")
def upgraded(earlier: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    debian = FreshDebian.unpacked(tmp_path_factory.mktemp("debian"))
    at_first = debian.files()
    debian.install(earlier)
    written = {
        CONFIG: debian.path(CONFIG).read_text().replace("#node: pbx1", "node: pbx7"),
        "/etc/vipex-bridge/clients.d/one.yaml": "clients: {}\n",
        "/var/lib/vipex-bridge/recent.txt": "kept",
    }
    for name, text in written.items():
        debian.path(name).write_text(text)
    debian.install(package, "--force-confdef", "--force-confold")
    yield Upgraded(debian, at_first, written)
    shutil.rmtree(debian.root)


@pytest.fixture
def machine(upgraded: Upgraded) -> FreshDebian:
    return upgraded.debian


def test_the_same_sources_make_the_same_package(package: Path, tmp_path: Path) -> None:
    assert built(tmp_path).read_bytes() == package.read_bytes()


def test_nothing_in_it_names_where_it_was_built(content: Path) -> None:
    strange = [str(ROOT).encode(), b"/tmp/", b"/root/"]
    texts = [
        path
        for path in content.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        # A module of somebody else's may speak of /tmp; what pip and venv write may not.
        and (
            path.suffix in (".pth", ".cfg", ".json") or path.parent.name == "bin" or ".dist-info" in str(path)
        )
        and path.name not in ("METADATA", "sbom.cdx.json")
    ]
    assert any(path.name == "RECORD" for path in texts)
    assert not [path for path in texts if any(word in path.read_bytes() for word in strange)]
    assert not list(content.rglob("__pycache__"))
    assert (content / "opt/vipex-bridge/bin/python3").resolve(strict=False).name == "python3.11"


def test_an_installed_bridge_answers_and_has_its_files(machine: FreshDebian) -> None:
    assert machine.well("vipex-bridge", "--version") == f"vipex-bridge {__version__}\n"
    machine.well("vipex-bridge", "check", user="vipex-bridge:vipex-bridge")
    assert machine.run("cat", CONFIG, user="nobody:nogroup").returncode == 1
    for name, wanted in {
        "/etc/vipex-bridge": "root:vipex-bridge 750",
        "/etc/vipex-bridge/clients.d": "root:vipex-bridge 750",
        "/etc/vipex-bridge/secrets": "root:vipex-bridge 750",
        CONFIG: "root:vipex-bridge 640",
        "/var/lib/vipex-bridge": "vipex-bridge:vipex-bridge 700",
        "/lib/systemd/system/vipex-bridge.service": "root:root 644",
        f"{AGI_BIN}/vipex-lookup": "root:root 755",
        f"{AGI_BIN}/vipex_agi.py": "root:root 644",
        "/opt/vipex-bridge/bin/vipex-bridge": "root:root 755",
    }.items():
        assert machine.owner_and_mode(name) == wanted, name
    assert not machine.path("/etc/systemd/system/multi-user.target.wants/vipex-bridge.service").exists()
    # Compiled for its own Python: no start has to do it, and no start could.
    assert list(machine.path(f"{SITE}/vipex_bridge/__pycache__").glob("*.cpython-311.pyc"))
    for extra in ("pymysql", "psycopg"):
        machine.well("/opt/vipex-bridge/bin/python3", "-c", f"import {extra}")
    changed = machine.run("dpkg", "--verify", "vipex-bridge").stdout.splitlines()
    assert [line.split()[1:] for line in changed] == [["c", CONFIG]], "what its operator wrote"
    assert gzip.decompress(machine.path("/usr/share/doc/vipex-bridge/changelog.gz").read_bytes())
    verified = subprocess.run(
        ["systemd-analyze", "verify", f"--root={machine.root}", "vipex-bridge.service"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # There is no systemd there to start anything, only the unit.
    expected = (
        "vipex-bridge.service: Failed to create vipex-bridge.service/start: Unit sysinit.target not found."
    )
    faults = [line for line in verified.stderr.splitlines() if line.startswith("vipex-bridge.service")]
    assert set(faults) <= {expected}


def test_its_agi_script_lets_the_call_go_on_without_a_bridge(machine: FreshDebian) -> None:
    asterisk = environment("", "crm-route").decode() + "200 result=1\n" * 3
    said = machine.well(f"{AGI_BIN}/vipex-lookup", "crm-route", user="nobody:nogroup", text=asterisk)
    assert 'SET VARIABLE "VIPEX_STATUS" "UNAVAILABLE"' in said


def test_an_installed_bridge_tells_calls(machine: FreshDebian) -> None:
    state, http = "/var/lib/vipex-bridge", free_port()
    written = machine.path(CONFIG).read_bytes()
    with running() as server, PlayedPbx(machine.path("/var/log")) as pbx:
        server.answer = server.replies()
        text = CONFIGURATION.format(ami=pbx.ami.port, folder=state, http=server.port, notice=NOTICE)
        text = text.replace(f"{state}/master.db", "/var/log/master.db")
        text += f"http: {{listen: '127.0.0.1:{http}', tokens: [a-long-enough-token-for-this-test]}}\n"
        bridge = BridgeProcess(machine.path("/etc/vipex-bridge"), text)
        # BridgeProcess adds its own Python and words: they are left to $0 and the rest.
        user = "--userspec=vipex-bridge:vipex-bridge"
        bridge.launcher = (
            "chroot",
            user,
            str(machine.root),
            "/bin/sh",
            "-c",
            "exec /usr/bin/vipex-bridge run",
        )
        with bridge:
            bridge.wait_for("reconcile.done", timeout_s=60.0)
            assert requests.get(f"http://127.0.0.1:{http}/healthz", timeout=30).status_code == 200
            pbx.burst(3)
            wait_until(lambda: len(told(server.received).documents) == 3, 60.0)
            assert not wait_for_all(server, pbx.calls)
            check(told(server.received), pbx.calls)
    machine.path("/var/log/master.db").unlink()
    machine.path(CONFIG).write_bytes(written)
    assert machine.owner_and_mode(f"{state}/state.db") == "vipex-bridge:vipex-bridge 600"


def test_an_upgrade_keeps_what_the_operator_wrote(upgraded: Upgraded) -> None:
    assert upgraded.still_written() == upgraded.written
    debian = upgraded.debian
    assert debian.owner_and_mode(CONFIG) == "root:vipex-bridge 640"
    assert debian.path(f"{CONFIG}.dpkg-dist").read_bytes() == SHIPPED.read_bytes()
    assert not list(debian.path(f"{SITE}/vipex_bridge").rglob("gone*"))


def test_a_removal_keeps_what_is_the_operators_and_a_purge_nothing(upgraded: Upgraded) -> None:
    """The last one: the machine is without the package afterwards."""
    debian = upgraded.debian
    debian.well("dpkg", "--remove", "vipex-bridge")
    assert upgraded.still_written() == upgraded.written
    left = debian.files().keys() - upgraded.at_first.keys()
    kept = ("/etc/vipex-bridge", "/var/lib/vipex-bridge")
    assert not [name for name in left if not name.startswith(kept)]

    debian.well("dpkg", "--purge", "vipex-bridge")
    assert set(debian.files().items()) ^ set(upgraded.at_first.items()) == set()
    assert debian.run("getent", "passwd", "vipex-bridge").returncode == 2
