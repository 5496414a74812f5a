"""AMI framing without I/O: bytes in, messages out, whatever way the bytes were cut.

Rule 1: how the stream is split into reads never changes what comes out.
Rule 2: no input raises; what cannot be read is dropped, counted, and the next blank line is a fresh start.
Rule 3: memory is bounded: a message longer than the limit is not kept.
Rule 4: the headers of a block are taken apart when somebody asks for one, and not before.
Source: the AMI specification in Asterisk's documentation (version 2 and later): `Name: value` lines ended
by CRLF, a blank line ends the message, the first line of a connection is the banner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, overload

_T = TypeVar("_T")

MAX_MESSAGE_BYTES = 1024 * 1024

_BANNER = b"Asterisk Call Manager/"
_EVENT = b"Event: "
# Only a line feed ends a line: str.splitlines would also cut at U+2028 inside a caller's name.
_BLOCK_END = re.compile(rb"\n\r?\n")
_BLANK_LINES = re.compile(rb"(?:\r?\n)+")
_NO_BLOCK = (b"", b"\r")
"""What is between two blank lines."""
_SEAM = 2
"""So many bytes of a blank line may have come with an earlier read."""


class Message(Mapping[str, str]):
    """One AMI message: header name (lower-cased) to the first value of that name.

    `text` is the block as it was received, without its last line feed, or '' for one made of headers.
    """

    __slots__ = ("_first", "_repeated", "text")

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self.text = ""
        self._first: dict[str, str] | None = {}
        self._repeated: dict[str, list[str]] = {}
        self._take(self._first, headers)

    @classmethod
    def of_block(cls, block: bytes) -> Message:
        """The message that these lines are; their headers are read when one is asked for."""
        message = cls.__new__(cls)
        # Invalid bytes become U+FFFD.
        message.text = block.decode("utf-8", "replace")
        message._first = None
        return message

    def _headers(self) -> dict[str, str]:
        if self._first is None:
            self._first, self._repeated = {}, {}
            self._take(self._first, _headers_of(self.text))
        return self._first

    def _take(self, first: dict[str, str], headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            if name not in first:
                first[name] = value
            else:
                self._repeated.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._headers()[name]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: _T) -> str | _T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """As of any mapping."""
        return self._headers().get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._headers()

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers())

    def __len__(self) -> int:
        return len(self._headers())

    def get_all(self, name: str) -> list[str]:
        """Every value of a header, in the order received; [] when there is none."""
        first = self._headers()
        return [first[name], *self._repeated.get(name, [])] if name in first else []

    def repeated(self) -> list[str]:
        """The headers that stand there more than once."""
        self._headers()
        return list(self._repeated)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._headers() == other._headers() and self._repeated == other._repeated

    __hash__ = None  # type: ignore[assignment]  # a mapping that compares by content

    def __repr__(self) -> str:
        return f"Message({[(name, value) for name in self for value in self.get_all(name)]!r})"


def _headers_of(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        name, colon, value = line.removesuffix("\r").partition(":")
        name = name.strip().lower()
        if colon and name:
            yield name, value.removeprefix(" ")


def _all(blocks: list[bytes]) -> list[bytes]:
    return blocks


class Framer:
    """Collects the bytes of one connection. `banner` is '' until its first line was seen.

    `malformed` counts the blocks that were dropped: over `max_bytes`, or without any header. `select` gives
    those of the blocks that somebody would read; the others, events all of them, are not even taken apart.
    """

    def __init__(
        self, *, max_bytes: int = MAX_MESSAGE_BYTES, select: Callable[[list[bytes]], list[bytes]] = _all
    ) -> None:
        self.banner = ""
        self.malformed = 0
        self._max_bytes = max_bytes
        self._select = select
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._is_first_line = True
        self._is_too_long = False

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete, in order. Never raises."""
        if self._is_first_line:
            data = self._after_banner(data)
        seam = self._seam()
        # What was kept is gone through again only where a blank line may have been cut.
        if _BLOCK_END.search(seam + data[:_SEAM]) is not None:
            *blocks, rest = _BLOCK_END.split(b"".join([*self._rest, data]))
        else:
            *blocks, rest = _BLOCK_END.split(data)
            if not blocks:
                self._keep(data)
                return []
            blocks[0] = b"".join([*self._rest, blocks[0]])
        could_be_too_long = self._rest_bytes + len(data) >= self._max_bytes
        self._rest, self._rest_bytes = [], 0
        if self._is_too_long:
            self._is_too_long = False
            self.malformed += 1
            del blocks[0]
        if could_be_too_long:
            blocks = self._short_enough(blocks)
        messages = [self._message(block) for block in self._select(blocks)]
        self._keep(_unblank(rest))
        return [message for message in messages if message is not None]

    def _after_banner(self, data: bytes) -> bytes:
        """What was kept and what comes now, without a banner at its beginning."""
        if b"\n" not in data:
            return data
        data = _unblank(b"".join([*self._rest, data]))
        self._rest, self._rest_bytes = [], 0
        line, end, after = data.partition(b"\n")
        if not end:
            return data
        self._is_first_line = False
        if line.startswith(_BANNER) and len(line) < self._max_bytes and not self._is_too_long:
            self.banner = line.decode("utf-8", "replace").rstrip("\r")
            return after
        return data

    def _seam(self) -> bytes:
        """The end of what was kept, in which a blank line may have begun."""
        return b"".join(self._rest[-_SEAM:])[-_SEAM:]

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._rest.append(data)
        self._rest_bytes += len(data)
        # A blank line before the block may still be among them.
        if self._rest_bytes > self._max_bytes + len(b"\r\n"):
            self._is_too_long = True
            self._rest = [self._seam()]
            self._rest_bytes = len(self._rest[0])

    def _short_enough(self, blocks: list[bytes]) -> list[bytes]:
        found = [block for block in map(_unblank, blocks) if len(block) < self._max_bytes]
        self.malformed += len(blocks) - len(found)
        return found

    def _message(self, block: bytes) -> Message | None:
        if block.startswith(_EVENT):
            return Message.of_block(block)
        block = _unblank(block)
        if block in _NO_BLOCK:
            return None
        message = Message.of_block(block)
        if not message:
            self.malformed += 1
            return None
        return message


def _unblank(block: bytes) -> bytes:
    """Without the blank lines before it."""
    found = _BLANK_LINES.match(block)
    return block[found.end() :] if found is not None else block
