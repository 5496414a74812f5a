"""Who is who: outside lines, extensions, Local halves, and the numbers people dialled.

The trunk list wins over any number's shape, extensions come next, and context names decide only
where both are silent (call trees, section 4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache

from vipex_bridge.calls.events import ChannelSnapshot


class Role(StrEnum):
    """What a channel is to a person."""

    OUTSIDE = "outside"
    EXTENSION = "extension"
    LOCAL = "local"
    """Half of a Local channel: plumbing, never told."""
    NOBODY = "nobody"
    """Asterisk's own: conference announcers, recorders, spies."""


@dataclass(frozen=True, slots=True)
class User:
    """What is known of the person at an extension."""

    user_id: int | str | None = None
    user_number: str | None = None
    cost_location: str | None = None


_NOBODY = frozenset(
    {"CBAnn", "CBRec", "Announcer", "Recorder", "Surrogate", "Snoop", "MulticastRTP", "UnicastRTP"}
)
_INSIDE_CONTEXT = re.compile(r"internal|local|extension|ext-|followme|queue|phones|users", re.IGNORECASE)
_FOLLOW_ME = re.compile(r"FM(?:PR|GL)?-?(\d+)")
"""FreePBX's follow-me: the extension's own telephone (FMPR), its list of others (FMGL), the whole (FM)."""
_WITHHELD = frozenset({"", "anonymous", "restricted", "unavailable", "unknown", "private", "withheld"})
_TAIL = re.compile(r"-[0-9a-fA-F]{8,}(;[12])?$")


# As many as are up at once on a great PBX; every call brings new names, so what is kept is memory.
@lru_cache(maxsize=32_768)
def endpoint(channel_name: str) -> str:
    """The channel's technology and peer without its own tail: `PJSIP/251-0000000e` -> `PJSIP/251`."""
    name = channel_name.removesuffix("<ZOMBIE>")
    return _TAIL.sub("", name)


def peer(channel_name: str) -> str:
    """What stands between the technology and the tail: `PJSIP/251-0000000e` -> `251`."""
    return endpoint(channel_name).partition("/")[2]


def local_twin(channel_name: str) -> str | None:
    """The name of a Local channel's other half, None for any other channel."""
    if channel_name.startswith("Local/"):
        if channel_name.endswith(";1"):
            return channel_name[:-1] + "2"
        if channel_name.endswith(";2"):
            return channel_name[:-1] + "1"
    return None


def shown_number(number: str) -> str | None:
    """A caller's number, None when it is withheld."""
    return None if number.strip().lower() in _WITHHELD else number.strip()


def dialled_number(dial_string: str) -> str | None:
    """The outside number in what `Dial()` was given, None when there is none.

    `PJSIP/36301234576@trunk`, `36301234576@trunk`, `trunk/sip:36301234576@host`, `SIP/trunk/3630...`,
    `DAHDI/g1/3630...` all give the number (dial strings as in `DialBegin` and in CDR `lastdata`).
    """
    text = dial_string.partition(",")[0].partition("&")[0]
    if "sip:" in text:
        number = text.partition("sip:")[2].partition("@")[0]
    elif "@" in text:
        number = text.partition("@")[0].rpartition("/")[2]
    else:
        number = text.rpartition("/")[2]
    return number if any(character.isdigit() for character in number) else None


_MOST_NAMED = 65_536
LONGEST_EXTENSION = 32
"""Characters; callers choose their numbers, and the operator's expression must not be busy with one."""


@dataclass(frozen=True)
class Numbering:
    """The PBX's numbers: `trunks` and `devices` are globs on endpoints, `users` is by extension."""

    trunks: tuple[str, ...] = ()
    extensions: re.Pattern[str] = re.compile(r"^\d{2,4}$")
    users: Mapping[str, User] = field(default_factory=dict)
    forward_is_answer: bool = True
    devices: tuple[str, ...] = ()
    """Telephones that bear another name than the extension at them, even one of an extension's shape."""
    _named: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What `is_named` found, by endpoint: every event of a channel asks it."""

    def is_trunk(self, channel_name: str) -> bool:
        """Whether the trunk list names this channel."""
        return _is_among(channel_name, self.trunks)

    def is_named(self, channel_name: str) -> bool:
        """Whether the channel's own name says which extension it is; that of a device does not."""
        where = endpoint(channel_name)
        known = self._named.get(where)
        if known is None:
            if len(self._named) >= _MOST_NAMED:
                self._named.clear()
            known = self.is_extension(peer(channel_name)) and not _is_among(channel_name, self.devices)
            self._named[where] = known
        return known

    def is_extension(self, number: str) -> bool:
        """Whether a number has an extension's shape."""
        return len(number) <= LONGEST_EXTENSION and self.extensions.search(number) is not None

    def role(self, channel_name: str, context: str = "") -> Role:
        """What the channel is. `context` is where it stood when it was first seen."""
        technology = channel_name.partition("/")[0]
        if technology == "Local":
            return Role.LOCAL
        if technology in _NOBODY:
            return Role.NOBODY
        if self.is_trunk(channel_name):
            return Role.OUTSIDE
        if self.is_extension(peer(channel_name)) or _is_among(channel_name, self.devices):
            return Role.EXTENSION
        return Role.EXTENSION if _INSIDE_CONTEXT.search(context) else Role.OUTSIDE

    def looks_originated(self, channel: ChannelSnapshot) -> bool:
        """Whether a line whose beginning was missed was rung by Asterisk itself (click to call, call back).

        A caller's line is not rung, and shows who calls or which number was dialled; one that Asterisk rang
        shows neither, or stands where extensions dial.
        """
        if self.role(channel.name, channel.context) is not Role.OUTSIDE:
            return False
        is_rung = channel.state in (0, 5)
        dialled_nothing = channel.exten in ("", "s") or _INSIDE_CONTEXT.search(channel.context) is not None
        return is_rung or (not channel.caller_number and dialled_nothing)

    def extension(self, channel: ChannelSnapshot, known: str = "") -> str:
        """The extension at this channel: its peer's name, or its number where the peer is a device.

        `known` is what it was so far: a device's extension is who is logged in there, which the dialplan
        may say late. A Local channel stands for the extension that the dialplan called by it, '' when it
        is none.
        """
        name = peer(channel.name)
        if channel.name.startswith("Local/"):
            called = name.partition("@")[0]
            followed = _FOLLOW_ME.fullmatch(called)
            called = followed[1] if followed is not None else called
            return called if self.is_extension(called) else ""
        if self.is_named(channel.name):
            return name
        number = channel.caller_number
        return number if self.is_extension(number) and number != name else known or name

    def user(self, extension: str | None) -> User:
        """The person at the extension; an empty `User` when nobody is known."""
        return self.users.get(extension or "", User())


def _is_among(channel_name: str, globs: tuple[str, ...]) -> bool:
    if not globs:
        return False
    name = endpoint(channel_name)
    return any(fnmatchcase(name, glob) for glob in globs)
