"""A file that appears if text of a stranger is ever run as a command by Asterisk."""

from __future__ import annotations

from pathlib import Path

from laboratory import Asterisk

CANARY = "/vipex-canary"
"""As Asterisk sees it."""
SHELL = "${SHELL(touch " + CANARY + ")}"


def canary_of(asterisk: Asterisk) -> Path:
    """The same file as this machine sees it."""
    return asterisk.root / CANARY.lstrip("/")
