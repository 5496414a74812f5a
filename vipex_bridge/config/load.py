"""From files to settings: reading, including, checking; every fault at once, in file order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vipex_bridge.config import (
    client_schema,
    convert,
    customers,
    exposure,
    schema,
    values,
    wording,
    yaml_reader,
)
from vipex_bridge.config.settings import Customer, Secret, Settings
from vipex_bridge.config.yaml_reader import KeyPath, Place, Source, dotted
from vipex_bridge.errors import ConfigurationError, Fault

_GLOB = re.compile(r"[*?\[]")
_PLACE = re.compile(r"[1-9][0-9]{0,3}")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    """A configuration that was read, without fault but for `settings.disabled`."""

    settings: Settings
    places: Mapping[str, Place] = field(repr=False)

    def place(self, path: str) -> tuple[str, int]:
        """File and line of a dotted key path such as `clients.crm.retry[1]`, else of its nearest parent."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places[path]


def load(path: Path, environ: Mapping[str, str], *, each_customer: bool = False) -> Loaded:
    """The configuration in `path` and the files it names. Raises ConfigurationError with every fault.

    With `each_customer` the faults of an included file disable that file alone.
    """
    return _finish(yaml_reader.read(path, environ), environ, each_customer=each_customer)


def load_text(text: str, file: Path, environ: Mapping[str, str]) -> Loaded:
    """The same for a text that would stand in `file`."""
    return _finish(yaml_reader.parse(text, file, environ), environ, each_customer=False)


def _finish(main: Source, environ: Mapping[str, str], *, each_customer: bool) -> Loaded:
    assembly = _Assembly(main, environ)
    assembly.include_files()
    document = assembly.check(main.data, schema.Document, ())
    clients = dict(assembly.check_clients())
    if document is not None:
        assembly.check_privacy(document)
        assembly.check_numbers(document, clients)
        assembly.check_retention(document)
        assembly.check_columns(document)
        assembly.check_tokens(document)
    faults = assembly.sorted_faults()
    if document is None or (faults and not (each_customer and customers.alone(faults, assembly.files))):
        raise ConfigurationError(faults)
    settings = convert.convert(document, clients, tuple(assembly.files))
    whole = {**main.data, "clients": assembly.clients, "customers": assembly.listed_tokens}
    settings = replace(
        settings,
        exposed=exposure.exposed(whole, assembly.places),
        as_shipped=exposure.as_shipped(whole, assembly.places),
        customers=tuple(assembly.customers),
    )
    places = {dotted(path): place for path, place in assembly.places.items()}
    return Loaded(customers.without(settings, faults), places)


class _Assembly:
    """The main file with the included ones, and the faults found so far."""

    def __init__(self, main: Source, environ: Mapping[str, str]) -> None:
        self.main = main
        self.environ = environ
        self.files = [main.file]
        self.places = main.places
        self.broken = main.broken
        self.faults = main.faults
        self.customers: list[Customer] = []
        self.listed_tokens: dict[str, Any] = {}
        """As they are written, by the names of the files they stand in."""
        listed = main.data.get("clients")
        self.clients: dict[str, Any] = dict(listed) if isinstance(listed, dict) else {}

    def include_files(self) -> None:
        """Adds the clients and the tokens of every included file."""
        for file in self._included():
            source = yaml_reader.read(file, self.environ)
            self.files.append(file)
            self.faults.extend(source.faults)
            own = self._add_clients(source)
            self.customers.append(Customer(file, own, tuple(self._tokens(source))))

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

    def _tokens(self, source: Source) -> Iterator[Secret]:
        """The tokens that show this file's calls, each but those that are at fault."""
        known = {token.reveal() for customer in self.customers for token in customer.tokens}
        listed = schema.one_or_list(source.data.get("tokens", []))
        self.listed_tokens[str(source.file)] = {"tokens": listed}
        for index, item in enumerate(listed if isinstance(listed, list) else []):
            path: KeyPath = ("tokens", index) if ("tokens", index) in source.places else ("tokens",)
            self.places["customers", str(source.file), *path] = source.places[path]
            if path in source.broken:
                continue
            try:
                token = values.secret(item)
                if token.reveal() in known:
                    raise ValueError("is the token of another customer already: give each one of its own")
                yield token
            except ValueError as error:
                self._note(path, source.places[path], str(error))

    def _add_clients(self, source: Source) -> tuple[str, ...]:
        """Adds the file's clients; gives the names of those it has for itself."""
        for key in source.data:
            if key not in ("clients", "tokens"):
                what = "an included file holds `clients:` and `tokens:`, nothing else"
                self._note((key,), source.places[(key,)], what)
        clients = source.data.get("clients")
        if not isinstance(clients, dict):
            if clients is not None and ("clients",) not in source.broken:
                what = "must be a mapping (`key: value` lines)"
                self._note(("clients",), source.places[("clients",)], what)
            return ()
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
        return tuple(name for name in clients if name in own)

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

    def check_numbers(self, document: schema.Document, clients: Mapping[str, client_schema.Client]) -> None:
        """Notes it when numbers are to be rewritten and nobody said where those without a country belong."""
        query, cdr = document.numbers.users.query, document.asterisk.cdr
        source = query.source.reveal() if query is not None else "-"
        if (source or (cdr.source.reveal() if cdr is not None else "csv:")).startswith("csv:"):
            self.add(("numbers", "users"), "needs `source`, a database's URL: asterisk.cdr names none")
        for name, client in clients.items():
            if client.numbers != "dialled" and document.numbers.country is None:
                self.add(("clients", name, "numbers"), "needs numbers.country, such as HU")

    def check_tokens(self, document: schema.Document) -> None:
        """Notes it when a customer's token is one that shows every call."""
        every = {token.reveal() for token in document.http.tokens} if document.http is not None else set()
        for customer in self.customers:
            if every & {token.reveal() for token in customer.tokens}:
                what = "holds a token of http.tokens, which shows every call: give this customer another"
                self._note(("tokens",), (str(customer.file), 1), what)

    def check_retention(self, document: schema.Document) -> None:
        """Notes it when rows of a server that are read again after a restart could be known no more."""
        cdr = document.asterisk.cdr
        scheme = cdr.source.reveal().partition(":")[0].partition("+")[0] if cdr is not None else ""
        if scheme in schema.SERVER_SCHEMES and document.retention < schema.LEAST_RETENTION_S:
            self.add(("retention",), "must be 2d or more with a CDR source on a server")

    def check_columns(self, document: schema.Document) -> None:
        """Notes each column of a CSV file that is named otherwise than by its place."""
        for section, source in (("cdr", document.asterisk.cdr), ("cel", document.asterisk.cel)):
            if source is None or not source.source.reveal().startswith("csv:"):
                continue
            for ours, place in source.columns.items():
                if place is not None and not _PLACE.fullmatch(place):
                    what = (
                        f"{values.shown(place)} is no column of a CSV file: these are numbers, counted from 1"
                    )
                    self.add(("asterisk", section, "columns", ours), what)

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
