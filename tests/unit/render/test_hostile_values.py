"""Whatever stands in a field, it arrives as that field's value and as nothing else."""

from __future__ import annotations

import json
import re
import secrets
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config.settings import PARAMETERS, ApiKey, Client, Secret
from vipex_bridge.errors import RenderError
from vipex_bridge.render.escape import PLACES, escape
from vipex_bridge.render.fields import RecordingMark
from vipex_bridge.render.request import Request, whole_url
from vipex_bridge.render.requests import render

NAMES = ("src", "dst", "exten", "ivr_digits", "custom_field")
BREAKERS = (
    '"', "\\", "\\\"", '", "admin": true, "x": "', "'", "<", "]]>", "-->", "&", "&amp;",
    "\r\n\r\nGET / HTTP/1.1", "#", "?", "/../", "@evil.example", "://evil.example/", "%00", "{{ 7 * 7 }}",
    "{% raw %}", "\x00", "\x01", "\x02", "\x03", "\x04", "\x05", "\x1b[2J", "\ud800", "\udfff", "\u2028",
    "\ufffe", "\U0001f4de", "1, \"x\": 2", "null", ",", "],[", "}", " OR 1=1", "é",
    "\t", "\n", "\r", "\x7f", "\x85",
)  # fmt: skip
HOSTILE = st.one_of(
    st.lists(st.sampled_from(BREAKERS), max_size=6).map("".join),
    st.text(st.characters(), max_size=40),  # lone surrogates included
    st.sampled_from(BREAKERS),
)
VALUES = st.fixed_dictionaries(dict.fromkeys(NAMES, HOSTILE))

GET = Client("g", "lookup", "https://user@crm.example:8443/route", "GET", PARAMETERS["lookup"])
POST = Client("p", "notify", "https://crm.example/calls", "POST", PARAMETERS["notify"])
FORM = "application/x-www-form-urlencoded"

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _rendered(client: Client, values: dict[str, str]) -> Request:
    request = render(client, {"id": 7, **values}, "ringing", {}, lambda: "vipex" + secrets.token_hex(16))
    request.url.encode("ascii")
    (request.body or "").encode("utf-8")
    return request


def _sound(values: dict[str, str]) -> dict[str, str]:
    return {name: _SURROGATE.sub("\ufffd", value) for name, value in values.items()}


@given(VALUES)
def test_json_body_parses_back_equal(values: dict[str, str]) -> None:
    assert json.loads(_rendered(POST, values).body or "") == {"id": 7, **_sound(values)}


@given(VALUES)
def test_query_parses_back_equal_and_the_host_stays(values: dict[str, str]) -> None:
    url = urlsplit(whole_url(GET.url, _rendered(GET, values).url))
    assert (url.scheme, url.netloc, url.path, url.fragment) == (
        "https", "user@crm.example:8443", "/route", "",
    )  # fmt: skip
    assert dict(parse_qsl(url.query, keep_blank_values=True)) == {"id": "7", **_sound(values)}


@given(VALUES)
def test_query_template_parses_back_equal_and_the_host_stays(values: dict[str, str]) -> None:
    query = "&".join(f"{name}={{{{ {name} }}}}" for name in NAMES)
    url = urlsplit(whole_url(GET.url, _rendered(replace(GET, query=query), values).url))
    assert (url.netloc, url.path, url.fragment) == ("user@crm.example:8443", "/route", "")
    assert dict(parse_qsl(url.query, keep_blank_values=True)) == _sound(values)


@given(VALUES)
def test_form_body_parses_back_equal(values: dict[str, str]) -> None:
    own = "&".join(f"{name}={{{{ {name} }}}}" for name in NAMES)
    for body, extra in ((None, {"id": "7"}), (own, {})):
        request = _rendered(replace(POST, content_type=FORM, body=body), values)
        told = dict(parse_qsl(request.body or "", keep_blank_values=True))
        assert told == {**extra, **_sound(values)}


@given(VALUES)
def test_json_template_cannot_be_broken_out_of(values: dict[str, str]) -> None:
    quoted = ", ".join(f'"{name}": "{{{{ {name} }}}}"' for name in NAMES)
    literal = ", ".join(f'"{name}": {{{{ {name} | tojson }}}}' for name in NAMES)
    for body in ("{" + quoted + "}", "{" + literal + "}"):
        assert json.loads(_rendered(replace(POST, body=body), values).body or "") == _sound(values)


@given(HOSTILE)
def test_a_bare_insertion_into_json_never_adds_a_field(value: str) -> None:
    client = replace(POST, body='{"a": {{ src }}, "b": 1}')
    try:
        body = _rendered(client, {"src": value}).body or ""
    except RenderError:
        return
    try:
        told = json.loads(body)
    except ValueError:
        assert re.fullmatch(r"[,\s]*", value)
    else:
        assert set(told) == {"a", "b"}
        assert not isinstance(told["a"], str | list | dict)


@given(VALUES)
def test_xml_template_parses_back_equal_but_for_impossible_characters(values: dict[str, str]) -> None:
    body = "<call " + " ".join(f'{name}="{{{{ {name} }}}}"' for name in NAMES) + "><x>{{ src }}</x></call>"
    root = ElementTree.fromstring(
        _rendered(replace(POST, content_type="text/xml", body=body), values).body or ""
    )
    told = {name: _NOT_XML.sub("\ufffd", value) for name, value in values.items()}
    assert root.attrib == told
    assert [(child.tag, child.text or "") for child in root] == [("x", told["src"])]


@given(VALUES, st.sampled_from(["query", "body"]), st.sampled_from(["application/json", FORM]))
def test_each_token_stands_once_and_no_secret_does(
    values: dict[str, str], place: str, content_type: str
) -> None:
    key = ApiKey(place, "key", Secret("canary-secret"))
    client = replace(
        POST, kind="call_end", parameters=PARAMETERS["call_end"], api_key=key, content_type=content_type
    )
    part = {"id": 8, "monitor_file": RecordingMark("/canary/path.wav")}
    fields = {**values, "monitor_file": RecordingMark("/canary/main.wav"), "sub_cdrs": [part, part]}
    request = render(client, fields, "call_end", {}, lambda: "vipex" + secrets.token_hex(16))
    whole = request.url + (request.body or "")
    assert sorted(slot.source for slot in request.slots) == ["api_key", *["recording"] * 3]
    assert [whole.count(slot.token) for slot in request.slots] == [1] * 4
    assert "canary" not in whole


@given(HOSTILE, st.sampled_from([place for place in PLACES if place != "header"]))
def test_escaping_works_character_by_character(text: str, place: str) -> None:
    assert escape(text, place) == "".join(escape(character, place) for character in text)


@given(HOSTILE)
def test_a_header_value_is_one_line_of_latin_1_or_refused(text: str) -> None:
    try:
        value = escape(text, "header")
    except RenderError:
        assert not text.isascii() or re.search("[\r\n\0]", text)
    else:
        assert value == text
        assert not {10, 13, 0} & set(value.encode("latin-1"))


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(RenderError, match="known are url"):
        escape("x", "html")
