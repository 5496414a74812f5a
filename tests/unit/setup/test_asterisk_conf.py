"""Asterisk's configuration files, read as Asterisk reads them."""

from __future__ import annotations

from asterisk_tree import PaperMachine
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.setup.conf import Conf, is_true, read, uncommented


def conf(main: str, **others: str) -> Conf:
    files = {"/etc/asterisk/main.conf": main}
    files |= {f"/etc/asterisk/{name.replace('__', '/')}.conf": text for name, text in others.items()}
    return read("/etc/asterisk/main.conf", "/etc/asterisk", PaperMachine(files))


def test_settings_stand_in_sections_with_their_places() -> None:
    read_conf = conf("; a head\n[general]\n a = 1 ; one\nb => two\n\n[other]\na=3\n")
    assert [(s.key, s.value, s.line) for s in read_conf.settings("general")] == [
        ("a", "1", 3),
        ("b", "two", 4),
    ]
    assert read_conf.value("OTHER", "A") == "3"
    assert read_conf.setting("general", "b") is not None
    assert [s.place for s in read_conf.settings("other")] == ["/etc/asterisk/main.conf:7"]


def test_comments_end_a_line_unless_they_are_escaped() -> None:
    assert conf("[a]\nx = one\\;two;three\n").value("a", "x") == "one\\;two"


def test_block_comments_go_over_lines_and_nest() -> None:
    text = "[a]\nx = 1 ;-- all this\ny = 2\n;-- and this --;\nz = 3 --; \nw = 4\n;------ a rule\nv = 5\n"
    read_conf = conf(text)
    assert [(s.key, s.value) for s in read_conf.settings("a")] == [("x", "1"), ("w", "4"), ("v", "5")]


def test_a_block_comment_without_an_end_is_a_fault_as_nothing_after_it_would_count() -> None:
    assert "has no end" in conf("[a]\nx = 1\n;-- begun\n").faults[0]
    assert not conf("[a]\nx = 1 ;-- begun --;\n").faults


def test_a_template_counts_only_where_it_is_inherited() -> None:
    read_conf = conf("[t](!)\nx = 1\ny = 1\n[a](t)\ny = 2\n[b](a)\n")
    assert not read_conf.has("t")
    assert [(s.key, s.value) for s in read_conf.settings("a")] == [("x", "1"), ("y", "1"), ("y", "2")]
    assert read_conf.value("b", "x") == "1"


def test_templates_that_inherit_each_other_end() -> None:
    assert conf("[a](b)\nx = 1\n[b](a)\ny = 1\n").value("a", "y") == "1"


def test_an_addition_adds_and_one_to_nothing_is_a_fault() -> None:
    assert conf("[a]\nx = 1\n[b]\n[a](+)\ny = 2\n").value("a", "y") == "2"
    assert "[a], which is not there" in conf("[a](+)\ny = 2\n").faults[0]


def test_what_stands_in_no_section_is_a_fault() -> None:
    [fault] = conf("; nothing\nvalues = 'x'\n").faults
    assert fault.startswith("/etc/asterisk/main.conf:2: ")


def test_includes_are_read_where_they_stand() -> None:
    read_conf = conf(
        '[a]\nx = 1\n#include "more.conf"\nz = 3\n#tryinclude <gone.conf>\n', more="y = 2\n[b]\nq = 1\n"
    )
    assert [(s.key, s.value) for s in read_conf.settings("a")] == [("x", "1"), ("y", "2"), ("z", "3")]
    assert read_conf.value("b", "q") == "1"
    assert [include.target for include in read_conf.includes] == [
        "/etc/asterisk/more.conf",
        "/etc/asterisk/gone.conf",
    ]


def test_a_glob_includes_in_the_order_of_names_and_covers_what_is_not_there_yet() -> None:
    read_conf = conf("[a]\n#include sub/*.conf\n", sub__b="x = b\n", sub__a="x = a\n")
    assert [s.value for s in read_conf.settings("a")] == ["a", "b"]
    assert read_conf.include_of("/etc/asterisk/sub/new.conf") is not None
    assert read_conf.include_of("/etc/asterisk/new.conf") is None
    assert read_conf.include_of("/etc/asterisk/sub/deep/new.conf") is None


def test_files_that_include_each_other_many_times_end_soon_and_are_told() -> None:
    """Eight includes in each of ten levels would be a thousand million files."""
    text = "[a]\nx = 1\n" + '#include "main.conf"\n#include more.conf\n' * 4
    read_conf = conf(text, more=text)
    assert read_conf.value("a", "x") == "1"
    assert [fault for fault in read_conf.faults if "include each other" in fault]


def test_a_file_that_includes_itself_ends() -> None:
    assert conf("[a]\nx = 1\n#include main.conf\n").value("a", "x") == "1"


def test_exec_is_not_run_and_changes_nothing() -> None:
    assert conf("[a]\n#exec /bin/echo x=2\ny = 1\n").value("a", "y") == "1"


def test_truth_is_asterisks() -> None:
    assert all(map(is_true, ("yes", "True", "y", "t", "1", "ON")))
    assert not any(map(is_true, ("no", "off", "0", "", "2", None)))


WORD = st.text(st.sampled_from("abcxyz_09-"), min_size=1, max_size=8)
VALUE = (
    st.text(st.sampled_from("abc 019,.'\"${}()=>*?#"), max_size=12)
    .map(str.strip)
    .filter(lambda value: not value.startswith(">"))
)
NOISE = st.sampled_from(["", "; a remark", ";", "  ; [none] x = 1", ";-- [none]\nx = 1\n--;", "\t"])


@given(
    st.lists(st.tuples(WORD, st.lists(st.tuples(WORD, VALUE, NOISE), max_size=4)), min_size=1, max_size=4),
    NOISE,
    st.data(),
)
def test_whatever_is_written_is_read_again(
    sections: list[tuple[str, list[tuple[str, str, str]]]], head: str, data: st.DataObject
) -> None:
    lines, wanted, files = [head], [], {}
    for name, settings in sections:
        lines.append(f" [{name}] ")
        for key, value, noise in settings:
            arrow = data.draw(st.sampled_from(["=", " = ", "=>", " => "]))
            wanted.append((name.lower(), key, value))
            said = f"{key}{arrow}{value}\n{noise}"
            if data.draw(st.booleans()):
                lines.append(said)
            else:
                files[f"included{len(wanted)}"] = said
                lines.append(f'#include "included{len(wanted)}.conf"')
    read_conf = conf("\n".join(lines), **files)
    found = [(c.name.lower(), s.key, s.value) for c in read_conf.categories for s in c.settings]
    assert sorted(found) == sorted(wanted)
    assert not read_conf.faults


@given(st.text(st.sampled_from(";-\\ ab[]=\n"), max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    conf(text)
    for line in text.split("\n"):
        shown, depth = uncommented(line, 0)
        assert len(shown) <= len(line)
        assert uncommented(shown, 0) == (shown, 0) or ";" in shown or depth


@given(st.text(st.sampled_from("ab =[]"), max_size=20), st.text(max_size=20).filter(lambda t: "\n" not in t))
def test_what_stands_after_a_semicolon_is_never_seen(said: str, remark: str) -> None:
    shown, depth = uncommented(f"{said}; {remark}", 0)
    assert (shown, depth) == (said.strip(), 0)
