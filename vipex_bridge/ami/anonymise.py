"""A recorded stream with other numbers and names in it, so that it can be given away. No I/O.

Rule 1: framing survives: every line keeps its place and its header's name; whatever way the bytes were cut,
the same comes out.
Rule 2: a number that is longer than `SHORT_DIGITS` and no extension becomes another one of its length, the
same everywhere: in caller numbers, dialled numbers, dial strings, channel names, file names.
Rule 3: uniqueids, linkedids, a channel name's own tail, times and extensions stay.
Rule 4: people's names become `NAME`; free text that the bridge does not read (arguments of applications,
foreign variables) becomes `LEFT_OUT`: a dialplan may keep anything there, passwords too.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from vipex_bridge.calls.events import VARIABLES

SHORT_DIGITS = 4
"""Digits up to this many are service numbers, menu keys, counters: they tell of nobody."""
NAME = "Somebody"
LEFT_OUT = "(left out)"

_KEPT = frozenset(
    {
        *("actionid", "bridgeid", "privilege", "timestamp", "eventtv", "sessiontv"),
        *("lastcall", "lastpause", "logintime"),
    }
)
_IDS = ("uniqueid", "linkedid")
_NUMBERS = ("calleridnum", "connectedlinenum", "exten", "extension")
_NAMES = ("calleridname", "connectedlinename", "membername", "agentname")
_FREE_TEXT = frozenset({"appdata", "applicationdata", "command", "lastdata", "userfield"})
_KEYS_PRESSED = "VIPEX_IVR_DIGITS"

_TAIL = re.compile(r"-[0-9a-f]{8}(;[12])?(<ZOMBIE>)?$")
_DIGITS = re.compile(r"[0-9]+")
_ID = re.compile(r"(?<![0-9])[0-9]{10}\.[0-9]+")
_ID_OR_DIGITS = re.compile(rf"{_ID.pattern}|[0-9]+")
_ONE_NUMBER = re.compile(r"[0-9 ()./,*#+-]+")
_WHOLE_NAME = re.compile(r"^[^<]*(?=<|$)")


class Numbers:
    """Other numbers for numbers: for each length a one-to-one exchange that only `key` can undo.

    Numbers that end alike end alike afterwards, so that 0630..., 3630... and a prefix before them still
    look like one party (prefix-preserving encryption after Xu, Fan, Ammar and Moon, from the end on).
    """

    def __init__(self, key: bytes, is_extension: Callable[[str], bool]) -> None:
        self._key = key
        self._is_extension = is_extension
        self._known: dict[str, str] = {}

    def of(self, digits: str) -> str:
        """The other number; an extension, or what is too short to be a number, as it is."""
        if len(digits) <= SHORT_DIGITS or self._is_extension(digits):
            return digits
        if digits not in self._known:
            other = self._exchanged(digits)
            while self._is_extension(other):
                other = self._exchanged(other)
            self._known[digits] = other
        return self._known[digits]

    def _exchanged(self, digits: str) -> str:
        return "".join(self._order(digits[at + 1 :])[int(digit)] for at, digit in enumerate(digits))

    def _order(self, following: str) -> str:
        """What each digit becomes before these."""
        mixed = hmac.digest(self._key, following.encode(), "sha256")
        order = sorted("0123456789", key=lambda digit: mixed[3 * int(digit) : 3 * int(digit) + 3])
        if not following:
            # One cycle through all ten: the last digit always becomes another, so every number does.
            after = dict(zip(order, [*order[1:], order[0]], strict=True))
            order = [after[digit] for digit in "0123456789"]
        return "".join(order)


class Anonymiser:
    """Takes the bytes of one connection as they come. `key` is a run's own secret, `is_extension` the PBX's.

    Keeps a message until it is whole, and every number and id that it has met.
    """

    def __init__(self, key: bytes, is_extension: Callable[[str], bool]) -> None:
        self._numbers = Numbers(key, is_extension)
        self._is_extension = is_extension
        self._rest = b""
        self._block: list[str] = []
        self._ids: set[str] = set()

    def feed(self, data: bytes) -> bytes:
        """The messages that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        out = []
        for line in lines:
            # Whatever is no UTF-8 comes out as it was.
            self._block.append(line.decode("utf-8", "surrogateescape"))
            if line in (b"", b"\r"):
                out.append(self._ended())
        return b"".join(out)

    def finish(self) -> bytes:
        """What is left when the recording ends; a line that was cut off is left out."""
        self._rest = b""
        return self._ended()

    def _ended(self) -> bytes:
        block, self._block = self._block, []
        split = [line.removesuffix("\r").partition(":") for line in block]
        headers = [(name.strip().lower(), value.strip()) for name, _, value in split]
        for name, value in headers:
            if name.endswith(_IDS):
                self._ids.update(_ID.findall(value))
        variables = {value.lstrip("_") for name, value in headers if name == "variable"}
        out = []
        for line, (written, colon, value), (name, _) in zip(block, split, headers, strict=True):
            if colon:
                bare = value.removeprefix(" ")
                new = written + colon + value[: len(value) - len(bare)] + self._value(name, bare, variables)
            else:
                new = self._text(written)
            out.append(f"{new}\r\n" if line.endswith("\r") else f"{new}\n")
        return "".join(out).encode("utf-8", "surrogateescape")

    def _value(self, name: str, value: str, variables: set[str]) -> str:
        if name in _KEPT or name.endswith(_IDS) or not value:
            return value
        if name.endswith(_NAMES):
            return value if value == "<unknown>" or self._is_extension(value) else NAME
        if name.endswith(_NUMBERS):
            return self._number(value)
        if name.endswith("channel"):
            tail = _TAIL.search(value)
            cut = tail.start() if tail is not None else len(value)
            return self._text(value[:cut]) + value[cut:]
        if name in _FREE_TEXT:
            return LEFT_OUT
        if "chanvariable" in name:
            variable, equals, text = value.partition("=")
            return variable + equals + self._variable({variable}, text)
        if name == "value":
            return self._variable(variables, value)
        if name == "callerid":
            return self._text(_WHOLE_NAME.sub(f'"{NAME}" ', value, count=1)) if "<" in value else NAME
        return self._text(value)

    def _variable(self, names: set[str], value: str) -> str:
        if not value or not names or not names <= VARIABLES:
            return LEFT_OUT if value else value
        return self._number(value) if names == {_KEYS_PRESSED} else self._text(value)

    def _number(self, value: str) -> str:
        """A value that is one number, however it is written: `+36 30 123 4567`."""
        if not _ONE_NUMBER.fullmatch(value):
            return self._text(value)
        other = iter(self._numbers.of("".join(_DIGITS.findall(value))))
        return "".join(next(other) if "0" <= character <= "9" else character for character in value)

    def _text(self, value: str) -> str:
        return _ID_OR_DIGITS.sub(self._id_or_number, value)

    def _id_or_number(self, found: re.Match[str]) -> str:
        if found[0] in self._ids:
            return found[0]
        return _DIGITS.sub(lambda digits: self._numbers.of(digits[0]), found[0])
