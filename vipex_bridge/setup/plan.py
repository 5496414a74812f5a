"""What is to be written for the Asterisk that was found, and what only its operator can write. Pure.

No line that is there already is changed: there are files of our own, and where one of Asterisk's files must
include one of them, a marked block at its end. On FreePBX, which writes its files anew, that block goes into
the `_custom.conf` file that it leaves to the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from vipex_bridge.setup.conf import Conf
from vipex_bridge.setup.found import Found

BEGIN = "; vipex-bridge: begin. `vipex-bridge init --undo` takes these lines back."
END = "; vipex-bridge: end."

WRITTEN = "; Written by vipex-bridge init; `vipex-bridge init --undo` takes it back.\n"


@dataclass(frozen=True, slots=True)
class Own:
    """A file of our own; its path is Asterisk's, or this machine's where it is the bridge's."""

    path: str
    text: str = field(repr=False)
    what: str
    mode: int = 0o644
    is_bridges: bool = False
    instead_of: str = field(default="", repr=False)
    """A text that may stand there and is replaced; '' for none."""
    if_left: str = ""
    """What to write by hand where somebody else's file is there."""


@dataclass(frozen=True, slots=True)
class Addition:
    """Lines to be put, as a marked block, at the end of one of Asterisk's files, be it there or not."""

    path: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table in a SQLite file; `columns` has what is called otherwise than by us (None: not there)."""

    file: str
    name: str
    columns: Mapping[str, str | None]
    time_format: str | None = None


@dataclass(slots=True)
class Draft:
    """A plan while it is made: every part adds to it."""

    found: Found
    shipped: Mapping[str, str]
    own: list[Own] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def conf(self, name: str) -> Conf:
        """One of Asterisk's files."""
        return self.found.confs[name]

    def path(self, name: str) -> str:
        """A file in Asterisk's configuration folder."""
        return f"{self.found.etc}/{name}"

    def place_of(self, name: str) -> str | None:
        """The file to whose end a block may be added so that `name` includes it; None when there is none.

        Why there is none goes to `by_hand`.
        """
        conf = self.conf(name)
        if conf.faults:
            self.by_hand += conf.faults
            return None
        custom = self._custom_of(conf)
        if custom is not None:
            return custom
        if conf.path in self.found.linked or (conf.exists and conf.is_generated):
            return None
        return conf.path

    def _custom_of(self, conf: Conf) -> str | None:
        """FreePBX's file for the operator's own lines: the nearest to the main file."""
        if not self.found.is_freepbx:
            return None
        targets = [i.target for i in conf.includes if i.target.endswith("_custom.conf")]
        stem = PurePosixPath(conf.path).stem
        wanted = [f"{stem}_custom.conf", f"{stem}_general_custom.conf"]
        named = [t for name in wanted for t in targets if PurePosixPath(t).name == name]
        return next(iter([*named, *targets]), None)

    def include(self, name: str, own: str) -> bool:
        """Has Asterisk's file `name` include our file `own`; tells what to do where that cannot be."""
        if self.conf(name).include_of(self.path(own)) is not None:
            return True
        line = f'#include "{own}"'
        place = self.place_of(name)
        if place is None:
            self.by_hand.append(f"{self.path(name)}: add the line {line} where it will stay")
            return False
        self.additions.append(Addition(place, (line,)))
        return True

    def known_before(self, name: str, own: str) -> frozenset[str]:
        """The sections that are known where `name` includes, or will include, our file."""
        conf = self.conf(name)
        included = conf.include_of(self.path(own))
        if included is not None:
            return included.known
        place = self._custom_of(conf) or conf.path
        custom = conf.include_of(place)
        known = conf.known_after.get(place)
        return known if known is not None else custom.known if custom is not None else frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done, in the order in which it is done."""

    own: tuple[Own, ...]
    additions: tuple[Addition, ...]
    by_hand: tuple[str, ...]
    commands: tuple[str, ...]
    """What Asterisk's console is to be told afterwards."""


def block(lines: tuple[str, ...], before: str) -> str:
    """What is added to a file that ends with `before`: a marked block, on lines of its own."""
    start = "" if not before or before.endswith("\n") else "\n"
    return start + "".join(f"{line}\n" for line in (BEGIN, *lines, END))


def without(text: str, added: str) -> str | None:
    """The text without a block that was added to it; None when it is not there as it was written."""
    before, found, after = text.rpartition(added)
    if found:
        return before + after
    # Whoever edited the file may have joined what we began a line for.
    lines = added.removeprefix("\n")
    before, found, after = text.rpartition(lines)
    return before + after if found and (not before or before.endswith("\n")) else None


def finished(draft: Draft) -> Plan:
    """The plan: blocks for one file become one, own files come once, nothing is told twice."""
    lines: dict[str, list[str]] = {}
    for addition in draft.additions:
        lines.setdefault(addition.path, []).extend(addition.lines)
    return Plan(
        tuple({own.path: own for own in draft.own}.values()),
        tuple(Addition(path, tuple(dict.fromkeys(said))) for path, said in lines.items()),
        tuple(dict.fromkeys(draft.by_hand)),
        tuple(dict.fromkeys(draft.commands)),
    )


Seen = Callable[[str], str]
"""Where this machine has a file that Asterisk sees at a path."""
