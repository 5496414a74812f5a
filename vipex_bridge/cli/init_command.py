"""`init`: Asterisk's side and a configuration for the PBX on this machine; `--undo` takes it all back."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from vipex_bridge.cli import place
from vipex_bridge.cli.main import DEFAULT_CONFIG
from vipex_bridge.cli.progress import progress
from vipex_bridge.cli.telling import tell_line
from vipex_bridge.errors import BridgeError
from vipex_bridge.setup import found as finding
from vipex_bridge.setup import shipped, write
from vipex_bridge.setup.found import Found, look
from vipex_bridge.setup.journal import Journal, load
from vipex_bridge.setup.plan import Plan
from vipex_bridge.setup.proposal import Places, in_words, propose
from vipex_bridge.setup.tree import Tree
from vipex_bridge.setup.undo import remains, undo
from vipex_bridge.setup.write import Changes

_STORE = "var/lib/vipex-bridge/state.db"
_SOCKET = "run/vipex-bridge/agi.sock"
_SYSTEM_PYTHON = "/usr/bin/python3"
_STATES = {"new": "+", "newer": "~", "same": "=", "left": "!"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where Asterisk is, and whether to ask."""
    parser.add_argument("--yes", action="store_true", help="write without asking")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--undo", action="store_true", help="take back what init wrote")
    place.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Proposes, asks, writes, and says what is left to do by hand."""
    root = Path(arguments.root)
    if not root.is_dir():
        raise BridgeError(f"{root} is no folder: --root names the one that is Asterisk's root")
    tree = Tree(root)
    places = _places(arguments.config, tree)
    journal = load(places.folder / "init")
    if arguments.undo:
        return _undo(journal, is_dry=arguments.dry_run)
    found = look(tree, shipped.texts(), arguments.asterisk_conf)
    plan = propose(found, shipped.texts(), places, _secret(places), lambda path: str(tree.real(path)))
    due = write.changes(plan, journal, tree.real, tree.real(arguments.asterisk_conf))
    _show(found, due)
    if arguments.dry_run or not due.due:
        _show_rest(plan, due, places, tree, is_done=not due.due)
        return 0
    if not arguments.yes and not _agreed():
        return 2 if not sys.stdin.isatty() else 1
    with progress("writing", due.due) as shown:

        def written(path: Path) -> None:
            shown.say(f"written: {path}")
            shown.step()

        write.apply(due, journal, compiles=tree.is_this_machine, step=written)
    _show_rest(plan, due, places, tree, is_done=True)
    return 0


def _places(config: str, tree: Tree) -> Places:
    """Where the bridge's own things go: below Asterisk's root, and beside a configuration named by hand."""
    is_default = config == DEFAULT_CONFIG
    file = tree.root / config.lstrip("/") if is_default else Path(config).absolute()
    return Places(
        config=file,
        store=tree.root / _STORE if is_default else file.parent / "state.db",
        agi_socket=tree.root / _SOCKET,
        python=sys.executable if tree.is_this_machine else _SYSTEM_PYTHON,
    )


def _secret(places: Places) -> str:
    """The secret that is kept already, else a new one."""
    try:
        kept = places.secret.read_text("utf-8").strip()
    except FileNotFoundError:
        kept = ""
    except (OSError, UnicodeError):
        raise BridgeError(f"{places.secret} cannot be read: run this as root") from None
    return kept or secrets.token_urlsafe(24)


def _undo(journal: Journal, *, is_dry: bool) -> int:
    if journal.is_empty:
        tell_line(f"nothing to take back: there is no {journal.file}")
        return 0
    for line in undo(journal, is_dry=is_dry):
        tell_line(line)
    if is_dry:
        return 0
    left = remains(journal)
    tell_line("then: asterisk -rx 'core reload'")
    return 1 if left else 0


def _show(found: Found, due: Changes) -> None:
    tell_line(in_words(found))
    if not found.is_supported:
        tell_line(f"! the bridge is made for Asterisk {finding.OLDEST} to {finding.NEWEST}")
    tell_line(f"CDR back ends in use: {', '.join(found.back_ends) or 'none'}")
    tell_line(f"outside lines: {', '.join(found.trunks) or 'none found'}")
    for file in due.files:
        note = f": {file.why_left}" if file.why_left else ""
        note = ", in place of the example that was shipped" if file.replaced is not None else note
        tell_line(f"{_STATES[file.state]} {file.path} ({file.what}){note}")
    for block in due.blocks:
        tell_line(f"+ {block.path}, at its end: {'; '.join(block.lines)}")


def _show_rest(plan: Plan, due: Changes, places: Places, tree: Tree, *, is_done: bool) -> None:
    by_hand = [*plan.by_hand]
    by_hand += [f"{file.path} {file.why_left}: it is left as it is" for file in due.files if file.why_left]
    if write.bridges_group() is None and tree.is_this_machine:
        by_hand.append(
            "useradd --system --home-dir /var/lib/vipex-bridge --shell /usr/sbin/nologin vipex-bridge; "
            f"chgrp -R vipex-bridge {places.folder}"
        )
    if not tree.is_this_machine:
        by_hand.append(
            f"AGI(vipex-lookup,...) needs pyst2 for {_SYSTEM_PYTHON} in {tree.root}; agi:// does not"
        )
    if by_hand:
        tell_line("by hand:")
    for line in by_hand:
        tell_line(f"  {line}")
    if is_done and not due.due:
        tell_line("nothing is to be written: everything is in place")
    tell_line("then:")
    for command in plan.commands:
        tell_line(f"  asterisk -rx '{command}'")
    tell_line(f"  vipex-bridge doctor --config {places.config}")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("vipex-bridge: nothing was written: say --yes where nobody can be asked", file=sys.stderr)
        return False
    print("Write this? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "i", "igen")
