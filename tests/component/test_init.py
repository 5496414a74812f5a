"""`init` and `init --undo` on files: what it writes, what it leaves, and every byte back."""

from __future__ import annotations

import os
import pty
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asterisk_tree import ETC, FREEPBX, PLAIN, snapshot, write_tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vipex_bridge.cli.main import main
from vipex_bridge.config.load import load
from vipex_bridge.setup.journal import WrittenFile, sha256
from vipex_bridge.setup.journal import load as load_journal
from vipex_bridge.setup.shipped import texts


@contextmanager
def tree(files: dict[str, str | bytes]) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vipex-init-"))
    try:
        write_tree(folder, files)
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def root() -> Iterator[Path]:
    with tree(dict(PLAIN)) as folder:
        yield folder


def init(root: Path, *arguments: str) -> int:
    return main(["init", "--root", str(root), *arguments])


def test_it_writes_all_that_a_bridge_needs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(root, "--yes") == 0
    said = capsys.readouterr().out
    secret = (root / "etc/vipex-bridge/secrets/ami-secret").read_text().strip()
    assert len(secret) >= 32
    assert secret not in said
    assert f"secret = {secret}\n" in (root / "etc/asterisk/manager.d/vipex.conf").read_text()
    loaded = load(root / "etc/vipex-bridge/config.yaml", {}).settings
    assert loaded.ami is not None
    assert loaded.ami.secret.reveal() == secret
    assert loaded.cdr is not None
    assert loaded.cdr.source.reveal() == f"sqlite:///{root.resolve()}/var/log/asterisk/master.db"
    assert loaded.exposed == ()
    for name in ("manager.d/vipex.conf", "../vipex-bridge/config.yaml", "../vipex-bridge/secrets/ami-secret"):
        assert stat.S_IMODE((root / "etc/asterisk" / name).stat().st_mode) == 0o640
    assert os.access(root / "usr/share/asterisk/agi-bin/vipex-lookup", os.X_OK)
    assert "asterisk -rx 'manager reload'" in said


@pytest.mark.parametrize("files", [PLAIN, FREEPBX])
def test_it_changes_no_line_that_was_there(files: dict[str, str | bytes]) -> None:
    with tree(dict(files)) as root:
        before = snapshot(root)
        assert init(root, "--yes") == 0
        after = snapshot(root)
        for name, (kind, mode, content) in before.items():
            assert after[name][:2] == (kind, mode)
            assert after[name][2].startswith(content)
        if files is FREEPBX:
            changed = {Path(name).name for name in before if after[name][2] != before[name][2]}
            # Of the two tables' files FreePBX knows nothing.
            assert all(name.endswith("_custom.conf") for name in changed), changed


def test_a_dry_run_writes_nothing(root: Path) -> None:
    before = snapshot(root)
    assert init(root, "--dry-run") == 0
    assert snapshot(root) == before
    assert init(root, "--yes") == 0
    written = snapshot(root)
    assert init(root, "--undo", "--dry-run") == 0
    assert snapshot(root) == written


def test_a_second_run_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(root, "--yes") == 0
    first = snapshot(root)
    capsys.readouterr()
    assert init(root, "--yes") == 0
    assert snapshot(root) == first
    assert "everything is in place" in capsys.readouterr().out


