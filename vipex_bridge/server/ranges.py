"""What part of a file a `Range` header asks for (RFC 9110, section 14). Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` up to and including `last`."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


class Unsatisfiable(Exception):
    """No byte of the file is among those asked for."""


def part_of(header: str, size: int) -> Part | None:
    """The part of a file of `size` bytes; None for the whole: no header, one not understood, many parts.

    Raises Unsatisfiable.
    """
    unit, equals, spec = header.partition("=")
    if unit.strip().lower() != "bytes" or not equals or "," in spec:
        return None
    first, dash, last = (piece.strip() for piece in spec.partition("-"))
    if not dash or not all(_is_number(piece) for piece in (first, last) if piece) or not (first or last):
        return None
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return Part(size - length, size - 1)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    return Part(int(first), min(int(last), size - 1) if last else size - 1)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
