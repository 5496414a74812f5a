"""The AGI protocol without I/O: bytes from Asterisk in, environment and replies out; commands to bytes.

Rules from Asterisk's `res_agi`: one command is one line of less than `AGI_BUF_LEN` (8192) bytes, in which
`parse_args` knows the characters `"` and `\\` and no others; every command gets one reply, of one line or
of several; FastAGI sends the line `HANGUP` between two replies when the caller is gone.

It writes numbers as they came, line breaks included (`%0A` in a SIP address), so a caller can add lines to
the environment, or end it early. A number is at most 79 bytes, too short for all the lines that come after
it: what Asterisk says is sound when each is there once, in the order in which it writes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vipex_bridge.errors import AgiError

MAX_COMMAND_BYTES = 8_000
MAX_LINE_BYTES = 65_536
MAX_ENVIRONMENT_BYTES = 65_536
MAX_ENVIRONMENT_LINES = 200
MAX_CONVERSATION_LINES = 2_000
"""An environment, a context, and room for hundreds of replies; taking them all takes milliseconds."""

_AFTER_THE_NUMBER = (
    "agi_calleridname", "agi_callingpres", "agi_callingani2", "agi_callington", "agi_callingtns", "agi_dnid",
    "agi_rdnis", "agi_context", "agi_extension", "agi_priority", "agi_enhanced", "agi_accountcode",
    "agi_threadid",
)  # fmt: skip
"""`setup_env` of `res_agi`, up to the arguments."""
_ASTERISKS_OWN = "agi_version"
"""Written before all that a caller has a say in. Clients of AGI that do without it may leave lines out."""
_MAX_NUMBER_BYTES = 79
"""`AST_MAX_EXTENSION` without its end."""

_VARIABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_LINE_ENDERS = re.compile(r"[\r\n\0]")
_ENVIRONMENT_LINE = re.compile(rb"(agi_[a-z0-9_]+):[ ]?(.*)", re.DOTALL)
_REPLY_LINE = re.compile(rb"([1-5]\d\d)[ -](.*)", re.DOTALL)
_RESULT = re.compile(r"result=(-?\d+)(?: \((.*)\))?.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Environment:
    """What Asterisk says first. `fields` holds the `agi_*` lines, `arguments` agi_arg_1, agi_arg_2..."""

    fields: Mapping[str, str]
    arguments: tuple[str, ...]
    is_sound: bool = True
    """False: somebody's number or name wrote lines of its own into it, so that nothing of it is certain."""

    @property
    def script(self) -> str:
        """Which script is asked for: the path of `agi://host:port/path` without slashes and query."""
        path = self.fields.get("agi_network_script", "")
        if not path:
            path = self.fields.get("agi_request", "").partition("://")[2].partition("/")[2]
        return path.partition("?")[0].strip("/")


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one command. `result` is '' unless `code` is 200; `value` is what was in parentheses."""

    code: int
    result: str = ""
    value: str | None = None


@dataclass(frozen=True, slots=True)
class HungUp:
    """The caller is gone; Asterisk still takes commands and replies to them."""


def encode_set_variable(name: str, value: str) -> bytes:
    """The line that sets a channel variable to exactly `value`.

    Raises AgiError when Asterisk could take the line for something else: a name that is no plain variable
    name (one ending in `)` would be a function call), a value with CR, LF or NUL, a line of 8,000 bytes.
    """
    if not _VARIABLE_NAME.fullmatch(name):
        raise AgiError(f"{name!r} is no channel variable's name: use letters, digits and _ (at most 64)")
    return _line("SET VARIABLE", name, value)


def encode_get_full_variable(expression: str) -> bytes:
    """The line that asks for `expression` with each `${...}` in it substituted; raises AgiError as above."""
    return _line("GET FULL VARIABLE", expression)


def _line(command: str, *words: str) -> bytes:
    for word in words:
        if _LINE_ENDERS.search(word):
            raise AgiError(f"{command} cannot carry a line break or NUL: take it out of the value")
    text = " ".join(
        [command, *('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)]
    )
    try:
        line = text.encode() + b"\n"
    except UnicodeEncodeError:
        raise AgiError(f"{command} cannot carry half a surrogate pair: the value is no valid text") from None
    if len(line) >= MAX_COMMAND_BYTES:
        raise AgiError(f"{command} of {len(line)} bytes is too long for Asterisk: shorten the value")
    return line


class Conversation:
    """Asterisk's side of one AGI connection, read in whatever pieces it arrives.

    A reply's value may hold anything, line breaks and the word HANGUP included, as Asterisk never writes
    anything into the middle of a reply; it ends with the first line that ends with `)`. What is left over
    of a value that has such a line inside it is no reply, and is dropped.
    """

    def __init__(self) -> None:
        self._unread = bytearray()
        self._searched = 0
        self._lines = 0
        self._environment: dict[str, str] | None = {}
        self._environment_bytes = 0
        self._environment_lines = 0
        self._repeats = False
        self._is_sound = True
        self._reply: list[bytes] = []
        self._reply_bytes = 0

    def feed(self, data: bytes) -> list[Environment | Reply | HungUp]:
        """What `data` completes, in order. Raises AgiError for what is no AGI, or is beyond the bounds."""
        self._unread += data
        said: list[Environment | Reply | HungUp] = []
        while (end := self._unread.find(b"\n", self._searched)) >= 0:
            line = bytes(self._unread[:end])
            del self._unread[: end + 1]
            self._searched = 0
            self._lines += 1
            if self._lines > MAX_CONVERSATION_LINES:
                raise AgiError(f"more than {MAX_CONVERSATION_LINES} lines in one conversation: no Asterisk")
            if (what := self._take(line)) is not None:
                said.append(what)
        self._searched = len(self._unread)
        if self._searched > MAX_LINE_BYTES:
            raise AgiError(f"a line of more than {MAX_LINE_BYTES} bytes: the peer is no Asterisk")
        return said

    def _take(self, line: bytes) -> Environment | Reply | HungUp | None:
        if len(line) > MAX_LINE_BYTES:
            raise AgiError(f"a line of {len(line)} bytes: the peer is no Asterisk")
        if self._environment is not None:
            return self._take_environment(self._environment, line)
        return self._take_reply(line)

    def _take_environment(self, fields: dict[str, str], line: bytes) -> Environment | None:
        self._environment_bytes += len(line) + 1
        self._environment_lines += 1
        if self._environment_bytes > MAX_ENVIRONMENT_BYTES or self._environment_lines > MAX_ENVIRONMENT_LINES:
            raise AgiError("an endless AGI environment: the peer is no Asterisk")
        match = _ENVIRONMENT_LINE.fullmatch(line.rstrip(b"\r"))
        if match is not None:
            name = match[1].decode()
            self._repeats = self._repeats or name in fields
            # Asterisk writes the lines that a caller cannot influence first: no later one may replace them.
            fields.setdefault(name, match[2].decode(errors="replace"))
        elif not fields:
            raise AgiError("no AGI environment: the peer is no Asterisk")
        elif line.strip() == b"":
            self._environment = None
            self._is_sound = not self._repeats and _is_whole(list(fields))
            return Environment(fields, _arguments(fields), self._is_sound)
        # Else it is the rest of a caller name or argument with a line break in it.
        return None

    def _take_reply(self, line: bytes) -> Reply | HungUp | None:
        if not self._reply:
            if line == b"HANGUP":
                return HungUp()
            if self._is_sound and _ENVIRONMENT_LINE.match(line):
                raise AgiError("the environment went on after its end: a line break in a caller's number")
            if not _REPLY_LINE.match(line):
                return None
        self._reply.append(line)
        self._reply_bytes += len(line) + 1
        if self._reply_bytes > MAX_LINE_BYTES:
            raise AgiError(f"a reply of more than {MAX_LINE_BYTES} bytes: the peer is no Asterisk")
        first = self._reply[0]
        if not self._is_sound:
            # It may be a caller's, who has begun one that never ends.
            complete = True
        elif first[3:4] == b"-":
            complete = line.startswith(first[:3] + b" ")
        else:
            complete = not (first.startswith(b"200 result=") and b" (" in first) or line.endswith(b")")
        if not complete:
            return None
        reply = _reply(b"\n".join(self._reply))
        self._reply = []
        self._reply_bytes = 0
        return reply


def _is_whole(names: list[str]) -> bool:
    """Whether no number can have written the end of these lines, nor an argument among them."""
    arguments = [name for name in names if name.startswith("agi_arg_")]
    if names[len(names) - len(arguments) :] != arguments:
        return False
    after = [name for name in names if name in _AFTER_THE_NUMBER]
    if _ASTERISKS_OWN in names:
        return tuple(after) == _AFTER_THE_NUMBER
    return "agi_callerid" not in names or sum(len(f"{name}:\n") for name in after) > _MAX_NUMBER_BYTES


def _arguments(fields: Mapping[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    while (name := f"agi_arg_{len(found) + 1}") in fields:
        found.append(fields[name])
    return tuple(found)


def _reply(whole: bytes) -> Reply:
    code, text = int(whole[:3]), whole[4:].decode(errors="replace")
    match = _RESULT.fullmatch(text) if code == 200 else None
    return Reply(code, match[1], match[2]) if match is not None else Reply(code)
