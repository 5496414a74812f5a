"""The log: JSON lines, or readable lines on a terminal, on standard error; what it hides of callers."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from vipex_bridge import privacy
from vipex_bridge.cli import journal
from vipex_bridge.config.settings import Privacy
from vipex_bridge.printable import printable

_UNSEEN = re.compile(r"[^\x20-\x7e]")


class Masking:
    """The last but the writing: masks in every text of an event what `privacy` hides."""

    def __init__(self) -> None:
        self._hidden = Privacy()
        self._extensions: re.Pattern[str] | None = None

    def hide(self, hidden: Privacy, extensions: re.Pattern[str] | None) -> None:
        """From now on these, but no extension."""
        self._hidden, self._extensions = hidden, extensions

    def __call__(
        self, logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """structlog's processor."""
        return {name: self._masked(name, value) for name, value in event.items()}

    def text(self, text: str) -> str:
        """One text, masked."""
        if self._hidden.mask_digits:
            text = privacy.without_keys(text)
        if self._hidden.mask_numbers_in_logs:
            text = privacy.without_numbers(text, self._extensions)
        return text

    def _masked(self, name: str, value: object) -> object:
        if name in ("timestamp", "level"):
            return value
        if name == "ivr_digits" and isinstance(value, str) and self._hidden.mask_digits:
            return privacy.keys_masked(value)
        return privacy.everywhere(value, self.text)


def legible(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's processor for a terminal: nothing that a stranger wrote moves it."""
    traced = {name: printable(event[name], keep="\n") for name in ("exception",) if name in event}
    return {name: privacy.everywhere(value, printable) for name, value in event.items()} | traced


def _json(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """One line of JSON; what cannot be seen is escaped, for a log is read on a terminal as well."""
    line = str(structlog.processors.JSONRenderer(ensure_ascii=False)(logger, method, event))
    return line if line.isprintable() else _UNSEEN.sub(_escaped, line)


def _in_journal(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """The same with its priority, by which `journalctl -p` chooses."""
    return journal.prefix(str(event.get("level", method))) + _json(logger, method, event)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]


def configure(count: Callable[[str, str], None] = lambda level, event: None) -> Masking:
    """Sets up structlog for the whole process; gives what masks, which can be changed at any time.

    `count` is told the level and the event of each line.
    """

    def counting(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        count(str(event.get("level", method)), str(event.get("event", "")))
        return event

    masking = Masking()
    on_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        # Plain, as prettier ones show locals.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if on_terminal
        else (_in_journal if journal.is_there() else _json)
    )
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        counting,
        structlog.processors.TimeStamper(fmt="iso", utc=False),
    ]
    if on_terminal:
        processors.append(structlog.processors.format_exc_info)
    else:
        # Locals may hold secrets and callers' data.
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        processors.append(structlog.processors.ExceptionRenderer(transformer))
    processors += [masking, *([legible] if on_terminal else []), renderer]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(processors)
    return masking


def _configure_libraries(processors: list[structlog.typing.Processor]) -> None:
    """What a library logs by itself goes the same way, and becomes the same kind of line."""
    handler = logging.StreamHandler(sys.stderr)
    of_library: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    ]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[*of_library, *processors]))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
