"""What stands in the Markdown pages: blocks of code, links, headings. For tests that hold pages to facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: the language after its fence, its text without the indent that it stands in."""

    language: str
    text: str


def blocks(page: Path, language: str) -> list[str]:
    """The text of each block of this language, in order."""
    return [block.text for block in all_blocks(page) if block.language == language]


def all_blocks(page: Path) -> list[Block]:
    """Every block of the page."""
    found = _BLOCK.findall(page.read_text("utf-8"))
    return [Block(kind, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)) for indent, kind, text in found]


def links(page: Path) -> list[str]:
    """Where the page's links lead."""
    return _LINK.findall(_BLOCK.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> list[str]:
    """The anchor of each heading, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def outline(page: Path) -> list[str]:
    """The depth of each heading, the language of each block, the width of each table, in order."""
    lines = _BLOCK.sub(lambda found: f"```{found[2]}", page.read_text("utf-8")).splitlines()
    found = []
    for line in lines:
        if line.startswith("#"):
            found.append(line.split(" ")[0])
        elif line.startswith("```"):
            found.append(line)
        elif line.startswith("|"):
            found.append(f"row of {line.count(' | ')}")
    return found
