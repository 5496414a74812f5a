"""An answer's head must be whole, and the final one: `http.client` makes sure of neither.

It takes a connection's end for the end of the head; but a server that dies after `HTTP/1.1 200 OK` has
not said that it took the call (RFC 9112, section 8). And it takes `103 Early Hints` for the answer; the
real one would then be taken for the answer to the next request on that connection (RFC 9110, section 15.2).
"""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import Any

MOST_INTERIM = 100
"""Answers before the final one; a server that says `102 Processing` each second gets its time."""
MOST_BYTES = 1024 * 1024
"""All heads of one answer together, the final one's included."""


class WholeHead(http.client.HTTPResponse):
    """The final answer; refused when the connection ends before the empty line after its headers."""

    def begin(self) -> None:
        """Read the head. Raises IncompleteRead, as for a body that is cut off, HTTPException for too much."""
        fp: Any = self.fp
        lines: Any = _Lines(fp)
        self.fp = lines
        try:
            self._begin_whole(lines)
            while self.status < HTTPStatus.OK and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
                self.headers = self.msg = None  # type: ignore[assignment]
                self._begin_whole(lines)
        finally:
            if self.fp is lines:
                self.fp = fp
        if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
            # Nobody asked for it, and what follows is no HTTP: the connection serves nothing else.
            self.chunked, self.length, self.will_close = False, 0, True

    def _begin_whole(self, lines: _Lines) -> None:
        super().begin()
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.IncompleteRead(b"")


class _Lines:
    """A stream, the last line read from it, and how much there may still be."""

    def __init__(self, fp: Any) -> None:
        self._fp = fp
        self._heads_left = MOST_INTERIM + 1
        self._bytes_left = MOST_BYTES
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        """The next line. Raises HTTPException when there have been too many heads, or bytes."""
        if self._heads_left <= 0 or self._bytes_left <= 0:
            raise http.client.HTTPException("a head without end")
        self.last = self._fp.readline(limit)
        self._heads_left -= self.last in (b"\r\n", b"\n")
        self._bytes_left -= len(self.last)
        return self.last

    def close(self) -> None:
        """Close the stream."""
        self._fp.close()
