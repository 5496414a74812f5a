"""One YAML file, read strictly: its data, where every key stands, and what is wrong with it.

Rule 1: only `true` and `false` are booleans, only plain decimal digits are numbers; `on`, `yes`, `0620`
and `12:30` are text, so that keys and telephone numbers stay what was written.
Rule 2: `!env NAME`, `!file PATH` and `!credential NAME` stand for a text (contract, section 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vipex_bridge.config.values import Written, ascii_quoted, one_line
from vipex_bridge.errors import Fault

KeyPath = tuple[str | int, ...]
Place = tuple[str, int]

_MAX_DEPTH = 40
_MAX_ALIASED = 200_000
_MAX_BYTES = 16 * 1024 * 1024
_MAX_SECRET_BYTES = 1024 * 1024
_TAG = "tag:yaml.org,2002:"
_CONSTANTS = {"null": None, "~": None, "": None, "true": True, "false": False}
_TOO_MANY = f"aliases multiply to more than {_MAX_ALIASED} values"
_UNRESOLVED = "unresolved"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Source:
    """What one file holds. Under the paths of `broken` nothing more need be said."""

    file: Path
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: set[KeyPath] = field(default_factory=set)


def dotted(path: KeyPath) -> str:
    """`clients.crm.retry[1]`, on one line whatever the keys hold."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            key = part if part.isprintable() else ascii_quoted(part)
            written += f".{key}" if written else key
    return written


def read_text(file: Path, limit: int = _MAX_BYTES) -> str:
    """The file's text without a byte order mark. Raises ValueError with what is wrong with it."""
    try:
        if file.exists() and not file.is_file():
            raise ValueError("is no file")
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise ValueError(f"is larger than {limit} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text (line {number})") from None


def read(file: Path, environ: Mapping[str, str]) -> Source:
    """The file's data; an unreadable one gives a single fault."""
    try:
        text = read_text(file)
    except ValueError as error:
        return _unusable(file, 1, "(file)", str(error))
    return parse(text, file, environ)


