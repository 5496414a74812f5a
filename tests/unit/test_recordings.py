"""Recordings: found wherever Asterisk sees them, never outside the root, and only when complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge import recordings
from vipex_bridge.config.settings import Recordings
from vipex_bridge.errors import RecordingError
from vipex_bridge.recordings import FileState, are_whole, chosen, earlier_of, find, settled


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A recordings folder with one recording as FreePBX places it, and a secret beside the folder."""
    folder = tmp_path / "monitor"
    day = folder / "2019" / "12" / "03"
    day.mkdir(parents=True)
    (day / "out-1.wav").write_bytes(b"RIFF" + bytes(100))
    (folder / "plain.wav").write_bytes(b"RIFF")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    return folder


def test_a_recording_is_found_by_its_own_path(root: Path) -> None:
    file = root / "2019/12/03/out-1.wav"
    assert find(root, str(file)) == file
    assert find(root, "2019/12/03/out-1.wav") == file
    assert find(root, "plain.wav") == root / "plain.wav"


@pytest.mark.parametrize(
    "seen_by_asterisk",
    [
        "/var/spool/asterisk/monitor/2019/12/03/out-1.wav",
        "/mnt/2019/12/03/out-1.wav",
        "monitor/2019/12/03/out-1.wav",
    ],
)
def test_a_recording_is_found_under_the_path_of_another_mount(root: Path, seen_by_asterisk: str) -> None:
    assert find(root, seen_by_asterisk) == root / "2019/12/03/out-1.wav"


def test_the_longest_end_of_the_path_wins(root: Path) -> None:
    (root / "out-1.wav").write_bytes(b"another")
    assert find(root, "/mnt/2019/12/03/out-1.wav") == root / "2019/12/03/out-1.wav"


@pytest.mark.parametrize(
    "name",
    ["", "/", ".", "missing.wav", "2019/12", "../secret.wav", "/mnt/../secret.wav", "2019/../plain.wav",
     "plain.wav\0", "x" * 5000, "/var/spool/asterisk/monitor/"],
)  # fmt: skip
def test_what_is_no_recording_is_not_found(root: Path, name: str) -> None:
    assert find(root, name) is None


def test_a_path_out_of_the_root_gives_nothing(root: Path) -> None:
    assert find(root, str(root.parent / "secret.wav")) is None
    assert find(root, "/etc/passwd") is None


def test_a_link_out_of_the_root_gives_nothing(root: Path) -> None:
    (root / "file.wav").symlink_to(root.parent / "secret.wav")
    (root / "folder").symlink_to(root.parent)
    (root / "loop.wav").symlink_to(root / "loop.wav")
    (root / "inside.wav").symlink_to(root / "plain.wav")
    assert find(root, "file.wav") is None
    assert find(root, "folder/secret.wav") is None
    assert find(root, "loop.wav") is None
    assert find(root, "inside.wav") == root / "plain.wav"


def test_a_folder_beside_the_root_of_a_like_name_is_outside(root: Path) -> None:
    sibling = root.with_name("monitor-old")
    sibling.mkdir()
    (sibling / "old.wav").write_bytes(b"old")
    assert find(root, str(sibling / "old.wav")) is None


