"""README.hu.md, the integrator's guide in Hungarian: true to README.md, to the commands, to the routines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pages import ROOT, all_blocks, anchors, blocks, links

from vipex_bridge.cli.main import COMMANDS, main

ENGLISH, HUNGARIAN = ROOT / "README.md", ROOT / "README.hu.md"
each_page = pytest.mark.parametrize("page", [ENGLISH, HUNGARIAN], ids=lambda path: path.name)
ROUTINES = set(
    re.findall(r"^\[([a-z-]+)\]", (ROOT / "etc/asterisk/extensions_vipex.conf").read_text("utf-8"), re.M)
)


def _code(text: str) -> list[str]:
    """The lines of a shell block without what is said beside them."""
    lines = [re.sub(r"(^|\s)#\s.*$", "", line).rstrip() for line in text.splitlines()]
    return [line for line in lines if line]


def _section(page: Path, heading: str) -> str:
    text = page.read_text("utf-8")
    begin = text.index(f"## {heading}")
    return text[begin : text.find("\n## ", begin + 1)]


def _dialplan(page: Path) -> str:
    """All the page's examples of the dialplan."""
    return "\n".join(block.text for block in all_blocks(page) if " same => n," in block.text)


def test_the_installation_is_that_of_the_readme() -> None:
    sections = (_section(ENGLISH, "Installing on"), _section(HUNGARIAN, "Telepítés"))
    ours, theirs = ([_code(text) for text in re.findall(r"```sh\n(.*?)```", s, re.S)] for s in sections)
    assert len(ours) == 9
    assert ours == theirs


@each_page
def test_every_command_and_option_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(block.text for block in all_blocks(page) if block.language in ("sh", ""))
    used = re.findall(r"^vipex-bridge ([a-z]+)([^#\n]*)", text, re.M)
    assert len({command for command, _ in used}) >= 5
    for command, words in used:
        assert command in COMMANDS
        with pytest.raises(SystemExit):
            main([command, "--help"])
        options = set(re.findall(r"--[a-z-]+", words))
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        assert options <= known, command


@each_page
def test_the_dialplan_calls_routines_that_there_are(page: Path) -> None:
    used = re.findall(r"(?:Gosub\(|U\()(vipex-[a-z]+)", _dialplan(page))
    assert set(used) <= ROUTINES
    assert set(used) == ROUTINES - {"vipex-agi"}


def test_the_dialplan_names_clients_that_the_guide_configures() -> None:
    kinds = {
        name: client["kind"]
        for text in blocks(HUNGARIAN, "yaml")
        for name, client in (yaml.load(text, _Tags).get("clients") or {}).items()  # noqa: S506
    }
    asked = re.findall(r"(?:vipex-|/)(lookup|notify)(?:,s,1\(|,)([a-z-]+)", _dialplan(HUNGARIAN))
    assert {kind for kind, _ in asked} == {"lookup", "notify"}
    for kind, client in asked:
        assert kinds[client] == kind


class _Tags(yaml.SafeLoader):
    """A loader to which a tagged value is just its text."""


_Tags.add_multi_constructor("!", lambda loader, suffix, node: node.value)


def test_each_status_of_a_lookup_is_explained_in_both() -> None:
    ours, theirs = (
        re.findall(r"^\| `([A-Z]+)` \|", page.read_text("utf-8"), re.M) for page in (ENGLISH, HUNGARIAN)
    )
    assert len(ours) == 9
    assert ours == theirs


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link
