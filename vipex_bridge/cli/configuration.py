"""The configuration as the commands read it: loaded, and checked by every room that compiles some of it."""

from __future__ import annotations

import os
from pathlib import Path

from vipex_bridge.config.load import load
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.errors import BridgeError, ConfigurationError, Fault
from vipex_bridge.lookup import mapping
from vipex_bridge.render import templates


def load_checked(path: str) -> Settings:
    """The settings in a file. Raises `ConfigurationError` with every fault of file and templates."""
    loaded = load(Path(path), os.environ)
    faults = []
    for client in loaded.settings.clients.values():
        for key, what in [*templates.faults(client), *mapping.faults(client)]:
            key_path = f"clients.{client.name}.{key}"
            file, line = loaded.place(key_path)
            faults.append(Fault(file, line, key_path, what))
    if faults:
        raise ConfigurationError(sorted(faults))
    return loaded.settings


def client_of(settings: Settings, name: str) -> Client:
    """The client of that name. Raises `BridgeError` that lists those there are."""
    client = settings.clients.get(name)
    if client is None:
        known = ", ".join(sorted(settings.clients)) or "none"
        raise BridgeError(f"no client named {name!r} in the configuration; there are: {known}")
    return client


def not_used_yet(settings: Settings) -> list[str]:
    """What the configuration asks for and this version does not do, a line each."""
    notes = []
    if settings.http is not None:
        notes.append("http: this version has no web server yet; nothing listens")
    return notes
