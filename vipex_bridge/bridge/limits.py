"""What the system lets this process have."""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger()


def raise_open_files() -> None:
    """Lets the process open as many files and connections as its hard limit says.

    Most systems give 1,024 for the sake of programs that use select(2); this one does not. Where it is
    not allowed, as under the shipped unit (which sets both limits itself), it stays as it is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.info("bridge.open_files_limited", soft=soft, hard=hard, reason=str(error))
