"""The store as the commands open it: beside a running bridge, which keeps the lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from vipex_bridge.config.settings import Settings
from vipex_bridge.errors import StoreError
from vipex_bridge.privacy import keys_masked
from vipex_bridge.store import database
from vipex_bridge.store.store import Store

_KEYS_NOTED = "ivr digits is "
"""How a call's time line tells them, whatever the dialplan put there."""


@contextmanager
def opened(settings: Settings, *, makes_it: bool = False) -> Iterator[Store]:
    """The store of the configuration, for the length of a `with` block.

    Raises StoreError when there is none yet, unless the command `makes_it` then.
    """
    kept = database.of(settings.store.reveal(), settings.node)
    if (trouble := kept.trouble()) is not None:
        if not makes_it:
            raise StoreError(f"{kept.name} {trouble}")
        if os.geteuid() == 0:
            _make_as_its_folder(Path(kept.name))
    store = Store(settings.store.reveal(), settings.node, alone=False)
    try:
        yield store
    finally:
        store.close()


def _make_as_its_folder(file: Path) -> None:
    """An empty file of the folder's owner, for the bridge may be another user than this command's.

    SQLite gives the files that it keeps beside it the same owner. Raises StoreError.
    """
    try:
        folder = file.parent.stat()
        made = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # Among others it is there by now: the bridge has just started.
        raise StoreError(
            f"{file} cannot be made ({error.strerror}): start the bridge before, or correct `store`"
        ) from None
    try:
        os.fchown(made, folder.st_uid, folder.st_gid)
    finally:
        os.close(made)


def shown(text: str, settings: Settings) -> str:
    """A text as a person may see it: without the keys that callers pressed, where these are hidden."""
    if settings.privacy.mask_digits and text.startswith(_KEYS_NOTED):
        return _KEYS_NOTED + keys_masked(text.removeprefix(_KEYS_NOTED))
    return settings.privacy.shown(text)


def local(at: float | None, timezone: ZoneInfo) -> str:
    """A moment as `YYYY-MM-DD hh:mm:ss`, or `-`."""
    return datetime.fromtimestamp(at, timezone).strftime("%Y-%m-%d %H:%M:%S") if at is not None else "-"
