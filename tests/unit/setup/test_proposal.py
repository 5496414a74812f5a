"""What init proposes for the Asterisk that it found."""

from __future__ import annotations

from pathlib import Path

import pytest
from asterisk_tree import ETC, FREEPBX, MODULES, PLACES, PLAIN, PaperMachine, carried_out, found_in, proposed
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config.load import load_text
from vipex_bridge.config.settings import Settings
from vipex_bridge.setup import shipped
from vipex_bridge.setup.asterisk_side import AmiUser
from vipex_bridge.setup.conf import read
from vipex_bridge.setup.configuration import Choices, text_of
from vipex_bridge.setup.plan import BEGIN, END, Plan, Table, block, without


def own(plan: Plan, path: str) -> str:
    return next(own.text for own in plan.own if own.path == path)


def added(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {addition.path: addition.lines for addition in plan.additions}


def machine(*without: str, **changed: str) -> PaperMachine:
    """The plain one with other files; `__` in a name is a dot."""
    files = {path: text for path, text in PLAIN.items() if Path(path).stem not in without}
    files |= {f"{ETC}/{name.replace('__', '.')}": text for name, text in changed.items()}
    return PaperMachine(files)


def settings_of(plan: Plan, tmp_path: Path) -> Settings:
    """The proposed configuration, read as the bridge reads it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/ami-secret").write_text(own(plan, str(PLACES.secret)))
    return load_text(own(plan, str(PLACES.config)), tmp_path / "config.yaml", {}).settings


def asterisk_reads(machine: PaperMachine, name: str, section: str, key: str) -> list[str]:
    conf = read(f"{ETC}/{name}", ETC, machine)
    assert not conf.faults
    return [s.value for s in conf.settings(section) if s.key == key]


def test_a_plain_asterisk_gets_all_of_it(tmp_path: Path) -> None:
    plan = proposed(machine())
    assert added(plan) == {
        f"{ETC}/cdr.conf": ('#include "vipex_cdr.conf"',),
        f"{ETC}/cdr_sqlite3_custom.conf": ('#include "vipex_cdr_sqlite3_custom.conf"',),
        f"{ETC}/cel.conf": ('#include "vipex_cel.conf"',),
        f"{ETC}/cel_sqlite3_custom.conf": ('#include "vipex_cel_sqlite3_custom.conf"',),
        f"{ETC}/extensions.conf": ('#include "extensions_vipex.conf"',),
    }
    assert plan.by_hand == ()
    after = carried_out(plan, machine())
    assert asterisk_reads(after, "manager.conf", "vipex", "secret") == ["made-up"]
    assert asterisk_reads(after, "manager.conf", "general", "timestampevents") == ["yes"]
    assert asterisk_reads(after, "cdr.conf", "general", "unanswered") == ["yes"]
    assert asterisk_reads(after, "cdr.conf", "csv", "usegmtime") == ["yes"]
    assert asterisk_reads(after, "cel.conf", "general", "enable") == ["yes"]
    assert "LINKEDID_END" in ",".join(asterisk_reads(after, "cel.conf", "general", "events"))
    assert asterisk_reads(after, "cdr_sqlite3_custom.conf", "master", "table") == ["cdr"]
    assert asterisk_reads(after, "extensions.conf", "vipex-lookup", "exten")
    settings = settings_of(plan, tmp_path)
    assert settings.ami is not None
    assert settings.ami.secret.reveal() == "made-up"
    assert (settings.ami.host, settings.ami.port, settings.ami.username) == ("127.0.0.1", 5038, "vipex")
    assert settings.numbers.trunks == ("PJSIP/provider",)
    assert settings.numbers.extensions.search("200")
    assert settings.numbers.extensions.search("1102")
    assert not settings.numbers.extensions.search("36301234567")
    assert settings.cdr is not None
    assert settings.cdr.source.reveal() == "sqlite:////var/log/asterisk/master.db"
    assert settings.cel is not None
    assert str(settings.timezone) == "Europe/Budapest"


@pytest.mark.parametrize("files", [PLAIN, FREEPBX, {f"{ETC}/asterisk.conf": ""}])
def test_once_carried_out_nothing_more_is_proposed(files: dict[str, str]) -> None:
    before = PaperMachine(dict(files))
    first = proposed(before)
    after = carried_out(first, before)
    second = proposed(after, "another")
    assert second.additions == ()
    assert {(own.path, own.text) for own in second.own} <= {(own.path, own.text) for own in first.own}
    assert second.by_hand == first.by_hand


def test_an_asterisk_with_no_files_gets_its_own(tmp_path: Path) -> None:
    plan = proposed(PaperMachine({f"{ETC}/asterisk.conf": ""}))
    after = carried_out(plan, PaperMachine({f"{ETC}/asterisk.conf": ""}))
    assert asterisk_reads(after, "manager.conf", "general", "enabled") == ["yes"]
    assert asterisk_reads(after, "manager.conf", "general", "bindaddr") == ["127.0.0.1"]
    assert asterisk_reads(after, "manager.conf", "vipex", "secret") == ["made-up"]
    assert after.files[f"{ETC}/cdr.conf"] == shipped.texts()["cdr.conf"]
    assert asterisk_reads(after, "extensions.conf", "vipex-pin", "exten")
    assert settings_of(plan, tmp_path).numbers.trunks == ()
    assert any("numbers.trunks" in line for line in plan.by_hand)


def test_on_freepbx_only_its_custom_files_are_added_to(tmp_path: Path) -> None:
    before = PaperMachine(dict(FREEPBX))
    plan = proposed(before)
    assert set(added(plan)) == {
        f"{ETC}/manager_custom.conf",
        f"{ETC}/extensions_custom.conf",
        f"{ETC}/cdr_general_custom.conf",
        f"{ETC}/cdr_sqlite3_custom.conf",
        f"{ETC}/cel_sqlite3_custom.conf",
    }
    assert (
        f"{ETC}/cdr_general_additional.conf:1: write `unanswered = yes` in place of `unanswered = no`"
        in plan.by_hand
    )
    after = carried_out(plan, before)
    assert asterisk_reads(after, "manager.conf", "vipex", "secret") == ["made-up"]
    assert asterisk_reads(after, "manager.conf", "general", "timestampevents") == ["yes"]
    assert asterisk_reads(after, "cdr.conf", "general", "congestion") == ["yes"]
    settings = settings_of(plan, tmp_path)
    assert settings.cel is not None
    assert settings.cel.time_format == "%Y-%m-%d %H:%M:%S"


def test_on_freepbx_trunks_and_extensions_are_read_from_what_it_generated(tmp_path: Path) -> None:
    files = {
        **FREEPBX,
        f"{ETC}/pjsip.conf": "#include pjsip.endpoint.conf\n#include pjsip.aor.conf\n",
        f"{ETC}/pjsip.endpoint.conf": "[201]\ntype=endpoint\n[Telco]\ntype=endpoint\n[701]\ntype=endpoint\n",
        f"{ETC}/pjsip.aor.conf": "[201]\ntype=aor\n",
    }
    plan = proposed(PaperMachine(files))
    settings = settings_of(plan, tmp_path)
    assert settings.numbers.trunks == ("PJSIP/Telco",)
    assert settings.numbers.extensions.search("201")
    assert settings.numbers.devices == ()
    assert "#devices: ['PJSIP/7??']" in own(plan, str(PLACES.config))
    assert not any("numbers.devices" in line for line in plan.by_hand)


def test_on_freepbx_in_device_and_user_mode_the_devices_are_asked_for() -> None:
    plan = proposed(PaperMachine({**FREEPBX, "/etc/amportal.conf": "AMPEXTENSIONS=deviceanduser\n"}))
    assert [line for line in plan.by_hand if "numbers.devices" in line] == [
        f"{PLACES.config}: name the devices under numbers.devices: FreePBX is in device-and-user mode"
    ]


def test_a_generated_or_linked_file_without_a_custom_one_is_left_and_told() -> None:
    text = "; auto-generated by some panel\n[from-trunk]\n"
    for before in (
        machine(extensions__conf=text),
        PaperMachine(dict(PLAIN), links=frozenset({f"{ETC}/extensions.conf"})),
    ):
        plan = proposed(before)
        assert f"{ETC}/extensions.conf" not in added(plan)
        assert any(
            'extensions.conf: add the line #include "extensions_vipex.conf"' in line for line in plan.by_hand
        )


def test_what_the_operator_said_otherwise_is_left_and_told_with_its_place() -> None:
    plan = proposed(
        machine(
            manager__conf="[general]\nport = 5038\nenabled = no\ntimestampevents=no\n",
            cdr__conf="[general]\nbatch=yes\n",
            cel__conf="[general]\nenable=no\n",
        )
    )
    assert f"{ETC}/manager.conf:3: write `enabled = yes` in place of `enabled = no`" in plan.by_hand
    assert (
        f"{ETC}/manager.conf:4: write `timestampevents = yes` in place of `timestampevents = no`"
        in plan.by_hand
    )
    assert f"{ETC}/cdr.conf:2: write `batch = no` in place of `batch = yes`" in plan.by_hand
    assert f"{ETC}/cel.conf:2: write `enable = yes` in place of `enable = no`" in plan.by_hand
    assert "batch" not in own(plan, f"{ETC}/vipex_cdr.conf")


def test_a_file_that_asterisk_refuses_is_not_added_to() -> None:
    plan = proposed(machine(cel_sqlite3_custom__conf="values = 'x'\n", extensions__conf="[a]\n;-- no end\n"))
    assert f"{ETC}/cel_sqlite3_custom.conf" not in added(plan)
    assert f"{ETC}/extensions.conf" not in added(plan)
    assert any(
        line.startswith(f"{ETC}/cel_sqlite3_custom.conf:1: stands in no section") for line in plan.by_hand
    )
    assert "\n  #cel:\n" in own(plan, str(PLACES.config))


def test_an_include_that_is_there_is_enough() -> None:
    before = machine(extensions__conf="[general]\n#include extensions_vipex.conf\n")
    assert f"{ETC}/extensions.conf" not in added(proposed(before))


def test_a_user_that_is_there_is_used_and_told_what_it_lacks(tmp_path: Path) -> None:
    user = "[vipex]\nsecret = operators\nread = call,system\nwrite = all\n"
    text = f"[general]\nenabled=yes\ntimestampevents=yes\n{user}"
    plan = proposed(machine(manager__conf=text))
    assert f"{ETC}/manager.d/vipex.conf" not in {own.path for own in plan.own}
    assert f"{ETC}/manager.conf:6: [vipex] needs `read = system,call,agent,dialplan`" in plan.by_hand
    settings = settings_of(plan, tmp_path)
    assert settings.ami is not None
    assert settings.ami.secret.reveal() == "operators"


def test_ami_on_another_address_lets_that_address_in(tmp_path: Path) -> None:
    plan = proposed(machine(manager__conf="[general]\nenabled=yes\nbindaddr=10.1.2.3\nport=5039\n"))
    settings = settings_of(plan, tmp_path)
    assert settings.ami is not None
    assert (settings.ami.host, settings.ami.port) == ("10.1.2.3", 5039)
    after = carried_out(plan, machine(manager__conf="[general]\nenabled=yes\nbindaddr=10.1.2.3\nport=5039\n"))
    assert asterisk_reads(after, "manager.conf", "vipex", "permit") == [
        "10.1.2.3",
        "127.0.0.1/255.255.255.255",
    ]


def test_a_table_that_asterisk_writes_already_is_read_as_it_is(tmp_path: Path) -> None:
    table = (
        "[calls]\ntable = records\ncolumns = calldate, till, who, uid, lid, key\n"
        "values = '${CDR(start)}','${CDR(end)}','${CDR(channel)}','${CDR(uniqueid)}','${CDR(linkedid)}',"
        "'${CDR(ivr_digits)}'\n"
    )
    plan = proposed(machine(cdr_sqlite3_custom__conf=table))
    assert f"{ETC}/cdr_sqlite3_custom.conf" not in added(plan)
    cdr = settings_of(plan, tmp_path).cdr
    assert cdr is not None
    assert (cdr.source.reveal(), cdr.table) == ("sqlite:////var/log/asterisk/calls.db", "records")
    assert dict(cdr.columns) == {
        "start": "calldate", "end": "till", "channel": "who", "uniqueid": "uid", "linkedid": "lid",
        "ivr_digits": "key",
    }  # fmt: skip
    assert any("would also read accountcode, answer" in line for line in plan.by_hand)


@pytest.mark.parametrize(
    ("columns", "values", "why"),
    [
        ("a, b", "'${CDR(start)}','${CDR(channel)}'", "no column holds uniqueid"),
        ("a, b", "'${CDR(uniqueid)}','${CDR(channel)}'", "no column holds start or end"),
        ("a", "'${CDR(uniqueid)}','${CDR(channel)}'", "1 columns and 2 values"),
    ],
)
def test_a_table_that_the_bridge_cannot_read_is_told(columns: str, values: str, why: str) -> None:
    plan = proposed(
        machine(cdr_sqlite3_custom__conf=f"[master]\ntable=cdr\ncolumns={columns}\nvalues={values}\n")
    )
    assert any(why in line for line in plan.by_hand)
    assert "\n  #cdr:\n" in own(plan, str(PLACES.config))


def test_the_newer_form_of_a_table_is_understood(tmp_path: Path) -> None:
    text = "[master]\ntable=cdr\ncolumns=a,b,c\nfields = start(int64), Channel,uniqueid\n"
    cdr = settings_of(proposed(machine(cdr_sqlite3_custom__conf=text)), tmp_path).cdr
    assert cdr is not None
    assert dict(cdr.columns) == {"start": "a", "channel": "b", "uniqueid": "c"}


def test_a_module_that_is_not_there_is_told(tmp_path: Path) -> None:
    plan = proposed(PaperMachine(dict(PLAIN), modules=("cdr_csv",)))
    assert any(
        line.startswith("cdr_sqlite3_custom.so is not in /usr/lib/asterisk/modules") for line in plan.by_hand
    )
    assert settings_of(plan, tmp_path).cdr is None


def test_a_module_that_is_not_loaded_is_loaded_by_a_file_of_our_own() -> None:
    before = machine(modules__conf="[modules]\nautoload = no\nload => res_agi.so\n")
    after = carried_out(proposed(before), before)
    loads = asterisk_reads(after, "modules.conf", "modules", "load")
    assert loads == ["res_agi.so", "res_cdrel_custom.so", "cdr_sqlite3_custom.so", "cel_sqlite3_custom.so"]


def test_a_module_that_is_not_wanted_is_left_so_and_told() -> None:
    plan = proposed(machine(modules__conf="[modules]\nautoload = yes\nnoload = cdr_sqlite3_custom.so\n"))
    assert any(line.startswith(f"{ETC}/modules.conf:3: take out `noload") for line in plan.by_hand)
    assert f"{ETC}/modules.conf" not in added(plan)


def test_the_address_that_the_dialplan_has_is_kept(tmp_path: Path) -> None:
    before = machine(extensions__conf="[globals]\nVIPEX_AGI = agi://127.0.0.1:9573\n[x]\n")
    assert settings_of(proposed(before), tmp_path).agi.listen_port == 9573


def test_the_scripts_name_the_bridges_own_python() -> None:
    plan = proposed(machine())
    for name in ("vipex-lookup", "vipex-notify"):
        text = own(plan, f"/usr/share/asterisk/agi-bin/{name}")
        assert text.startswith("#!/opt/vipex-bridge/bin/python -I\n")
        assert text.partition("\n")[2] == shipped.texts()[name].partition("\n")[2]


def test_no_secret_is_shown_by_a_plan() -> None:
    assert "made-up" not in repr(proposed(machine()))


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, blacklist_characters="\x7f"), max_size=12)


@given(st.lists(TEXT.filter(str.strip), max_size=3), st.sampled_from([(), (3,), (2, 5)]), st.booleans())
def test_whatever_things_are_called_the_configuration_is_sound(
    trunks: list[str], lengths: tuple[int, ...], is_freepbx: bool
) -> None:
    clean = [f"PJSIP/{trunk.strip()}" for trunk in trunks if not any(0x7F <= ord(c) <= 0xA0 for c in trunk)]
    table = Table("/var/log/asterisk/master.db", "cdr", {"start": "it's: {#}", "pincode": None})
    choices = Choices(
        "Asterisk", AmiUser("127.0.0.1", 5038), "127.0.0.1:4573", Path("/run/x y/agi.sock"), table, None,
        Path("/var/spool/it's"), "Europe/Budapest", tuple(clean), lengths, Path("/var/lib/x/state.db"),
        is_freepbx,
    )  # fmt: skip
    text = text_of(choices).replace("!file secrets/ami-secret", "'x'")
    settings = load_text(text, Path("/nowhere/config.yaml"), {}).settings
    assert settings.recordings is not None
    assert settings.recordings.root == Path("/var/spool/it's")
    assert len(settings.numbers.trunks) == len(clean)
    assert settings.cdr is not None
    assert settings.cdr.columns["start"] == "it's: {#}"


@given(
    st.text(max_size=60),
    st.lists(st.sampled_from(['#include "a.conf"', '#include "b.conf"']), min_size=1, max_size=2),
)
def test_a_block_is_taken_out_again_without_a_trace(before: str, lines: list[str]) -> None:
    text = block(tuple(lines), before)
    assert without(before + text, text) == before
    assert text.removeprefix("\n").splitlines() == [BEGIN, *lines, END]


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_block_is_taken_out_of_a_file_that_was_edited_since(before: str, after: str) -> None:
    text = block(("#include x",), before)
    assert without(before + text + after, text) == before + after
    edited = "; new head\n" + before + "\n" + text.removeprefix("\n")
    assert without(edited, text) is not None
    assert BEGIN not in str(without(edited, text))


def test_a_block_that_was_changed_is_not_taken_for_ours() -> None:
    text = block(("#include x",), "")
    assert without(text.replace("x", "y"), text) is None


def test_modules_are_named() -> None:
    assert set(MODULES) <= found_in(machine()).modules
