"""A recording as base64, read from its file piece by piece: a call of hours takes no memory."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import PurePath

from vipex_bridge.errors import ExchangeError

_PIECE_BYTES = 48 * 1024
"""A multiple of 3, so that base64 of the pieces is base64 of the whole: no padding in between."""


class Base64File:
    """The content of one open file as base64, written by `write` (base64 text -> the body's bytes).

    Its length is that of the file now. Every reading must give what the first whole one gave, so that what
    is sent is what was signed. The file is closed with this, also when this raises: ExchangeError.
    """

    def __init__(self, file: FileIO, write: Callable[[bytes], bytes], *, grows: bool) -> None:
        """`grows`: `write` gives more bytes than it takes, how many depends on the content."""
        self._file = file
        self._write = write
        self._name = PurePath(str(file.name)).name
        self._digest: bytes | None = None
        try:
            self._size = os.fstat(file.fileno()).st_size
            self._length = sum(map(len, self.pieces())) if grows else (self._size + 2) // 3 * 4
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return self._length

    def pieces(self) -> Iterator[bytes]:
        """The whole, from the start, in pieces of about 64 KiB.

        Raises ExchangeError when the file has become shorter, can no longer be read, or (before the last
        piece) when it holds something else than at the first reading.
        """
        at, read = 0, hashlib.sha256()
        while at < self._size:
            wanted = min(_PIECE_BYTES, self._size - at)
            try:
                data = os.pread(self._file.fileno(), wanted, at)
            except OSError as error:
                raise ExchangeError(f"recording {self._name} cannot be read: {error.strerror}") from None
            if len(data) < wanted:
                raise ExchangeError(f"recording {self._name} became shorter while it was sent")
            at += wanted
            read.update(data)
            if at == self._size and self._digest not in (None, read.digest()):
                raise ExchangeError(f"recording {self._name} was changed while it was sent")
            yield self._write(base64.b64encode(data))
        self._digest = read.digest()

    def close(self) -> None:
        self._file.close()


class Composed:
    """A body of texts and recordings, one after the other: a SizedReader (deliver/http.py)."""

    def __init__(self, parts: list[bytes | Base64File]) -> None:
        self._parts = parts
        self._pieces = self.pieces()
        self._rest = memoryview(b"")

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def read(self, amount: int = -1, /) -> bytes:
        """At most `amount` bytes, b'' at the end; everything that is left when negative."""
        if amount < 0:
            rest = bytes(self._rest) + b"".join(self._pieces)
            self._rest = memoryview(b"")
            return rest
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        taken, self._rest = self._rest[:amount], self._rest[amount:]
        return bytes(taken)

    def close(self) -> None:
        """Close the files; may be called again."""
        for part in self._parts:
            if isinstance(part, Base64File):
                part.close()

    def pieces(self) -> Iterator[bytes]:
        """The whole from its start, whatever has been read; raises as `Base64File.pieces`."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()
