"""`run`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio

from vipex_bridge.cli.configuration import load_working
from vipex_bridge.config import restart
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
    from vipex_bridge.metrics import Metrics

    metrics = Metrics()
    masking = logs.configure(metrics.logged)
    log = structlog.get_logger()

    def read() -> Settings:
        settings = load_working(arguments.config)
        masking.hide(settings.privacy, settings.numbers.extensions)
        for file in settings.exposed:
            log.warning("configuration.readable_by_all", file=str(file.file), what=file.what)
        for secret in settings.as_shipped:
            place = f"{secret.file}:{secret.line}"
            log.warning("configuration.secret_as_shipped", key=secret.path, place=place)
        return settings

    def reread() -> Settings:
        now = read()
        keys = restart.waiting(settings, now)
        if keys:
            log.warning("configuration.needs_restart", keys=list(keys))
        return now

    limits.raise_open_files()
    settings = read()

    async def serve() -> None:
        await Daemon(settings, reread, metrics).run()

    asyncio.run(serve())
    return 0
