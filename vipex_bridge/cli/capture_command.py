"""`capture FILE`: the live AMI stream in a file, as received: one file that shows a whole bug."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import secrets
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from vipex_bridge.ami.anonymise import Anonymiser
from vipex_bridge.ami.link import LoginRefused
from vipex_bridge.ami.session import Session
from vipex_bridge.bridge.telling import numbering_of
from vipex_bridge.cli import logs
from vipex_bridge.cli.arguments import seconds
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.config.settings import Ami, Settings
from vipex_bridge.errors import AmiError, BridgeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, how long, and whose numbers."""
    parser.add_argument("file", metavar="FILE", help="a name ending in .gz is compressed")
    parser.add_argument("--seconds", type=seconds, metavar="N", help="how long (default: until Ctrl-C)")
    parser.add_argument(
        "--anonymise", action="store_true", help="other numbers and names, and no arguments of the dialplan"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it is there")


def run(arguments: argparse.Namespace) -> int:
    """Records until Ctrl-C, SIGTERM or the given time; fails when the connection ends before."""
    settings = load_working(arguments.config)
    if settings.ami is None:
        raise BridgeError("there is nothing to record: `asterisk.ami` is not configured")
    path = Path(arguments.file)
    recording = Recording(path, arguments.force, _anonymiser(settings) if arguments.anonymise else None)
    logs.configure().hide(settings.privacy, settings.numbers.extensions)
    print(f"recording to {path}: Ctrl-C ends it", file=sys.stderr)
    try:
        asyncio.run(_record(settings.ami, recording, arguments.seconds))
    except AmiError as error:
        recording.close()
        if recording.received_bytes == 0 or isinstance(error, LoginRefused):
            if path.is_file():  # and no device
                path.unlink()
            raise
        raise BridgeError(f"{error}; what came until then is in {path}") from None
    recording.close()
    print(f"{path}: {recording.received_bytes} bytes received")
    return 0


class Recording:
    """The file, readable by its owner only: it tells who called whom.

    Raises `BridgeError` when it is there already (unless it may be overwritten), or cannot be made.
    """

    def __init__(self, path: Path, may_overwrite: bool, anonymiser: Anonymiser | None) -> None:
        self.received_bytes = 0
        self.over = asyncio.Event()
        """Somebody stopped it, or the file cannot be written any more."""
        self._path = path
        self._anonymiser = anonymiser
        self._trouble: OSError | None = None
        self._open = ExitStack()
        how = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if may_overwrite else os.O_EXCL)
        try:
            raw = os.fdopen(os.open(path, how, 0o600), "wb")
        except FileExistsError:
            raise BridgeError(f"{path} is there already: choose another name, or add --force") from None
        except OSError as error:
            raise BridgeError(f"{path}: cannot be written: {error.strerror}") from None
        self._file: IO[bytes] | gzip.GzipFile = self._open.enter_context(raw)
        if path.suffix == ".gz":
            self._file = self._open.enter_context(gzip.GzipFile(path.stem, "wb", fileobj=raw))

    def take(self, data: bytes) -> None:
        """Keeps what was received. Never raises: a file that cannot be written ends the recording."""
        self.received_bytes += len(data)
        self._write(self._anonymiser.feed(data) if self._anonymiser is not None else data)

    def close(self) -> None:
        """Ends the file. Raises `BridgeError` when not all of it could be written."""
        if self._anonymiser is not None:
            self._write(self._anonymiser.finish())
        try:
            self._open.close()
        except OSError as error:
            self._trouble = self._trouble or error
        if self._trouble is not None:
            raise BridgeError(f"{self._path}: cannot be written: {self._trouble.strerror}")

    def _write(self, data: bytes) -> None:
        if self._trouble is None:
            try:
                self._file.write(data)
                if not isinstance(self._file, gzip.GzipFile):
                    # Whoever looks on sees it, and a kill loses nothing; a flush would spoil compression.
                    self._file.flush()
            except OSError as error:
                self._trouble = error
                self.over.set()


async def _record(ami: Ami, recording: Recording, for_s: float | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, recording.over.set)
    session = Session(ami, lambda events: None, on_bytes=recording.take)
    connection = asyncio.create_task(session.run_once())
    over = asyncio.create_task(recording.over.wait())
    await asyncio.wait({connection, over}, timeout=for_s, return_when=asyncio.FIRST_COMPLETED)
    has_ended = connection.done()
    for task in (connection, over):
        task.cancel()
    await asyncio.wait({connection, over})
    if has_ended:
        await connection
    if recording.received_bytes == 0:
        raise AmiError(f"{session.status}: nothing was recorded")


def _anonymiser(settings: Settings) -> Anonymiser:
    # The key is forgotten with this run: nobody can undo what it did.
    return Anonymiser(secrets.token_bytes(32), numbering_of(settings.numbers).is_extension)
