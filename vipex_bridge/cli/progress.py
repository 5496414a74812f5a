"""How far something long has come: a bar on a terminal, a plain line now and then elsewhere.

Both go to standard error, so that what a command prints stays clean.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, TypeVar, cast

from vipex_bridge.cli.telling import tell_line
from vipex_bridge.printable import printable

_BAR_CHARACTERS = 24
_DRAWN_EVERY_S = 0.1
_TOLD_EVERY_S = 5.0
_CLEARED = "\r\x1b[K"
"""ECMA-48: back to the line's beginning, and erase to its end."""

Item = TypeVar("Item")


class Progress:
    """One long piece of work. `total` None: how much there is, is not known."""

    def __init__(
        self,
        what: str,
        total: int | None,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._total = total
        self._stream = stream
        self._clock = clock
        self._done = 0
        self._is_bar = stream.isatty()
        self._shown_at = clock()
        self._is_shown = False

    def step(self, count: int = 1) -> None:
        """So much more is done."""
        self._done += count
        every_s = _DRAWN_EVERY_S if self._is_bar else _TOLD_EVERY_S
        if self._clock() - self._shown_at >= every_s or (self._is_bar and not self._is_shown):
            self._show()

    def say(self, line: str) -> None:
        """Prints a line of the command's own, above the bar."""
        tell_line(line)
        if self._is_bar:
            sys.stdout.flush()
            self._show()

    def clear(self) -> None:
        """Takes the bar away, until there is something new to show."""
        if self._is_bar and self._is_shown:
            self._stream.write(_CLEARED)
            self._stream.flush()
            self._is_shown = False

    def text(self, width: int) -> str:
        """What is shown, in so many columns at most."""
        if not self._total:
            return f"{self._what}: {self._done}"[:width]
        share = min(1.0, self._done / self._total)
        counted = f"{self._done} of {self._total}, {share:.0%}"
        if not self._is_bar:
            return f"{self._what}: {counted}"
        filled = round(share * _BAR_CHARACTERS)
        return f"{self._what} [{'#' * filled}{'.' * (_BAR_CHARACTERS - filled)}] {counted}"[:width]

    def _show(self) -> None:
        self._shown_at = self._clock()
        text = printable(self.text(shutil.get_terminal_size().columns - 1))
        self._stream.write(f"{_CLEARED}{text}" if self._is_bar else f"{text}\n")
        self._stream.flush()
        self._is_shown = True


class _Above:
    """A stream whose lines, the log's included, come above the bar and not into it."""

    def __init__(self, stream: TextIO, shown: Progress) -> None:
        self._stream = stream
        self._shown = shown

    def write(self, text: str) -> int:
        """Writes, once the bar is out of the way."""
        self._shown.clear()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Progress]:
    """The progress of what is done inside the `with` block; the bar is gone after it, whatever happened."""
    shown = Progress(what, total, sys.stderr)
    out, err = (cast("TextIO", _Above(stream, shown)) for stream in (sys.stdout, sys.stderr))
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield shown
    finally:
        shown.clear()


def counted(items: Iterable[Item], what: str) -> list[Item]:
    """All of them, with a count while they come."""
    with progress(what, None) as shown:
        gathered = []
        for item in items:
            gathered.append(item)
            shown.step()
        return gathered
