"""What init finds of an Asterisk by its files."""

from __future__ import annotations

import pytest
from asterisk_tree import ETC, FREEPBX, PLAIN, PaperMachine, carried_out, found_in, proposed

from vipex_bridge.errors import BridgeError
from vipex_bridge.setup.found import manager_conf
from vipex_bridge.setup.tree import packaged_version


def test_a_plain_asterisk_is_described() -> None:
    found = found_in(PaperMachine(dict(PLAIN)))
    assert (found.etc, found.log, found.agi_bin) == (ETC, "/var/log/asterisk", "/usr/share/asterisk/agi-bin")
    assert (found.version, found.zone, found.is_freepbx) == ("22.10.1", "Europe/Budapest", False)
    assert found.back_ends == ("cdr_csv",)
    assert found.trunks == ("PJSIP/provider",)
    assert found.extension_lengths == (3, 4)


def test_folders_are_those_of_asterisk_conf() -> None:
    files = {
        "/etc/asterisk/asterisk.conf": "[directories]\nastetcdir => /opt/pbx/etc/\nastvarlibdir => /opt/lib\n"
    }
    files["/opt/pbx/etc/cdr.conf"] = "[csv]\nusegmtime=yes\n"
    files["/opt/pbx/etc/modules.conf"] = "[modules]\nautoload = yes\n"
    found = found_in(PaperMachine(files))
    assert (found.etc, found.agi_bin, found.back_ends) == ("/opt/pbx/etc", "/opt/lib/agi-bin", ("cdr_csv",))


def test_without_an_asterisk_it_says_how_to_name_one() -> None:
    with pytest.raises(BridgeError, match="--asterisk-conf"):
        found_in(PaperMachine({}))


@pytest.mark.parametrize("name", ["freepbx.conf", "amportal.conf"])
def test_freepbx_is_known_by_its_files(name: str) -> None:
    assert found_in(PaperMachine({**PLAIN, f"/etc/{name}": ""})).is_freepbx


@pytest.mark.parametrize(
    ("modules_conf", "cdr_files", "back_ends"),
    [
        ("autoload = yes\n", {"cdr.conf": "[general]\n"}, ()),
        ("autoload = yes\n", {"cdr.conf": "[csv]\nusegmtime = no\n"}, ("cdr_csv",)),
        ("autoload = yes\nnoload => cdr_csv.so\n", {"cdr.conf": "[csv]\nusegmtime = no\n"}, ()),
        ("autoload = no\n", {"cdr.conf": "[csv]\nusegmtime = no\n"}, ()),
        ("autoload = no\nload => cdr_csv.so\n", {"cdr.conf": "[csv]\nusegmtime = no\n"}, ("cdr_csv",)),
        ("autoload = yes\n", {"cdr_manager.conf": "[general]\nenabled = no\n"}, ()),
        ("autoload = yes\n", {"cdr_manager.conf": "[general]\nenabled = yes\n"}, ("cdr_manager",)),
        ("autoload = yes\n", {"cdr_adaptive_odbc.conf": "[x](!)\nconnection = x\n"}, ()),
        ("autoload = yes\n", {"cdr_adaptive_odbc.conf": "[x]\nconnection = x\n"}, ("cdr_adaptive_odbc",)),
        ("autoload = yes\n", {"cdr_pgsql.conf": "[global]\n;hostname = x\n"}, ()),
        ("autoload = yes\n", {"cdr_pgsql.conf": "[global]\nhostname = x\n"}, ("cdr_pgsql",)),
    ],
)
def test_a_back_end_is_in_use_when_it_is_loaded_and_has_something_to_do(
    modules_conf: str, cdr_files: dict[str, str], back_ends: tuple[str, ...]
) -> None:
    files = {f"{ETC}/asterisk.conf": "", f"{ETC}/modules.conf": f"[modules]\n{modules_conf}"}
    files |= {f"{ETC}/{name}": text for name, text in cdr_files.items()}
    modules = ("cdr_csv", "cdr_manager", "cdr_adaptive_odbc", "cdr_pgsql")
    assert found_in(PaperMachine(files, modules)).back_ends == back_ends


@pytest.mark.parametrize("files", [PLAIN, FREEPBX])
def test_what_init_wrote_is_not_found_as_somebody_elses(files: dict[str, str]) -> None:
    machine = PaperMachine(dict(files))
    before, after = found_in(machine), found_in(carried_out(proposed(machine), machine))
    assert (after.back_ends, after.trunks, after.loaded) == (before.back_ends, before.trunks, before.loaded)
    for name, conf in before.confs.items():
        settings = [[s.value for s in c.settings] for c in conf.categories]
        assert [[s.value for s in c.settings] for c in after.confs[name].categories] == settings


def test_the_whole_manager_conf_has_our_user_too() -> None:
    machine = PaperMachine(dict(PLAIN))
    conf = manager_conf(carried_out(proposed(machine, "its-secret"), machine))
    assert conf is not None
    assert conf.value("vipex", "secret") == "its-secret"
    assert conf.value("general", "timestampevents") == "yes"


@pytest.mark.parametrize(
    ("version", "is_supported"),
    [("16.30.0", True), ("22.10.1", True), ("13.1", False), ("23.0", False), (None, True)],
)
def test_a_version_that_the_bridge_is_not_made_for_is_known(version: str | None, is_supported: bool) -> None:
    assert found_in(PaperMachine(dict(PLAIN), said_version=version)).is_supported is is_supported


def test_debians_list_of_packages_has_the_version() -> None:
    status = (
        "Package: asterisk-doc\nStatus: install ok installed\nVersion: 1:20.1\n\n"
        "Package: asterisk\nStatus: install ok installed\nDescription: PBX\n more: of it\n"
        "Version: 1:22.10.1+dfsg+~cs6.17-1\n\nPackage: bash\n"
    )
    assert packaged_version(status) == "22.10.1"
    assert packaged_version(status.replace("ok installed", "ok config-files")) is None
    assert packaged_version("") is None
