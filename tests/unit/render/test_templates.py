"""What goes wrong in a template is told with its line, before it can do harm."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from vipex_bridge.config.settings import PARAMETERS, ApiKey, Client, Secret
from vipex_bridge.errors import RenderError
from vipex_bridge.render.fields import RecordingMark
from vipex_bridge.render.slots import Slots
from vipex_bridge.render.templates import MAX_CHARACTERS, faults, fill_in, place_of

NOTIFY = Client(
    "ring", "notify", "https://crm.example/calls", "POST", ("id",), on=frozenset({"arrival", "ringing"})
)
BILLING = Client("billing", "call_end", "https://b.example", "POST", PARAMETERS["call_end"])


def _text(source: str, place: str = "json", kind: str = "notify", **fields: object) -> str:
    slots = Slots(lambda: "vipex" + secrets.token_hex(16))
    text = fill_in(source, place, kind, {"id": 7, "src": 'a"b', **fields}, "ringing", {"k": "v"}, slots)
    slots.settled(text)
    return text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\n{{ foo }}", "line 2: unknown name 'foo'"),
        ("{% if id == 0 %}\n{{ foo }}{% endif %}", "line 2: unknown name 'foo'"),
        ("\n\n{{ call.foo }}", "line 3: .*'foo'"),
        ("\n{{ src | nofilter }}", "line 2: No filter named 'nofilter'"),
        ("\n{% if %}", "line 2: "),
        ("{{ 1 / 0 }}", "line 1: ZeroDivisionError"),
        ("{{ src.__class__ }}", "line 1: access to attribute '__class__'"),
        ("{{ '{0.__class__}'.format(src) }}", "'__class__'"),
        ("{{ call.update(x=1) }}", "'update'"),
        ("\n{{ call }}", r"line 2: a dict .* \| tojson"),
        ("{{ range }}", "cannot be inserted"),
        ("{{ src | safe }}", "No filter named 'safe'"),
        ("\n{% macro m() %}{% endmacro %}", "line 2: `macro`"),
        ("{% filter lower %}x{% endfilter %}", "`filter`"),
        ("{% set x %}y{% endset %}", "`set ... endset`"),
        ("{% include 'x' %}", "`include`"),
        ('\n{"a": {{ src }}}', "outside quotes"),
        ('{"a": "{{ src | tojson }}"}', "its own quotes"),
        ('"{{ api_key | upper }}"', "api_key can only be inserted as it is"),
        ("\n{{ 'a' * 100 }}", "line 2: `\\*`"),
        ("{{ 10 ** 10 }}", r"`\*\*`"),
        ("\n{% for i in range(100001) %}{% endfor %}", "line 2: .*range"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
        ('"\x01"', "control character"),
        ("{{ " + "1" * 5000 + " }}", "cannot be compiled: Exceeds the limit"),
        (
            "{% for i in [1] %}" * 25 + "{% endfor %}" * 25,
            "too many statically nested blocks: write it flatter",
        ),
    ],
)
def test_a_faulty_template_is_told_with_its_line(source: str, message: str) -> None:
    with pytest.raises(RenderError, match=message) as told:
        _text(source)
    assert "\n" not in str(told.value)


def test_a_template_that_gives_without_end_is_stopped() -> None:
    loop = "{% for i in range(99999) %}" * 2 + "0123456789" + "{% endfor %}" * 2
    with pytest.raises(RenderError, match=str(MAX_CHARACTERS)):
        _text(loop, "text")


def test_plain_insertion_of_each_kind_of_value() -> None:
    assert _text('{"a": {{ id }}, "b": "{{ id }}", "c": "{{ dst }}", "d": {{ dst }}}') == (
        '{"a": 7, "b": "7", "c": "", "d": null}'
    )
    assert _text('{"a": {{ id == 7 }}, "b": {{ "null" if dst is none }}}') == '{"a": true, "b": null}'
    assert _text("[{{ dst }}][{{ id }}]", "xml") == "[][7]"


def test_tojson_gives_whole_literals_with_the_usual_separators() -> None:
    given = '{{ src | tojson }} {{ [id, "<é>"] | tojson }} {{ args | tojson }} {{ dst | tojson }}'
    assert _text(given) == '"a\\"b" [7, "<é>"] {"k": "v"} null'


def test_tojson_is_escaped_where_the_place_is_not_json() -> None:
    assert _text("{{ [src] | tojson }}", "url") == "%5B%22a%5C%22b%22%5D"
    assert _text("<a>{{ src | tojson }}</a>", "xml") == "<a>&quot;a\\&quot;b&quot;</a>"


def test_an_argument_that_was_not_given_is_unknown_not_a_fault() -> None:
    assert _text('"{{ args.k }}|{{ args.other }}"') == '"v|"'


def test_a_recordings_path_is_not_to_be_had() -> None:
    mark = RecordingMark("/var/spool/x.wav")
    assert "spool" not in _text("{{ monitor_file }}{{ sub_cdrs | string }}", "text", "call_end",
                                monitor_file=mark, sub_cdrs=[{"monitor_file": mark}])  # fmt: skip
    with pytest.raises(RenderError, match="unsafe"):
        _text("{{ monitor_file._reference }}", "text", "call_end", monitor_file=mark)


@pytest.mark.parametrize(
    ("content_type", "place"),
    [
        ("application/json", "json"), ("Application/JSON; charset=utf-8", "json"), ("text/json", "json"),
        ("application/problem+json", "json"), ("text/xml", "xml"), ("application/soap+xml", "xml"),
        ("text/html", "xml"), ("application/x-www-form-urlencoded", "form"), ("text/plain", "text"),
    ],
)  # fmt: skip
def test_the_content_type_says_how_to_escape(content_type: str, place: str) -> None:
    assert place_of(content_type) == place


def test_check_finds_what_only_shows_in_rendering() -> None:
    client = replace(NOTIFY, query="a={{ foo }}", body='{"agent": {{ exten | tojson }}, "x": }')
    assert [key for key, _ in faults(client)] == ["query", "body", "body", "body"]
    assert "unknown name 'foo'" in faults(client)[0][1]
    assert faults(replace(NOTIFY, body="{{ exten.foo }}", content_type="text/plain")) == [
        ("body", "line 1: 'None' has no attribute 'foo'"),
        ("body", "line 1: 'str object' has no attribute 'foo'"),
    ]


def test_check_finds_json_that_is_nested_too_deeply() -> None:
    [(key, what)] = faults(replace(BILLING, body="{% for i in range(99999) %}[{% endfor %}"))
    assert (key, "nested too deeply" in what) == ("body", True)


def test_check_finds_nothing_in_templates_that_work() -> None:
    body = (
        '{"phone": "{{ src }}", "agent": {{ exten | tojson }}, "event": "{{ event }}", "k": "{{ api_key }}"}'
    )
    key = ApiKey("body", "k", Secret("s"))
    assert faults(replace(NOTIFY, body=body, api_key=key)) == []
    assert (
        faults(replace(BILLING, body='{"f": {{ monitor_file | tojson }}, "l": {{ sub_cdrs | tojson }}}'))
        == []
    )
    assert faults(NOTIFY) == []


def test_check_finds_a_content_type_that_nothing_can_be_sent_as() -> None:
    assert [key for key, _ in faults(replace(NOTIFY, content_type="text/xml"))] == ["body"]
    charset = "text/plain; charset=iso-8859-2"
    assert [key for key, _ in faults(replace(NOTIFY, content_type=charset))] == ["content_type"]


def test_check_asks_for_the_key_that_a_template_inserts() -> None:
    assert faults(replace(NOTIFY, query="k={{ api_key }}")) == [
        ("query", "api_key is inserted, but the client has none: add `api_key`")
    ]
