"""The dialplan in README.md and README.hu.md, loaded by a real Asterisk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from laboratory import SECOND_PORTS, Asterisk
from pages import ROOT, all_blocks

pytestmark = pytest.mark.pbx


@pytest.fixture(scope="module")
def lab() -> Iterator[Asterisk]:
    """An Asterisk with the shipped routines, and no bridge."""
    with Asterisk(SECOND_PORTS) as running:
        # The laboratory's own calls need no Authenticate().
        running.cli("module load app_authenticate.so")
        yield running


def _contexts(page: Path) -> dict[str, str]:
    """The page's examples as contexts with names of their own; one without a head is given one."""
    found: dict[str, str] = {}
    for block in all_blocks(page):
        if " same => n," not in block.text:
            continue
        for number, part in enumerate(re.split(r"^(?=\[)", block.text, flags=re.MULTILINE)):
            if not part.strip():
                continue
            name = f"documented-{len(found)}-{number}"
            _, has_head, steps = part.partition("]\n") if part.startswith("[") else ("", "", part)
            begin = "" if has_head else "exten => s,1,NoOp()\n"
            found[name] = f"[{name}]\n{begin}{steps}"
    return found


@pytest.mark.parametrize("name", ["README.md", "README.hu.md"])
def test_asterisk_takes_every_example_whole(lab: Asterisk, name: str) -> None:
    contexts = _contexts(ROOT / name)
    assert len(contexts) >= 5
    (lab.folder / "etc" / "documented.conf").write_text("\n".join(contexts.values()), "utf-8")
    main = lab.folder / "etc" / "extensions.conf"
    if "documented.conf" not in main.read_text("utf-8"):
        with main.open("a", encoding="utf-8") as file:
            file.write("\n#include documented.conf\n")
    said_before = len(lab.messages())
    lab.cli("dialplan reload")
    said = lab.messages()[said_before:]
    assert not re.search(r"(WARNING|ERROR).*(pbx_config|config\.c)", said), said
    known = lab.cli("core show applications").lower()
    for context, text in contexts.items():
        steps = re.findall(r"^(?:exten => [^,]+,1|\s*same => n(?:\([a-z]+\))?),(\w+)\(", text, re.MULTILINE)
        shown = lab.cli(f"dialplan show {context}")
        assert len(re.findall(r"^\s.*\[documented\.conf:\d+\]$", shown, re.MULTILINE)) == len(steps), shown
        for application in steps:
            assert f" {application.lower()}:" in known, application
