"""What the commands print: text of strangers in it never reaches a terminal as anything but text."""

from __future__ import annotations

import sys

from vipex_bridge.printable import printable


def tell(text: str, end: str = "\n") -> None:
    """Prints lines. On a terminal what cannot be seen is written as an escape; a file gets it as it is."""
    print(printable(text, keep="\n\t") if sys.stdout.isatty() else text, end=end)


def tell_line(text: str) -> None:
    """Prints exactly one line, whatever is in it, also into a file: nobody's name adds a line of its own."""
    print(printable(text))
