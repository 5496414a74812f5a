"""`run`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio

from vipex_bridge.cli.configuration import load_checked, not_used_yet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing but `--config`."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Runs until SIGTERM; SIGHUP reloads."""
    import structlog

    from vipex_bridge.cli import logs
    from vipex_bridge.daemon import Daemon

    logs.configure()
    settings = load_checked(arguments.config)

    for note in not_used_yet(settings):
        structlog.get_logger().warning("configuration.not_used_yet", what=note)

    async def serve() -> None:
        await Daemon(settings, lambda: load_checked(arguments.config)).run()

    asyncio.run(serve())
    return 0