def parse(text: str, file: Path, environ: Mapping[str, str]) -> Source:
    """The data of a text that stands in `file`; a syntax error gives a single fault."""
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        return _unusable(file, number, "(syntax)", f"a character that YAML does not allow: {error.reason}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        return _unusable(file, mark.line + 1 if mark else 1, "(syntax)", what)
    except (ValueError, OverflowError):
        # PyYAML lets these out of a `"\U........"` that is no character, and of a huge %YAML version.
        number = loader.line + 1 if loader else 1
        return _unusable(file, number, "(syntax)", "an escape or a number that is out of range")
    source = Source(file, places={(): (str(file), 1)})
    if root is not None:
        data = _Conversion(source, environ).convert(root, ())
        if isinstance(data, dict):
            source.data = data
        elif data is not None:
            return _unusable(file, 1, "(file)", "must hold `key: value` lines")
    return source


def _unusable(file: Path, number: int, path: str, what: str) -> Source:
    fault = Fault(str(file), number, path, one_line(what))
    return Source(file, places={(): (str(file), 1)}, faults=[fault], broken={()})


class _Loader(yaml.SafeLoader):
    """SafeLoader's node graph, with rule 1 for plain scalars and a bound on nesting."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"(?:[Tt]rue|TRUE|[Ff]alse|FALSE)\Z"), list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z"), list("-0123456789"))


class _Conversion:
    """The walk over one file's node graph."""

    def __init__(self, source: Source, environ: Mapping[str, str]) -> None:
        self.source = source
        self.folder = source.file.parent
        self.secrets = {
            "!env": lambda name: _from_environment(name, environ),
            "!file": lambda name: _from_file(self.folder / name, name),
            "!credential": lambda name: _from_credential(name, environ),
        }
        self.open: set[int] = set()
        self.seen: set[int] = set()
        self.aliased = 0

    def convert(self, node: yaml.Node, path: KeyPath) -> Any:
        """The node's data: dict, list, Written, int, bool or None."""
        if id(node) in self.open:
            return self._fault(path, node, "an alias refers to the value that it stands in")
        if id(node) in self.seen:
            self.aliased += 1
            if self.aliased > _MAX_ALIASED:
                self.source.broken.add(path)
                if self.aliased == _MAX_ALIASED + 1:
                    self._fault(path, node, _TOO_MANY)
                return Written(_UNRESOLVED, self.folder, hidden=True)
        self.seen.add(id(node))
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            return self._scalar(node, path)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Any:
        if node.tag != f"{_TAG}map":
            return self._wrong_tag(node, path)
        data: dict[str, Any] = {}
        for key_node, value_node in self._pairs(node, path):
            key = key_node.value
            here = (*path, key)
            number = key_node.start_mark.line + 1
            if key in data:
                first = self.source.places[here][1]
                self._note(here, number, f"the key stands here twice (first on line {first})")
                continue
            self.source.places[here] = (str(self.source.file), number)
            data[key] = self.convert(value_node, here)
        return data

    def _pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Own pairs, then those of `<<` that are not there yet."""
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        own: set[str] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.tag.startswith(_TAG):
                self._note(path, key_node.start_mark.line + 1, "a key must be plain text")
            elif reason := _unusable_characters(key_node.value):
                self._note(path, key_node.start_mark.line + 1, f"a key {reason}")
            elif key_node.value == "<<" and key_node.style is None:
                merged.extend(self._merged(value_node, path))
            else:
                own.add(key_node.value)
                yield key_node, value_node
        for key_node, value_node in merged:
            if key_node.value not in own:
                own.add(key_node.value)
                yield key_node, value_node

    def _merged(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        bases = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for base in bases:
            self.aliased += 1
            if self.aliased > _MAX_ALIASED:
                if self.aliased == _MAX_ALIASED + 1:
                    self._note(path, node.start_mark.line + 1, _TOO_MANY)
            elif not isinstance(base, yaml.MappingNode) or id(base) in self.open:
                number = base.start_mark.line + 1
                self._note(path, number, "<< takes the alias of a mapping, such as <<: *other")
            else:
                self.open.add(id(base))
                yield from self._pairs(base, path)
                self.open.discard(id(base))

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> Any:
        if node.tag != f"{_TAG}seq":
            return self._wrong_tag(node, path)
        items = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            self.source.places[here] = (str(self.source.file), item.start_mark.line + 1)
            items.append(self.convert(item, here))
        return items

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        kind, value = node.tag, node.value
        if kind in self.secrets:
            return self._secret(kind, node, path)
        if reason := _unusable_characters(value):
            return self._fault(path, node, reason)
        if kind == f"{_TAG}str":
            return Written(value, self.folder)
        if kind in (f"{_TAG}null", f"{_TAG}bool") and value.lower() in _CONSTANTS:
            return _CONSTANTS[value.lower()]
        if kind == f"{_TAG}int" and re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        return self._wrong_tag(node, path)

    def _secret(self, kind: str, node: yaml.Node, path: KeyPath) -> Any:
        try:
            value = self.secrets[kind](node.value)
            if not value:
                raise ValueError(f"{node.value} is empty")
            if reason := _unusable_characters(value):
                raise ValueError(f"{node.value} {reason}")
        except ValueError as error:
            return self._fault(path, node, f"{kind}: {error}")
        origin = self.folder / node.value if kind == "!file" else None
        return Written(value, self.folder, hidden=True, origin=origin)

    def _wrong_tag(self, node: yaml.Node, path: KeyPath) -> Any:
        tag = node.tag.replace(_TAG, "!!")
        if node.tag in self.secrets:
            return self._fault(path, node, f"{tag} takes one name")
        return self._fault(path, node, f"{ascii_quoted(tag)}: there are only !env, !file and !credential")

    def _note(self, path: KeyPath, number: int, what: str) -> None:
        fault = Fault(str(self.source.file), number, dotted(path) or "(file)", one_line(what))
        self.source.faults.append(fault)

    def _fault(self, path: KeyPath, node: yaml.Node, what: str) -> Written:
        """Notes the fault; gives what stands for the value, so that the rest can still be checked."""
        place = self.source.places.get(path) if path else None
        self._note(path, place[1] if place else node.start_mark.line + 1, what)
        self.source.broken.add(path)
        return Written(_UNRESOLVED, self.folder, hidden=True)


def _unusable_characters(text: str) -> str:
    if "\0" in text:
        return "holds a NUL character"
    if _SURROGATE.search(text):
        return "holds half a character (a lone surrogate, or bytes that are not UTF-8)"
    return ""


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise ValueError(f"the environment variable {name} is not set")
    return environ[name]


def _from_file(file: Path, name: str) -> str:
    if not name or "\0" in name:
        raise ValueError("takes a path")
    try:
        return read_text(file, _MAX_SECRET_BYTES).rstrip("\r\n")
    except (ValueError, UnicodeEncodeError) as error:
        raise ValueError(f"{file} {error}") from None


def _from_credential(name: str, environ: Mapping[str, str]) -> str:
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ValueError(
            f"$CREDENTIALS_DIRECTORY is not set: systemd sets it, with LoadCredential={name}:PATH in the unit"
        )
    if "/" in name or name in ("", ".", ".."):
        raise ValueError("takes a credential's name, not a path")
    return _from_file(Path(folder) / name, name)
