"""Asterisk's configuration files read as Asterisk reads them: sections, templates, comments, includes. Pure.

The rules are those of Asterisk's `main/config.c`: `;` begins a comment unless a backslash stands before
it, `;--` and `--;` enclose one over lines, `[name](!)` is a template, `[name](+)` adds to a section,
`[name](a,b)` inherits, `#include` and `#tryinclude` take names below the configuration's folder, globs
included. What `#exec` would give is not known: it is not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

_MOST_LEVELS = 10
"""Asterisk's own limit of includes within includes."""
_MOST_INCLUDED = 1000
"""Files that include each other several times multiply with each level."""
_TRUE = frozenset({"yes", "true", "y", "t", "1", "on"})
"""What `ast_true` takes for true, in any case."""
_GENERATED = re.compile(r"auto-?\s?generated|do not edit", re.IGNORECASE)
_HEAD_CHARACTERS = 2_000


class Files(Protocol):
    """Where the files are: paths are as Asterisk sees them."""

    def text(self, path: str) -> str | None:
        """What the file holds; None when there is none."""

    def matching(self, pattern: str) -> list[str]:
        """The files that a glob of whole paths names, in order of their names."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A line `key = value`, and where it stands."""

    file: str
    line: int
    key: str
    value: str

    @property
    def place(self) -> str:
        """File and line, for a person."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Category:
    """One section with all that was added to it."""

    name: str
    is_template: bool
    bases: tuple[str, ...]
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Include:
    """A line `#include`, with the whole path or glob that it names, and the sections known before it."""

    file: str
    line: int
    target: str
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conf:
    """A configuration file with all that it includes."""

    path: str
    exists: bool
    categories: tuple[Category, ...]
    includes: tuple[Include, ...]
    faults: tuple[str, ...]
    """Why Asterisk refuses it, or what would be lost at its end: `FILE:LINE: what`."""
    known_after: Mapping[str, frozenset[str]]
    """Of each file read, the sections known at its end, in lower case."""
    is_generated: bool
    """Its head says that a program writes it."""

    def has(self, section: str) -> bool:
        """Whether there is such a section that is no template."""
        return any(True for _ in self._named(section))

    def setting(self, section: str, key: str) -> Setting | None:
        """The first setting of that name, inherited ones included; Asterisk compares in any case."""
        return next((s for s in self.settings(section) if s.key.lower() == key.lower()), None)

    def value(self, section: str, key: str) -> str | None:
        """The value of the first setting of that name."""
        found = self.setting(section, key)
        return found.value if found is not None else None

    def settings(self, section: str) -> Iterator[Setting]:
        """All settings of a section, in order, inherited ones first."""
        for category in self._named(section):
            yield from self.all_of(category)

    def all_of(self, category: Category) -> Iterator[Setting]:
        """What a section inherits, then what it says itself."""
        yield from self._inherited(category, 0)
        yield from category.settings

    def include_of(self, path: str) -> Include | None:
        """The line by which a file of that path is included, or would be if it were there."""
        return next((i for i in self.includes if PurePosixPath(path).match(i.target)), None)

    def _named(self, section: str) -> Iterator[Category]:
        wanted = section.lower()
        return (c for c in self.categories if c.name.lower() == wanted and not c.is_template)

    def _inherited(self, category: Category, level: int) -> Iterator[Setting]:
        for base in category.bases if level < _MOST_LEVELS else ():
            found = next((c for c in self.categories if c.name.lower() == base.lower()), None)
            if found is not None and found is not category:
                yield from self._inherited(found, level + 1)
                yield from found.settings


def is_true(value: str | None) -> bool:
    """Whether Asterisk takes a value for true."""
    return value is not None and value.lower() in _TRUE


def read(path: str, folder: str, files: Files) -> Conf:
    """The file at `path` with what it includes; relative names are below `folder` (astetcdir)."""
    reader = _Reader(folder, files)
    text = files.text(path)
    if text is not None:
        reader.take(path, text, 1)
    return Conf(
        path,
        text is not None,
        tuple(Category(c.name, c.is_template, tuple(c.bases), tuple(c.settings)) for c in reader.drafts),
        tuple(reader.includes),
        tuple(reader.faults),
        reader.known_after,
        bool(_GENERATED.search((text or "")[:_HEAD_CHARACTERS])),
    )


def uncommented(line: str, depth: int) -> tuple[str, int]:
    """What of a line is no comment, and how many block comments are open after it."""
    kept, position = "", 0
    shown_from = 0 if depth == 0 else None
    while (mark := line.find(";", position)) >= 0:
        if mark > position and line[mark - 1] == "\\":
            position = mark + 1
        elif line.startswith("--", mark + 1) and line[mark + 3 : mark + 4] != "-":
            if shown_from is not None:
                kept += line[shown_from:mark]
                shown_from = None
            depth += 1
            position = mark + 3
        elif mark >= position + 2 and line[mark - 2 : mark] == "--":
            depth -= 1
            position = mark + 1
            if depth == 0:
                shown_from = position
        elif depth == 0:
            if shown_from is not None:
                kept += line[shown_from:mark]
            return kept.strip(), depth
        else:
            position = mark + 1
    if shown_from is not None:
        kept += line[shown_from:]
    return kept.strip(), depth


class _Draft:
    """A section while it is read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_template = False
        self.bases: list[str] = []
        self.settings: list[Setting] = []


