"""The whole proposal: Asterisk's side and the bridge's own, from what was found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vipex_bridge.setup import asterisk_side
from vipex_bridge.setup.configuration import Choices, text_of
from vipex_bridge.setup.found import Found
from vipex_bridge.setup.plan import Draft, Own, Plan, Seen, Table, finished


@dataclass(frozen=True, slots=True)
class Places:
    """Where the bridge's own things are to be, on this machine."""

    config: Path
    store: Path
    agi_socket: Path
    python: str
    """What runs the AGI scripts, as Asterisk sees it."""

    @property
    def folder(self) -> Path:
        """The configuration's folder."""
        return self.config.parent

    @property
    def secret(self) -> Path:
        """The file with the AMI user's secret."""
        return self.folder / "secrets/ami-secret"


def propose(found: Found, shipped: Mapping[str, str], places: Places, secret: str, seen: Seen) -> Plan:
    """All that is to be written. `secret` serves where the AMI user has none yet."""
    draft = Draft(found, shipped)
    secret = asterisk_side.known_secret(draft) or secret
    user = asterisk_side.ami(draft, secret)
    cdr = _seen(asterisk_side.cdr(draft), seen)
    cel = _seen(asterisk_side.cel(draft), seen)
    listen = asterisk_side.dialplan(draft)
    asterisk_side.scripts(draft, places.python)
    choices = Choices(
        asterisk=in_words(found),
        ami=user,
        agi_listen=listen,
        agi_socket=places.agi_socket,
        cdr=cdr,
        cel=cel,
        recordings=Path(seen(f"{found.spool}/monitor")),
        zone=found.zone,
        trunks=found.trunks,
        extension_lengths=found.extension_lengths,
        store=places.store,
        is_freepbx=found.is_freepbx,
    )
    example = shipped["config.yaml"]
    folder = places.folder
    draft.own += [
        Own(str(places.secret), f"{secret}\n", "the AMI user's secret", 0o640, is_bridges=True),
        Own(f"{folder}/config.example.yaml", example, "every key, explained", 0o640, is_bridges=True),
        Own(
            str(places.config),
            text_of(choices),
            "the bridge's configuration",
            0o640,
            is_bridges=True,
            # The Debian package brings it, with a secret that no AMI user has.
            instead_of=example,
            if_left=f"write `username: {user.username}` and `secret: !file {places.secret}` "
            "under asterisk.ami",
        ),
    ]
    if not found.trunks:
        draft.by_hand.append(f"{places.config}: name your outside lines under numbers.trunks: none was found")
    if found.has_devices:
        draft.by_hand.append(
            f"{places.config}: name the devices under numbers.devices: FreePBX is in device-and-user mode"
        )
    return finished(draft)


def in_words(found: Found) -> str:
    """What was found, in one line."""
    version = f"Asterisk {found.version}" if found.version else "an Asterisk of unknown version"
    return f"{version}{' under FreePBX' if found.is_freepbx else ''}, configured in {found.etc}"


def _seen(table: Table | None, seen: Seen) -> Table | None:
    return replace(table, file=seen(table.file)) if table is not None else None
