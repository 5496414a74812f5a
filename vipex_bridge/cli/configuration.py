"""The configuration as the commands read it: loaded, and checked by every room that compiles some of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vipex_bridge.config import customers
from vipex_bridge.config.load import Loaded, load
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.errors import ConfigurationError, Fault, UsageError
from vipex_bridge.lookup import mapping
from vipex_bridge.render import templates


def load_checked(path: str) -> tuple[Settings, list[Fault]]:
    """The settings in a file, and what is to be warned of: it may fail, by what comes.

    Raises `ConfigurationError` with every fault of file and templates.
    """
    loaded = load(Path(path), os.environ)
    faults = _of_templates(loaded)
    if faults:
        raise ConfigurationError(faults)
    return loaded.settings, _placed(loaded, templates.warnings)


def load_working(path: str) -> Settings:
    """The settings in a file, without the customers whose own files are at fault (`settings.disabled`).

    Raises `ConfigurationError` with every fault when there is one elsewhere.
    """
    loaded = load(Path(path), os.environ, each_customer=True)
    settings, faults = loaded.settings, _of_templates(loaded)
    if not customers.alone(faults, settings.files):
        known = [fault for disabled in settings.disabled for fault in disabled.faults]
        raise ConfigurationError(sorted([*known, *faults]))
    return customers.without(settings, faults)


def _of_templates(loaded: Loaded) -> list[Fault]:
    return _placed(loaded, lambda client: [*templates.faults(client), *mapping.faults(client)])


def _placed(loaded: Loaded, look: Callable[[Client], list[tuple[str, str]]]) -> list[Fault]:
    """What the look at each client finds, with its places in the files."""
    faults = []
    for client in loaded.settings.clients.values():
        for key, what in look(client):
            key_path = f"clients.{client.name}.{key}"
            file, line = loaded.place(key_path)
            faults.append(Fault(file, line, key_path, what))
    return sorted(faults)


def client_of(settings: Settings, name: str) -> Client:
    """The client of that name. Raises `UsageError` that lists those there are."""
    client = settings.clients.get(name)
    if client is None:
        known = ", ".join(sorted(settings.clients)) or "none"
        left_out = "".join(f"; {disabled.file} is left out: it is at fault" for disabled in settings.disabled)
        raise UsageError(f"no client named {name!r} in the configuration; there are: {known}{left_out}")
    return client
