"""What Asterisk takes the bytes of an AGI conversation for: `res_agi`'s reading and splitting of commands."""

from __future__ import annotations

BUFFER_BYTES = 8_192
"""AGI_BUF_LEN: no more of a line is one command, NUL included."""
MAX_WORDS = 127
"""MAX_ARGS, less the NULL at the end."""


def parse_args(command: bytes) -> list[bytes]:
    """The words of one command. `\\` makes the next byte literal, `"` toggles quoting and, after white
    space, begins a word; blank and tab end a word unless quoted or escaped. What is too many is cut off."""
    words: list[bytearray] = []
    is_quoted = is_escaped = False
    between = True
    for number in command:
        byte = bytes([number])
        if byte == b'"' and not is_escaped:
            is_quoted = not is_quoted
            if is_quoted and between:
                words.append(bytearray())
                between = False
        elif byte in (b" ", b"\t") and not is_quoted and not is_escaped:
            between = True
        elif byte == b"\\" and not is_escaped:
            is_escaped = True
        else:
            if between:
                if len(words) >= MAX_WORDS:
                    break
                words.append(bytearray())
                between = False
            words[-1] += byte
            is_escaped = False
    return [bytes(word) for word in words]


def received_commands(written: bytes) -> list[list[bytes]]:
    """The commands that Asterisk makes of what was written to it: one a line, each a C string.

    A carriage return is taken for the end of a line as well, which is stricter than Asterisk.
    """
    assert written.endswith(b"\n")
    commands = []
    for line in written[:-1].replace(b"\r", b"\n").split(b"\n"):
        pieces = [line[at : at + BUFFER_BYTES - 1] for at in range(0, len(line), BUFFER_BYTES - 1)] or [b""]
        commands += [parse_args(piece.split(b"\0")[0]) for piece in pieces]
    return commands
