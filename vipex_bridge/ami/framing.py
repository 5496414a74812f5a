"""AMI framing without I/O: bytes in, messages out, whatever way the bytes were cut.

Rule 1: how the stream is split into reads never changes what comes out.
Rule 2: no input raises; what cannot be read is dropped, counted, and the next blank line is a fresh start.
Rule 3: memory is bounded: a message longer than the limit is not kept.
Source: the AMI specification in Asterisk's documentation (version 2 and later): `Name: value` lines ended
by CRLF, a blank line ends the message, the first line of a connection is the banner.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping

MAX_MESSAGE_CHARS = 1024 * 1024

_BANNER = "Asterisk Call Manager/"


class Message(Mapping[str, str]):
    """One AMI message: header name (lower-cased) to the first value of that name."""

    __slots__ = ("_first", "_repeated")

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self._first: dict[str, str] = {}
        self._repeated: dict[str, list[str]] = {}
        for name, value in headers:
            if name not in self._first:
                self._first[name] = value
            else:
                self._repeated.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def get_all(self, name: str) -> list[str]:
        """Every value of a header, in the order received; [] when there is none."""
        if name not in self._first:
            return []
        return [self._first[name], *self._repeated.get(name, [])]

    def repeated(self) -> list[str]:
        """The headers that stand there more than once."""
        return list(self._repeated)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._first == other._first and self._repeated == other._repeated

    __hash__ = None  # type: ignore[assignment]  # a mapping that compares by content

    def __repr__(self) -> str:
        return f"Message({[(name, value) for name in self for value in self.get_all(name)]!r})"


class Framer:
    """Collects the bytes of one connection. `banner` is '' until its first line was seen.

    `malformed` counts the blocks that were dropped: over `max_chars`, or without any header.
    """

    def __init__(self, *, max_chars: int = MAX_MESSAGE_CHARS) -> None:
        self.banner = ""
        self.malformed = 0
        self._max_chars = max_chars
        # Invalid bytes become U+FFFD; a character cut between two reads is put together.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest: list[str] = []
        self._rest_chars = 0
        self._headers: list[tuple[str, str]] = []
        self._block_chars = 0
        self._is_first_line = True
        self._is_too_long = False

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete, in order. Never raises."""
        text = self._decoder.decode(data)
        if "\n" not in text:
            self._keep(text)
            return []
        # Only a line feed ends a line: str.splitlines would also cut at U+2028 inside a caller's name.
        first, *lines = text.split("\n")
        lines.insert(0, "".join(self._rest) + first)
        self._rest, self._rest_chars = [], 0
        rest = lines.pop()
        messages = []
        for line in lines:
            if line not in ("", "\r"):
                self._add(line)
            elif (message := self._end_block()) is not None:
                messages.append(message)
        self._keep(rest)
        return messages

    def _keep(self, text: str) -> None:
        self._rest.append(text)
        self._rest_chars += len(text)
        if self._block_chars + self._rest_chars > self._max_chars and self._rest_chars > 1:
            self._drop_block()
            # One character stands for the line that was begun, so that its end is no blank line.
            self._rest, self._rest_chars = ["?"], 1

    def _add(self, line: str) -> None:
        is_first_line, self._is_first_line = self._is_first_line, False
        self._block_chars += len(line) + 1
        if self._block_chars > self._max_chars:
            self._drop_block()
        if self._is_too_long:
            return
        if is_first_line and line.startswith(_BANNER):
            self.banner = line.rstrip("\r")
            self._block_chars = 0
            return
        name, colon, value = line.removesuffix("\r").partition(":")
        name = name.strip().lower()
        if colon and name:
            self._headers.append((name, value.removeprefix(" ")))

    def _drop_block(self) -> None:
        self._is_too_long = True
        self._headers = []

    def _end_block(self) -> Message | None:
        headers, block_chars, is_too_long = self._headers, self._block_chars, self._is_too_long
        self._headers, self._block_chars, self._is_too_long = [], 0, False
        if headers and not is_too_long:
            return Message(headers)
        if block_chars:
            self.malformed += 1
        return None
