"""`vipex-bridge COMMAND`: arguments in, an exit code out (contract, section 1)."""

from __future__ import annotations

import argparse
import io
import sys
from importlib import import_module
from typing import Any

from vipex_bridge import __version__
from vipex_bridge.cli import journal
from vipex_bridge.errors import BridgeError, ConfigurationError, UsageError
from vipex_bridge.printable import printable

COMMANDS = {
    "run": "the daemon",
    "check": "validate the configuration",
    "doctor": "try everything that the configuration names",
    "init": "Asterisk's side and a configuration, for the PBX on this machine",
    "render": "print the request a client would send",
    "try": "send it, and print the answer",
    "calls": "recent calls, or one call as JSON and as a time line",
    "explain": "why a call was told as it was",
    "deliveries": "the delivery log",
    "resend": "send deliveries again",
    "replay": "build calls again from the CDR source and queue them again",
    "reconcile": "compare the CDR source with what was told, and tell what is missing",
    "capture": "record the live AMI stream",
    "simulate": "the requests that a recorded AMI stream would make",
    "schema": "the JSON Schema of what is sent by default",
    "receive": "a receiving server that shows each request",
    "demo": "real calls on this machine, from Asterisk to a receiving server",
}
"""Each command is the module `NAME_command` of this package, with `add_arguments` and `run`."""

DEFAULT_CONFIG = "/etc/vipex-bridge/config.yaml"


def main(argv: list[str] | None = None) -> int:
    """Runs one command. 0 well, 1 failed, 2 wrong usage or configuration; errors are one line."""
    parser = argparse.ArgumentParser(
        prog="vipex-bridge", description="The bridge between an Asterisk PBX and HTTP REST servers."
    )
    parser.add_argument("--version", action="version", version=f"vipex-bridge {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name may hold what the locale's encoding has no bytes for.
        sys.stdout.reconfigure(errors="backslashreplace")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE")
        if name in words[:1]:
            _module(name).add_arguments(command)
    arguments = parser.parse_args(words)
    try:
        return int(_module(arguments.command).run(arguments))
    except ConfigurationError as error:
        for fault in error.faults:
            _say(str(fault))
        return 2
    except BridgeError as error:
        _say(f"vipex-bridge: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return 1


def _say(fault: str) -> None:
    begins = journal.prefix("error") if journal.is_there() else ""
    print(f"{begins}{printable(fault)}", file=sys.stderr)


def _module(name: str) -> Any:
    return import_module(f"vipex_bridge.cli.{name}_command")


if __name__ == "__main__":
    sys.exit(main())
