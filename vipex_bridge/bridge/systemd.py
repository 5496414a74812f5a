"""What the daemon tells systemd (sd_notify(3)): a datagram to the socket that the environment names.

Without systemd nothing is sent, and nothing is missed.
"""

from __future__ import annotations

import os
import socket
import time

import structlog

log = structlog.get_logger()


def ready(status: str) -> None:
    """The start, or a reload, is done; `status` is the line that `systemctl status` shows."""
    _notify(f"READY=1\nSTATUS={status}")


def reloading() -> None:
    """A reload began; `ready` ends it."""
    _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=reading the configuration")


def stopping() -> None:
    """The daemon is on its way out."""
    _notify("STOPPING=1\nSTATUS=stopping")


def pet() -> None:
    """The daemon is alive."""
    _notify("WATCHDOG=1")


def watchdog_interval_s() -> float | None:
    """Within how many seconds systemd wants to be told again; None when it does not watch us."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    if not usec.isdecimal() or int(usec) == 0:
        return None
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / 1_000_000


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), address)
    except OSError as error:
        log.warning("systemd.not_told", state=state.partition("\n")[0], error=str(error))