def test_where_nobody_can_be_asked_it_wants_a_yes(root: Path) -> None:
    before = snapshot(root)
    command = [sys.executable, "-m", "vipex_bridge.cli.main", "init", "--root", str(root)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (
        2,
        "vipex-bridge: nothing was written: say --yes where nobody can be asked\n",
    )
    assert snapshot(root) == before


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\n", 1), (b"y\n", 0)])
def test_on_a_terminal_it_asks(root: Path, answer: bytes, code: int) -> None:
    before = snapshot(root)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vipex_bridge.cli.main", "init", "--root", str(root)]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    os.close(theirs)
    os.write(ours, answer)
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == code
    os.close(ours)
    assert "Write this? [y/N]" in said
    assert (snapshot(root) == before) is (code == 1)


# -- undo -------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [PLAIN, FREEPBX, {f"{ETC}/asterisk.conf": ""}])
def test_undo_takes_back_every_byte(files: dict[str, str | bytes]) -> None:
    with tree(dict(files)) as root:
        before = snapshot(root)
        assert init(root, "--yes") == 0
        assert snapshot(root) != before
        assert init(root, "--undo") == 0
        assert snapshot(root) == before
        assert init(root, "--undo") == 0


LINE = st.sampled_from(
    ["[general]", "[master]", "[csv]", "[vipex]", "enable = yes", "enabled=no", "; remark", "", ";-- open",
     "--;", "x", "#include more.conf", '#include "manager.d/*.conf"', "columns => a,b", "values => 'x'",
     "unanswered=no", "\xe9\t"]
)  # fmt: skip
CONTENT = st.builds(
    lambda lines, newline, end: newline.join(lines) + end,
    st.lists(LINE, max_size=8), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n", "\n\n"]),
).map(lambda text: text.encode("latin-1"))  # fmt: skip
NAMES = (
    "manager.conf", "extensions.conf", "cdr.conf", "cel.conf", "modules.conf", "cdr_sqlite3_custom.conf",
    "cel_sqlite3_custom.conf", "manager.d/other.conf", "more.conf", "cdr_custom.conf", "manager_custom.conf",
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), CONTENT), st.booleans())
def test_whatever_the_files_hold_undo_takes_back_every_byte(
    contents: dict[str, bytes], is_freepbx: bool
) -> None:
    files: dict[str, str | bytes] = {
        f"{ETC}/asterisk.conf": "",
        **{f"{ETC}/{n}": c for n, c in contents.items()},
    }
    if is_freepbx:
        files["/etc/freepbx.conf"] = ""
    with tree(files) as root:
        before = snapshot(root)
        assert init(root, "--yes") == 0
        written = snapshot(root)
        for name, (kind, mode, content) in before.items():
            assert written[name][:2] == (kind, mode)
            assert written[name][2].startswith(content)
        assert init(root, "--yes") == 0
        assert snapshot(root) == written
        assert init(root, "--undo") == 0
        assert snapshot(root) == before


