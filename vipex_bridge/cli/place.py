"""Where Asterisk is: the arguments of the commands that read its own files."""

from __future__ import annotations

import argparse

from vipex_bridge.setup.found import ASTERISK_CONF

ROOT = "/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Asterisk's root, and its main file."""
    parser.add_argument(
        "--root", default=ROOT, metavar="DIR", help="the folder that is Asterisk's root (default: /)"
    )
    parser.add_argument(
        "--asterisk-conf",
        default=ASTERISK_CONF,
        metavar="FILE",
        help=f"as `asterisk -C`, below the root (default: {ASTERISK_CONF})",
    )
