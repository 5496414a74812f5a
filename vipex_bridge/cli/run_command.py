"""`run`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio

from vipex_bridge.cli.configuration import load_checked, not_used_yet
from vipex_bridge.config.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing but `--config`."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Runs until SIGTERM; SIGHUP reloads."""
    import structlog

    from vipex_bridge.bridge import limits
    from vipex_bridge.cli import logs
    from vipex_bridge.daemon import Daemon

    masking = logs.configure()
    log = structlog.get_logger()

    def read() -> Settings:
        settings = load_checked(arguments.config)
        masking.hidden = settings.privacy
        for file in settings.exposed:
            log.warning("configuration.readable_by_all", file=str(file.file), what=file.what)
        return settings

    limits.raise_open_files()
    settings = read()
    for note in not_used_yet(settings):
        log.warning("configuration.not_used_yet", what=note)

    async def serve() -> None:
        await Daemon(settings, read).run()

    asyncio.run(serve())
    return 0
