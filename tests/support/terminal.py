"""A command on a terminal, and what is to be seen on its screen."""

from __future__ import annotations

import os
import pty
import select
import subprocess


def on_a_terminal(*arguments: str) -> str:
    """What a command writes to a terminal, standard error included."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        arguments, stdout=theirs, stderr=theirs, stdin=theirs, env={**os.environ, "NO_COLOR": "1"}
    )
    os.close(theirs)
    written = b""
    while True:
        if not select.select([ours], [], [], 60)[0]:
            process.kill()
            break
        try:
            data = os.read(ours, 65_536)
        except OSError:  # how Linux says that the other side of a terminal is closed
            break
        if not data:
            break
        written += data
    os.close(ours)
    assert process.wait() == 0, written
    return written.decode()


def screen(written: str) -> list[str]:
    """The lines that are left on the screen, by the two things that our bars do: return, and erase."""
    lines, column = [""], 0
    for part in written.replace("\x1b[K", "\0"):
        if part == "\n":
            lines.append("")
            column = 0
        elif part == "\r":
            column = 0
        elif part == "\0":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column] + part + lines[-1][column + 1 :]
            column += 1
    return lines