class _Reader:
    """Goes through a file and what it includes, in Asterisk's order."""

    def __init__(self, folder: str, files: Files) -> None:
        self.drafts: list[_Draft] = []
        self.includes: list[Include] = []
        self.faults: list[str] = []
        self.known_after: dict[str, frozenset[str]] = {}
        self._folder = PurePosixPath(folder)
        self._files = files
        self._current: _Draft | None = None
        self._taken = 0

    def take(self, path: str, text: str, level: int) -> None:
        """Reads one file; an include continues the section that it stands in."""
        current, depth = self._current, 0
        for number, line in enumerate(text.split("\n"), 1):
            said, depth = uncommented(line, depth)
            if not said:
                continue
            if said.startswith("["):
                current = self._section(said, f"{path}:{number}") or current
            elif said.startswith("#"):
                self._current = current
                self._directive(said, path, number, level)
            elif current is None:
                self.faults.append(
                    f"{path}:{number}: stands in no section, so Asterisk refuses the whole file"
                )
            elif "=" in said:
                current.settings.append(_setting(said, path, number))
        if depth:
            self.faults.append(f"{path}: its last comment (;--) has no end (--;)")
        self._current = current
        self.known_after[path] = self._known()

    def _known(self) -> frozenset[str]:
        return frozenset(draft.name.lower() for draft in self.drafts)

    def _section(self, said: str, place: str) -> _Draft | None:
        name, closed, rest = said[1:].partition("]")
        if not closed:
            self.faults.append(f"{place}: the section's name has no ], so Asterisk refuses the whole file")
            return None
        draft = _Draft(name)
        options = rest[1:].partition(")")[0].split(",") if rest.startswith("(") else []
        for option in (option.strip() for option in options):
            if option == "!":
                draft.is_template = True
            elif option == "+":
                known = next((d for d in self.drafts if d.name.lower() == name.lower()), None)
                if known is None:
                    self.faults.append(
                        f"{place}: adds to [{name}], which is not there, so Asterisk refuses it"
                    )
                else:
                    draft = known
            elif option:
                draft.bases.append(option)
        if draft not in self.drafts:
            self.drafts.append(draft)
        return draft

    def _directive(self, said: str, path: str, number: int, level: int) -> None:
        word, _, target = said[1:].partition(" ") if " " in said else said[1:].partition("\t")
        target = target.strip()
        if word.lower() not in ("include", "tryinclude") or not target:
            return
        if target[0] in '"<' and target.endswith({'"': '"', "<": ">"}[target[0]]) and len(target) > 1:
            target = target[1:-1]
        whole = str(self._folder / target)
        self.includes.append(Include(path, number, whole, self._known()))
        for file in self._files.matching(whole) if level < _MOST_LEVELS else ():
            text = self._files.text(file)
            if text is not None and self._is_one_more(path, number):
                outer = self._current
                self.take(file, text, level + 1)
                self._current = outer

    def _is_one_more(self, path: str, number: int) -> bool:
        """Whether one more file is to be read; the first that is not is told."""
        self._taken += 1
        if self._taken == _MOST_INCLUDED + 1:
            self.faults.append(f"{path}:{number}: files include each other, {_MOST_INCLUDED} times by now")
        return self._taken <= _MOST_INCLUDED


def _setting(said: str, path: str, number: int) -> Setting:
    key, _, value = said.partition("=")
    return Setting(path, number, key.rstrip("+").strip(), value.removeprefix(">").strip())
