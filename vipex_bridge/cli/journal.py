"""Standard error that goes to systemd's journal: each line tells its priority, which journald takes off."""

from __future__ import annotations

import os
import sys

_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


def is_there() -> bool:
    """Whether standard error is the journal (systemd.exec(5), `JOURNAL_STREAM`)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        opened = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(opened.st_dev), str(opened.st_ino))


def prefix(level: str) -> str:
    """What a line of this level of a log begins with there (sd-daemon(3))."""
    return f"<{_PRIORITIES.get(level, _PRIORITIES['info'])}>"
