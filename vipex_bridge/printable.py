"""Strangers' text for a person's eyes: nothing in it moves a terminal, hides a part of a line, or begins one.

Caller names, answers and the like hold what somebody else chose. What is not to be seen (control and escape
characters, line separators, marks that turn the direction of writing) is written as its escape.
"""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """`text` with every character that is not to be seen written as an escape, those of `keep` excepted."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
