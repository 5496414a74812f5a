"""How the clients stand: what waits for each, what failed, and whether anything is sent at all."""

from __future__ import annotations

from dataclasses import dataclass

from vipex_bridge.config.settings import Settings
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.store import figures
from vipex_bridge.store.figures import Standing
from vipex_bridge.store.store import Store

NOTHING = Standing(0, 0, None, None)


@dataclass(frozen=True, slots=True)
class ClientStanding:
    """How one client stands."""

    name: str
    kind: str
    """Of the configuration; '' when it is not there any more."""
    state: str
    """active, paused, silent (left alone for a while) or gone."""
    paused_at: float | None
    standing: Standing


def standings(settings: Settings, store: Store, deliveries: Deliveries) -> list[ClientStanding]:
    """Every client that deliveries go to, or went to, by name. Raises StoreError."""
    known, paused = figures.standings(store), store.paused()
    told_to = {name for name, client in settings.clients.items() if client.kind != "lookup"}
    found = []
    for name in sorted(told_to | known.keys()):
        client = settings.clients.get(name)
        if client is None:
            state = "gone"
        elif name in paused:
            state = "paused"
        else:
            state = "silent" if deliveries.is_left_alone(name) else "active"
        kind = client.kind if client is not None else ""
        found.append(ClientStanding(name, kind, state, paused.get(name), known.get(name, NOTHING)))
    return found
