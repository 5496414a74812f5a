"""An answer's head must be whole: `http.client` takes a connection's end for the end of the head.

A server that dies after `HTTP/1.1 200 OK` has not said that it took the call (RFC 9112, section 8).
"""

from __future__ import annotations

import http.client
from typing import Any


class WholeHead(http.client.HTTPResponse):
    """An answer that is refused when the connection ends before the empty line after its headers."""

    def begin(self) -> None:
        """Read the head. Raises IncompleteRead, as for a body that is cut off."""
        fp: Any = self.fp
        lines: Any = _Lines(fp)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = fp
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.IncompleteRead(b"")


class _Lines:
    """A stream, and the last line read from it."""

    def __init__(self, fp: Any) -> None:
        self._fp = fp
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        """The next line."""
        self.last = self._fp.readline(limit)
        return self.last

    def close(self) -> None:
        """Close the stream."""
        self._fp.close()
