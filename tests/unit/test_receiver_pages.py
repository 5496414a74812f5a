"""The receiver's guides: true to the recorded calls, to the schema, and to each other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pages import all_blocks, anchors, blocks, links, outline
from receiver_pages import EXAMPLES, PAGES, page

from vipex_bridge.cli.main import COMMANDS
from vipex_bridge.config.load import load_text
from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS
from vipex_bridge.lookup.mapping import map_answer
from vipex_bridge.render.schema import schema_of

each_page = pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
ROW = re.compile(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
MADE = re.compile(r"<!-- made: ([a-z_ ]+) -->\n(.*?)<!-- end -->", re.DOTALL)


def _fields(text: str, kind: str) -> list[tuple[str, str, str, str]]:
    table = next(body for name, body in MADE.findall(text) if name == f"fields {kind}")
    return [(name, types, meaning.strip(), example) for name, types, meaning, example in ROW.findall(table)]


@pytest.mark.parametrize("language", PAGES)
def test_the_page_is_what_the_recorded_calls_make(language: str) -> None:
    assert PAGES[language].read_text("utf-8") == page(language), "run tests/support/receiver_pages.py"


@each_page
@pytest.mark.parametrize("kind", [*PARAMETERS, "sub_cdrs"])
def test_every_field_is_there_with_its_meaning(path: Path, kind: str) -> None:
    fields = _fields(path.read_text("utf-8"), kind)
    assert [name for name, _, _, _ in fields] == list(PARAMETERS.get(kind, SUB_PARAMETERS))
    for name, types, meaning, example in fields:
        assert types.strip()
        assert len(meaning) > 10, name
        assert example.strip() or (kind, name) == ("lookup", "exten"), name


def test_each_language_says_it_in_its_own_words() -> None:
    english, hungarian = (path.read_text("utf-8") for path in PAGES.values())
    for kind in [*PARAMETERS, "sub_cdrs"]:
        for ours, theirs in zip(_fields(english, kind), _fields(hungarian, kind), strict=True):
            assert ours[2] != theirs[2]
            assert ours[3] == theirs[3]


@each_page
def test_each_example_of_a_call_is_valid(path: Path) -> None:
    shown = [json.loads(text) for text in blocks(path, "json")]
    calls = [document for document in shown if "direction" in document]
    assert len(calls) == len(EXAMPLES)
    for call in calls:
        assert Draft202012Validator(schema_of("call_end")).is_valid(call)
    notices = [
        json.loads(line.split(":", 1)[1])
        for line in re.findall(r"^\w+: +\{.*\}$", path.read_text("utf-8"), re.M)
    ]
    assert len(notices) == 4
    for notice in notices:
        assert Draft202012Validator(schema_of("notify")).is_valid(notice)


def test_the_languages_have_the_same_outline_and_the_same_examples() -> None:
    english, hungarian = PAGES.values()
    assert outline(english) == outline(hungarian)
    same = ("yaml", "json", "php", "js", "csharp", "java", "")
    ours, theirs = ([b for b in all_blocks(path) if b.language in same] for path in (english, hungarian))
    assert ours == theirs


@each_page
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        if link.startswith("#"):
            assert link[1:] in anchors(path), link
        elif not link.startswith("https://"):
            file, _, anchor = link.partition("#")
            assert (path.parent / file).is_file(), link
            assert not anchor or anchor in anchors(path.parent / file), link


@each_page
def test_every_command_exists(path: Path) -> None:
    named = re.findall(r"vipex-bridge ([a-z]+)", "".join(blocks(path, "sh")))
    assert named
    assert set(named) <= set(COMMANDS)


@each_page
def test_the_answer_to_a_lookup_is_mapped_as_the_page_says(path: Path) -> None:
    settings = load_text(blocks(path, "yaml")[0], path, {}).settings
    answer = next(text for text in blocks(path, "json") if "route" in text)
    mapped = map_answer(settings.clients["crm-route"].lookup, "application/json", answer.encode())
    assert [f"{name}={value}" for name, value in mapped.variables] == ["VIPEX_BRANCH=vip", "VIPEX_EXTEN=251"]
    for name, value in mapped.variables:
        assert f"`{name}={value}`" in path.read_text("utf-8")
