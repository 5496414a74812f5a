"""The console's texts as they stand in its code and pages. As a program: brings the .po files up to date."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

import vipex_bridge.console

CONSOLE = Path(vipex_bridge.console.__file__).parent
TEXTS = CONSOLE / "texts"


def texts() -> dict[str, list[str]]:
    """Each text that `say` or `_` is given, and the places where."""
    found: dict[str, list[str]] = {}
    for path in sorted(CONSOLE.rglob("*.py")):
        for line, text in _in_code(path):
            found.setdefault(text, []).append(f"{path.name}:{line}")
    methods = [("**.html", "jinja2.ext:babel_extract")]
    keywords = {"say": None}
    for name, line, message, _comments, _context in extract_from_dir(CONSOLE, methods, keywords=keywords):
        assert isinstance(message, str), (name, line)
        found.setdefault(message, []).append(f"{name}:{line}")
    return found


def _in_code(path: Path) -> Iterator[tuple[int, str]]:
    """By Python's own reading: Babel's does not look into f-strings."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("say", "_"):
                yield node.lineno, str(node.args[0].value)


def add_missing() -> None:
    """Bring both .po files up to date: new texts empty (English: as they are), those gone left out."""
    for path in sorted(TEXTS.glob("*.po")):
        language = path.stem
        with path.open("rb") as file:
            catalog = read_po(file, locale=language)
        known = texts()
        for old in [message.id for message in catalog if message.id and message.id not in known]:
            catalog.delete(old)
        for text in known:
            if text not in catalog:
                catalog.add(text, text if language == "en" else "")
        with path.open("wb") as file:
            write_po(file, catalog, sort_output=True, omit_header=False, width=110)


if __name__ == "__main__":
    add_missing()
