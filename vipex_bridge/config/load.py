"""From files to settings: reading, including, checking; every fault at once, in file order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vipex_bridge.config import client_schema, convert, exposure, schema, values, wording, yaml_reader
from vipex_bridge.config.settings import Settings
from vipex_bridge.config.yaml_reader import KeyPath, Place, Source, dotted
from vipex_bridge.errors import ConfigurationError, Fault

_GLOB = re.compile(r"[*?\[]")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    """A configuration that was read without fault."""

    settings: Settings
    places: Mapping[str, Place] = field(repr=False)

    def place(self, path: str) -> tuple[str, int]:
        """File and line of a dotted key path such as `clients.crm.retry[1]`, else of its nearest parent."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places[path]


def load(path: Path, environ: Mapping[str, str]) -> Loaded:
    """The configuration in `path` and the files it names. Raises ConfigurationError with every fault."""
    return _finish(yaml_reader.read(path, environ), environ)


def load_text(text: str, file: Path, environ: Mapping[str, str]) -> Loaded:
    """The same for a text that would stand in `file`."""
    return _finish(yaml_reader.parse(text, file, environ), environ)


def _finish(main: Source, environ: Mapping[str, str]) -> Loaded:
    assembly = _Assembly(main, environ)
    assembly.include_files()
    document = assembly.check(main.data, schema.Document, ())
    clients = dict(assembly.check_clients())
    if document is not None:
        assembly.check_privacy(document)
    if assembly.faults or document is None:
        raise ConfigurationError(assembly.sorted_faults())
    settings = convert.convert(document, clients, tuple(assembly.files))
    whole = {**main.data, "clients": assembly.clients}
    settings = replace(settings, exposed=exposure.exposed(whole, assembly.places))
    return Loaded(settings, {dotted(path): place for path, place in assembly.places.items()})


class _Assembly:
    """The main file with the included ones, and the faults found so far."""

    def __init__(self, main: Source, environ: Mapping[str, str]) -> None:
        self.main = main
        self.environ = environ
        self.files = [main.file]
        self.places = main.places
        self.broken = main.broken
        self.faults = main.faults
        listed = main.data.get("clients")
        self.clients: dict[str, Any] = dict(listed) if isinstance(listed, dict) else {}

    def include_files(self) -> None:
        """Adds the clients of every included file."""
        for file in self._included():
            source = yaml_reader.read(file, self.environ)
            self.files.append(file)
            self.faults.extend(source.faults)
            self._add_clients(source)

    def _included(self) -> Iterator[Path]:
        """The files under `include`: globs in order of name, each file once."""
        listed = schema.one_or_list(self.main.data.get("include", []))
        folder = self.main.file.parent
        seen = {self.main.file.absolute()}
        for index, item in enumerate(listed if isinstance(listed, list) else []):
            path: KeyPath = ("include", index)
            if path in self.broken or ("include",) in self.broken:
                continue
            try:
                found = _matching(folder, values.line(item))
            except ValueError:
                continue  # The schema says what is wrong with it.
            except OSError as error:
                self.add(path, str(error))
                continue
            for file in found:
                if file.absolute() not in seen:
                    seen.add(file.absolute())
                    yield file

    def _add_clients(self, source: Source) -> None:
        for key in source.data:
            if key != "clients":
                what = "an included file holds `clients:` and nothing else"
                self._note((key,), source.places[(key,)], what)
        clients = source.data.get("clients")
        if not isinstance(clients, dict):
            if clients is not None and ("clients",) not in source.broken:
                what = "must be a mapping (`key: value` lines)"
                self._note(("clients",), source.places[("clients",)], what)
            return
        own = {name for name in clients if name not in self.clients}
        for name in clients:
            if name not in own:
                file, line = self.places[("clients", name)]
                what = f"this client is there already, at {file}:{line}"
                self._note(("clients", name), source.places[("clients", name)], what)
        self.clients.update((name, clients[name]) for name in clients if name in own)
        self.broken |= {path for path in source.broken if len(path) > 1 and path[1] in own}
        for path, place in source.places.items():
            if len(path) > 1 and path[1] in own:
                self.places[path] = place

    def check(
        self, data: Any, model: type[Model], at: KeyPath, without: frozenset[str] = frozenset()
    ) -> Model | None:
        """The data as `model`, or None with its faults noted."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for path, what in wording.faults_of(error, model, without):
                if isinstance(what, list):
                    self.faults.extend(what)
                else:
                    self.add((*at, *path), what)
            return None

    def check_privacy(self, document: schema.Document) -> None:
        """Notes it when a payload would be kept longer than its delivery."""
        after_s = document.privacy.drop_payload_after
        if after_s is not None and after_s >= document.retention:
            self.add(("privacy", "drop_payload_after"), "must be shorter than retention")

    def check_clients(self) -> Iterator[tuple[str, client_schema.Client]]:
        """Each client that is well; the faults of the others are noted."""
        for name, data in self.clients.items():
            at = ("clients", name)
            try:
                client_schema.check_name(name)
            except ValueError as error:
                self.add(at, str(error))
            kind = data.get("kind") if isinstance(data, dict) else None
            others = {key for key, kinds in client_schema.ONLY_FOR.items() if kind not in kinds}
            without = frozenset(others) if kind in client_schema.KINDS else frozenset()
            client = self.check(data, client_schema.Client, at, without)
            if client is not None:
                yield name, client

    def add(self, path: KeyPath, what: str) -> None:
        """Notes a fault at a key path, unless the value there could not even be read."""
        while path not in self.places and path and isinstance(path[-1], int):
            path = path[:-1]
        if any(path[:length] in self.broken for length in range(len(path) + 1)):
            return
        known = path
        while known not in self.places:
            known = known[:-1]
        self._note(path, self.places[known], what)

    def _note(self, path: KeyPath, place: Place, what: str) -> None:
        self.faults.append(Fault(*place, dotted(path) or "(file)", values.one_line(what)))

    def sorted_faults(self) -> list[Fault]:
        """By file in the order of reading, tables last, then by line."""
        order = {str(file): index for index, file in enumerate(self.files)}
        return sorted(
            self.faults, key=lambda fault: (order.get(fault.file, len(order)), fault.file, fault.line)
        )


def _matching(folder: Path, pattern: str) -> list[Path]:
    """The file of that name, or the files that match a glob; editors' hidden files never do.

    Raises ValueError for what no text of a path can be, OSError when a plain name's file is not there.
    """
    if not _GLOB.search(pattern):
        if not (folder / pattern).exists():
            raise FileNotFoundError(f"{folder / pattern} does not exist")
        return [folder / pattern]
    anchored = Path(pattern)
    start = Path(anchored.anchor) if anchored.anchor else folder
    found = start.glob(str(anchored.relative_to(anchored.anchor)))
    return sorted(file for file in found if not file.name.startswith("."))