def test_a_pipe_is_no_recording(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    assert find(root, "pipe.wav") is None


def test_a_root_that_is_a_link_or_is_not_there(root: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    assert find(linked, str(linked / "plain.wav")) == root / "plain.wav"
    assert find(tmp_path / "nothing", "plain.wav") is None


SOUNDS = frozenset({b"RIFF plain", b"RIFF of the day"})
PARTS = (
    "", ".", "..", "...", "~", "monitor", "plain.wav", "day", "out-1.wav", "secret.wav", "link.wav", "up",
    "etc", "pipe.wav", "loop", "inner", "empty.wav", "plain.wav\0", "plain.wav\n", "\ud800",
)  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """A folder with two recordings and every way out of it that a file system has."""
    base = tmp_path_factory.mktemp("tree")
    folder = base / "monitor"
    (folder / "day").mkdir(parents=True)
    (folder / "plain.wav").write_bytes(b"RIFF plain")
    (folder / "day" / "out-1.wav").write_bytes(b"RIFF of the day")
    (base / "secret.wav").write_bytes(b"secret")
    (folder / "link.wav").symlink_to("../secret.wav")
    (folder / "up").symlink_to("..")
    (folder / "etc").symlink_to("/etc")
    (folder / "loop").symlink_to("loop")
    (folder / "inner").symlink_to("day")
    (folder / "empty.wav").touch()
    os.mkfifo(folder / "pipe.wav")
    return Recordings(folder)


@given(
    parts=st.lists(st.sampled_from(PARTS) | st.text(st.characters(), max_size=8), max_size=8),
    below=st.sampled_from(["", "/", "/var/spool/asterisk/monitor/", "root", "base"]),
)
def test_whatever_the_name_only_recordings_inside_the_root_are_opened(
    tree: Recordings, parts: list[str], below: str
) -> None:
    start = {"root": f"{tree.root}/", "base": f"{tree.root.parent}/"}.get(below, below)
    name = start + "/".join(parts)
    try:
        with recordings.opened(tree, name) as file:
            assert file.read() in SOUNDS
    except RecordingError as error:
        assert str(error).isprintable()
        assert recordings.trouble(tree, name) == str(error)
    else:
        assert Path(name).name in ("plain.wav", "out-1.wav")


@given(tail=st.sampled_from(["plain.wav", "day/out-1.wav", "inner/out-1.wav"]), data=st.data())
def test_a_recording_is_opened_wherever_asterisk_sees_it(
    tree: Recordings, tail: str, data: st.DataObject
) -> None:
    above = data.draw(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=4))
    with recordings.opened(tree, "/".join(["", *above, tail])) as file:
        assert file.read() in SOUNDS


def test_a_file_has_settled_when_it_kept_its_size_for_a_second() -> None:
    first = FileState(10.0, 100)
    assert not settled(first, None)
    assert not settled(FileState(10.9, 100), first)
    assert settled(FileState(11.0, 100), first)
    assert not settled(FileState(11.0, 120), first)


def test_an_empty_or_missing_file_has_not_settled() -> None:
    assert not settled(FileState(20.0, 0), FileState(10.0, 0))
    assert not settled(FileState(20.0, None), FileState(10.0, None))


def test_quick_looks_in_between_do_not_put_off_settling() -> None:
    earlier = None
    outcomes = []
    for at, size in [(0.0, 10), (0.4, 20), (0.8, 20), (1.2, 20), (1.5, 20)]:
        state = FileState(at, size)
        outcomes.append(settled(state, earlier))
        earlier = earlier_of(state, earlier)
    assert outcomes == [False, False, False, False, True]


def test_a_clock_set_back_only_makes_it_wait_a_second_more() -> None:
    earlier = earlier_of(FileState(5.0, 10), FileState(100.0, 10))
    assert settled(FileState(6.0, 10), earlier)


def test_a_look_tells_the_size_at_its_time(root: Path) -> None:
    assert recordings.look(root, "plain.wav", 5.0) == FileState(5.0, 4)
    assert recordings.look(root, "missing.wav", 5.0) == FileState(5.0, None)


def test_what_cannot_be_sent_is_told_with_a_reason(root: Path) -> None:
    (root / "empty.wav").touch()

    def trouble(name: str, max_size_bytes: int = 100) -> str:
        return recordings.trouble(Recordings(root, max_size_bytes=max_size_bytes), name) or ""

    assert trouble("plain.wav") == ""
    assert "no such file" in trouble("missing.wav")
    assert "empty" in trouble("empty.wav")
    assert "max_size (103)" in trouble("2019/12/03/out-1.wav", 103)
    assert trouble("2019/12/03/out-1.wav", 104) == ""
    assert "asterisk.recordings" in (recordings.trouble(None, "plain.wav") or "")


def test_a_device_is_no_recording() -> None:
    devices = Recordings(Path("/dev"))
    assert find(devices.root, "zero") is None
    with pytest.raises(RecordingError, match="no regular file"):
        recordings.opened_at(devices, Path("/dev/zero"))


@pytest.mark.parametrize(
    ("converted", "files", "taken"),
    [
        (None, ["call.wav"], "call.wav"),
        (None, ["call.wav", "call.mp3"], "call.wav"),
        (None, ["call.mp3"], "call.mp3"),
        ("mp3", ["call.wav"], "call.wav"),
        ("mp3", ["call.wav", "call.mp3"], "call.mp3"),
        ("ogg", ["call.mp3", "call.ogg"], "call.ogg"),
        ("mp3", ["call.txt", "other.mp3"], "call.wav"),
        ("mp3", [], "call.wav"),
    ],
)
def test_what_a_converter_made_is_taken(
    root: Path, converted: str | None, files: list[str], taken: str
) -> None:
    for file in files:
        (root / file).write_bytes(b"sound")
    assert chosen(Recordings(root, converted=converted), "/elsewhere/call.wav") == f"/elsewhere/{taken}"


def test_an_empty_file_of_a_converter_is_not_taken_yet(root: Path) -> None:
    (root / "call.wav").write_bytes(b"sound")
    (root / "call.mp3").touch()
    assert chosen(Recordings(root, converted="mp3"), "call.wav") == "call.wav"


def test_a_recording_is_whole_once_the_converter_is_done(root: Path) -> None:
    options, seen = Recordings(root, converted="mp3"), dict[str, FileState]()
    (root / "call.wav").write_bytes(b"sound")
    assert [are_whole(options, ["call.wav"], seen, at) for at in (0.0, 5.0)] == [False, False]
    (root / "call.mp3").write_bytes(b"so")
    assert not are_whole(options, ["call.wav"], seen, 6.0)
    (root / "call.mp3").write_bytes(b"sound")
    assert [are_whole(options, ["call.wav"], seen, at) for at in (7.0, 7.9, 8.0)] == [False, False, True]
    assert are_whole(options, [], {}, 0.0)


@given(st.text(max_size=30))
def test_no_name_leads_a_converters_file_out_of_the_root(name: str) -> None:
    root = Path("/proc/self/fdinfo")
    file = find(root, chosen(Recordings(root, converted="mp3"), name))
    assert file is None or file.is_relative_to(root.resolve())
