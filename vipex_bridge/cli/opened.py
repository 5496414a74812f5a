"""The store as the commands open it: beside a running bridge, which keeps the lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from vipex_bridge.config.settings import Settings
from vipex_bridge.privacy import keys_masked
from vipex_bridge.store.store import Store

_KEYS_NOTED = "ivr digits is "
"""How a call's time line tells them, whatever the dialplan put there."""


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store of the configuration, for the length of a `with` block."""
    store = Store(settings.store.reveal(), settings.node, alone=False)
    try:
        yield store
    finally:
        store.close()


def shown(text: str, settings: Settings) -> str:
    """A text as a person may see it: without the keys that callers pressed, where these are hidden."""
    if settings.privacy.mask_digits and text.startswith(_KEYS_NOTED):
        return _KEYS_NOTED + keys_masked(text.removeprefix(_KEYS_NOTED))
    return settings.privacy.shown(text)


def local(at: float | None, timezone: ZoneInfo) -> str:
    """A moment as `YYYY-MM-DD hh:mm:ss`, or `-`."""
    return datetime.fromtimestamp(at, timezone).strftime("%Y-%m-%d %H:%M:%S") if at is not None else "-"
