"""What is queued for clients that the configuration does not have (any more)."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from vipex_bridge.config.settings import Settings
from vipex_bridge.deliver.attempt import no_client
from vipex_bridge.deliver.lane import clients_of
from vipex_bridge.errors import StoreError
from vipex_bridge.store.store import Store

log = structlog.get_logger()


def park_strangers(
    store: Store, settings: Settings, now: float, names: Collection[str] | None = None
) -> None:
    """Park what those of `names` (None: all) have that are no clients, with the reason, for `resend`.

    A store that fails is logged: the next look does it.
    """
    if settings.disabled:
        # Its client may be in a file that is at fault, and will be back.
        return
    try:
        queued = store.queue_depths(now).keys() if names is None else set(names)
        for name in queued - clients_of(settings).keys():
            reason = no_client(name)
            with store.write(now) as writer:
                parked = writer.park(name, reason)
            if parked:
                log.error("delivery.parked", client=name, deliveries=parked, error=reason)
    except StoreError as error:
        log.error("delivery.store_failed", error=str(error))
