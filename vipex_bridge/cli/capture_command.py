"""`capture FILE`: the live AMI stream in a file, as received: one file that shows a whole bug."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from vipex_bridge.ami.anonymise import Anonymiser
from vipex_bridge.ami.framing import Framer
from vipex_bridge.ami.session import Session
from vipex_bridge.bridge.telling import numbering_of
from vipex_bridge.cli import logs
from vipex_bridge.cli.configuration import load_checked
from vipex_bridge.config.settings import Ami, Settings
from vipex_bridge.errors import AmiError, BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, how long, and whose numbers."""
    parser.add_argument("file", metavar="FILE", help="a name ending in .gz is compressed")
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="how long (default: until Ctrl-C)")
    parser.add_argument(
        "--anonymise", action="store_true", help="other numbers and names, and no arguments of the dialplan"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it is there")


def run(arguments: argparse.Namespace) -> int:
    """Records until Ctrl-C, SIGTERM, the time or the connection ends; prints what came."""
    settings = load_checked(arguments.config)
    if settings.ami is None:
        raise BridgeError("there is nothing to record: `asterisk.ami` is not configured")
    logs.configure()
    path = Path(arguments.file)
    recording = Recording(_created(path, arguments.force), _anonymiser(settings, arguments.anonymise))
    print(f"recording to {path}: Ctrl-C ends it", file=sys.stderr)
    try:
        asyncio.run(_record(settings.ami, recording, arguments.seconds))
    except AmiError as error:
        if not recording.messages:
            path.unlink(missing_ok=True)
            raise
        raise BridgeError(f"{error}; what came until then is in {path}") from None
    finally:
        recording.close()
        if recording.trouble is not None:
            raise BridgeError(f"{path}: cannot be written: {recording.trouble}")
    print(f"{path}: {recording.messages} messages, {recording.received_bytes} bytes received")
    return 0