def test_undo_leaves_what_the_operator_changed_since(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(root, "--yes") == 0
    config = root / "etc/vipex-bridge/config.yaml"
    config.write_text(config.read_text() + "# mine\n")
    cdr = root / "etc/asterisk/cdr.conf"
    cdr.write_text("; my head\n" + cdr.read_text() + "[mine]\nx = 1\n")
    capsys.readouterr()
    assert init(root, "--undo") == 1
    said = capsys.readouterr().out
    assert config.read_text().endswith("# mine\n")
    assert f"{config.resolve()}: was changed since" in said
    assert cdr.read_text() == "; my head\n" + PLAIN[f"{ETC}/cdr.conf"] + "[mine]\nx = 1\n"
    assert not (root / "etc/asterisk/vipex_cdr.conf").exists()
    assert init(root, "--undo") == 1
    config.unlink()
    assert init(root, "--undo") == 0
    assert not (root / "etc/vipex-bridge").exists()


def test_a_block_that_was_changed_is_left_with_a_copy_of_the_file_before(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(root, "--yes") == 0
    cdr = root / "etc/asterisk/cdr.conf"
    cdr.write_text(cdr.read_text().replace('"vipex_cdr.conf"', '"other.conf"'))
    assert init(root, "--undo") == 1
    said = next(line for line in capsys.readouterr().out.splitlines() if "our lines were changed" in line)
    assert Path(said.rpartition(" ")[2]).read_text() == PLAIN[f"{ETC}/cdr.conf"]
    assert '"other.conf"' in cdr.read_text()


LIMITED = """
import resource, sys
from vipex_bridge.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("most_bytes", [0, 100, 500, 900, 1_500, 4_000, 6_000, 8_000, 10_000, 11_000])
def test_an_init_that_broke_off_is_taken_back_whole(root: Path, most_bytes: int) -> None:
    """No file may grow beyond a limit, as on a disk that is full: each of them breaks it off elsewhere."""
    before = snapshot(root)
    command = [sys.executable, "-B", "-c", LIMITED, str(most_bytes), "init", "--yes", "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "cannot be written (File too large)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert init(root, "--undo") == 0
    assert snapshot(root) == before


def test_an_init_that_broke_off_is_finished_by_the_next(root: Path) -> None:
    command = [sys.executable, "-B", "-c", LIMITED, "10000", "init", "--yes", "--root", str(root)]
    before = snapshot(root)
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 1
    assert init(root, "--yes") == 0
    assert load(root / "etc/vipex-bridge/config.yaml", {}).settings.cdr is not None
    assert init(root, "--undo") == 0
    assert snapshot(root) == before


def test_a_block_of_which_only_half_was_written_is_taken_back(root: Path) -> None:
    before = snapshot(root)
    assert init(root, "--yes") == 0
    cdr = root / "etc/asterisk/cdr.conf"
    cdr.write_bytes(cdr.read_bytes()[:-30])
    assert init(root, "--undo") == 0
    assert snapshot(root) == before


def test_files_that_were_there_are_left_and_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = {"etc/asterisk/extensions_vipex.conf": "; mine\n", "etc/vipex-bridge/config.yaml": "clients:\n"}
    for name, text in mine.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    before = snapshot(root)
    assert init(root, "--yes") == 0
    said = capsys.readouterr().out
    for name, text in mine.items():
        assert (root / name).read_text() == text
        told = f"{(root / name).resolve()} is there already, and not from init"
        [line] = [line for line in said.splitlines() if line.startswith(f"  {told}")]
        assert line.endswith(": it is left as it is")
    secret = (root / "etc/vipex-bridge/secrets/ami-secret").resolve()
    assert f"write `username: vipex` and `secret: !file {secret}` under asterisk.ami: it is left" in line
    assert init(root, "--undo") == 0
    assert snapshot(root) == before


@pytest.fixture
def packaged(root: Path) -> Path:
    """The same machine with the Debian package on it, which brings the example as the configuration."""
    config = root / "etc/vipex-bridge/config.yaml"
    config.parent.mkdir()
    config.write_text(texts()["config.yaml"], "utf-8")
    config.chmod(0o600)
    return root


def test_the_packages_example_becomes_the_configuration_and_is_put_back(
    packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(packaged)
    assert init(packaged, "--yes") == 0
    assert "config.yaml (the bridge's configuration), in place of the example" in capsys.readouterr().out
    loaded = load(packaged / "etc/vipex-bridge/config.yaml", {}).settings
    assert loaded.ami is not None
    user = (packaged / "etc/asterisk/manager.d/vipex.conf").read_text()
    assert f"secret = {loaded.ami.secret.reveal()}\n" in user
    after = snapshot(packaged)
    assert init(packaged, "--yes") == 0
    assert snapshot(packaged) == after
    assert init(packaged, "--undo") == 0
    assert snapshot(packaged) == before


def test_an_example_that_was_edited_since_the_init_stays(packaged: Path) -> None:
    example = (packaged / "etc/vipex-bridge/config.yaml").read_bytes()
    assert init(packaged, "--yes") == 0
    config = packaged.resolve() / "etc/vipex-bridge/config.yaml"
    config.write_bytes(config.read_bytes() + b"# mine\n")
    assert init(packaged, "--yes") == 0
    assert config.read_bytes().endswith(b"# mine\n")
    assert init(packaged, "--undo") == 1
    assert config.read_bytes().endswith(b"# mine\n")
    kept = [file.read_bytes() for file in (config.parent / "init").iterdir()]
    assert example in kept


def test_an_undo_where_the_configuration_was_deleted_keeps_what_it_replaced(
    packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = packaged.resolve() / "etc/vipex-bridge/config.yaml"
    example = config.read_bytes()
    assert init(packaged, "--yes") == 0
    config.unlink()
    for how in (["--dry-run"], []):
        capsys.readouterr()
        assert init(packaged, "--undo", *how) == 0
        [said] = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{config}: ")]
        told, _, copy = said.rpartition(" ")
        assert told == f"{config}: is gone already: what it replaced is"
        assert Path(copy).read_bytes() == example
    assert not config.exists()
    # Nor does a later init or undo take it away.
    assert init(packaged, "--yes") == 0
    assert init(packaged, "--undo") == 0
    assert Path(copy).read_bytes() == example


def test_an_undo_without_the_copy_does_not_say_that_all_is_as_before(
    packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = packaged.resolve() / "etc/vipex-bridge/config.yaml"
    example = config.read_bytes()
    assert init(packaged, "--yes") == 0
    ours = config.read_bytes()
    [copy] = [file for file in (config.parent / "init").iterdir() if file.read_bytes() == example]
    copy.unlink()
    capsys.readouterr()
    assert init(packaged, "--undo") == 0
    assert f"{config}: is left as it is: there is no copy of what it replaced\n" in capsys.readouterr().out
    assert config.read_bytes() == ours


@pytest.mark.parametrize("most_bytes", [900, 4_000, 6_000, 8_000, 10_000, 11_000, 14_000])
def test_an_init_over_an_example_that_broke_off_is_finished_or_taken_back(
    packaged: Path, most_bytes: int
) -> None:
    before = snapshot(packaged)
    command = [sys.executable, "-B", "-c", LIMITED, str(most_bytes), "init", "--yes", "--root", str(packaged)]
    subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert init(packaged, "--undo") == 0
    assert snapshot(packaged) == before
    subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert init(packaged, "--yes") == 0
    assert load(packaged / "etc/vipex-bridge/config.yaml", {}).settings.cdr is not None
    assert init(packaged, "--undo") == 0
    assert snapshot(packaged) == before


def test_a_newer_version_of_our_own_file_replaces_it_and_an_edited_one_stays(root: Path) -> None:
    before = snapshot(root)
    assert init(root, "--yes") == 0
    journal = load_journal(root.resolve() / "etc/vipex-bridge/init")
    routines = root.resolve() / "etc/asterisk/extensions_vipex.conf"
    now = routines.read_bytes()
    routines.write_bytes(b"; of an earlier version\n")
    journal.files[routines] = WrittenFile(routines, sha256(b"; of an earlier version\n"))
    journal.save()
    lookup = root / "usr/share/asterisk/agi-bin/vipex-lookup"
    lookup.write_text("#!/bin/sh\n")
    assert init(root, "--yes") == 0
    assert routines.read_bytes() == now
    assert lookup.read_text() == "#!/bin/sh\n"
    lookup.unlink()
    assert init(root, "--undo") == 0
    assert snapshot(root) == before


def test_a_link_leads_nowhere_outside_the_root(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "extensions.conf"
    outside.write_text("; not to be touched\n")
    inside = root / "etc/asterisk/extensions.conf"
    inside.unlink()
    inside.symlink_to(outside)
    before = snapshot(root)
    assert init(root, "--yes") == 0
    assert outside.read_text() == "; not to be touched\n"
    assert init(root, "--undo") == 0
    assert snapshot(root) == before


def test_a_damaged_journal_is_told_in_a_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(root, "--yes") == 0
    (root / "etc/vipex-bridge/init/journal.json").write_text("{")
    assert init(root, "--undo") == 1
    assert "journal.json is damaged" in capsys.readouterr().err


def test_a_configuration_elsewhere_has_its_things_beside_it(root: Path, tmp_path: Path) -> None:
    before = snapshot(root)
    config = tmp_path / "mine/config.yaml"
    assert init(root, "--yes", "--config", str(config)) == 0
    assert load(config, {}).settings.store.reveal() == f"sqlite:///{tmp_path}/mine/state.db"
    assert not (root / "etc/vipex-bridge").exists()
    assert init(root, "--undo", "--config", str(config)) == 0
    assert snapshot(root) == before
    assert not config.parent.exists()


def test_without_an_asterisk_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "--yes") == 1
    assert "there is no Asterisk here" in capsys.readouterr().err
    assert init(tmp_path / "none", "--yes") == 1
    assert "is no folder" in capsys.readouterr().err
