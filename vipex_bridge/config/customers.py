"""One file per customer: one that is at fault is left out alone, loudly, and all the others work. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vipex_bridge.config.settings import Disabled, Settings
from vipex_bridge.errors import Fault


def alone(faults: Sequence[Fault], files: Sequence[Path]) -> bool:
    """Whether every fault lies in an included file; `files` are all, the main one first."""
    included = {str(file) for file in files[1:]}
    return all(fault.file in included for fault in faults)


def without(settings: Settings, faults: Sequence[Fault]) -> Settings:
    """The settings without the files that these faults are in."""
    if not faults:
        return settings
    at_fault = {fault.file for fault in faults}
    gone = {name for c in settings.customers if str(c.file) in at_fault for name in c.clients}
    files = [file for file in settings.files if str(file) in at_fault]
    return replace(
        settings,
        clients={name: client for name, client in settings.clients.items() if name not in gone},
        customers=tuple(customer for customer in settings.customers if str(customer.file) not in at_fault),
        disabled=(
            *settings.disabled,
            *(Disabled(file, tuple(f for f in faults if f.file == str(file))) for file in files),
        ),
    )


def with_kept(settings: Settings, before: Settings) -> Settings:
    """The settings of a reload, the clients of files that are now at fault being as they were `before`.

    A customer whose file is being edited misses no call.
    """
    disabled = {disabled.file for disabled in settings.disabled}
    kept = [customer for customer in before.customers if customer.file in disabled]
    known = set(settings.clients)
    taken = [
        replace(
            customer,
            clients=tuple(n for n in customer.clients if n not in known and n in before.clients),
        )
        for customer in kept
    ]
    own = {name: before.clients[name] for customer in taken for name in customer.clients}
    return replace(settings, clients={**settings.clients, **own}, customers=(*settings.customers, *taken))
