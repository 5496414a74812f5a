"""What a running bridge does not take by a reload. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vipex_bridge.config.settings import LOOPBACK, Cdr, Settings


def waiting(began: Settings, now: Settings) -> tuple[str, ...]:
    """The keys that were changed since the bridge began with `began`, and that only a restart takes."""
    return tuple(_changed(began, now))


def _changed(began: Settings, now: Settings) -> Iterator[str]:
    if began.node != now.node:
        yield "node"
    if began.store != now.store:
        yield "store"
    if began.timezone.key != now.timezone.key and (began.cdr or began.cel):
        yield "timezone (of the times in CDR and CEL)"
    if began.ami != now.ami:
        yield "asterisk.ami"
    if replace(began.agi, allow=LOOPBACK) != replace(now.agi, allow=LOOPBACK):
        yield "asterisk.agi"
    if _read(began.cdr) != _read(now.cdr):
        yield "asterisk.cdr"
    if began.cel != now.cel:
        yield "asterisk.cel"


def _read(cdr: Cdr | None) -> Cdr | None:
    """The source without what a reload takes."""
    return replace(cdr, poll_s=0.0, settle_s=0.0) if cdr is not None else None
