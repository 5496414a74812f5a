"""`receive`: a receiving server that shows and checks each request, and can misbehave on demand."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vipex_bridge.cli.arguments import an_address
from vipex_bridge.config.settings import Secret
from vipex_bridge.config.signing import signing_key
from vipex_bridge.receive.faults import parse_faults
from vipex_bridge.receive.server import parse_answer, serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen, what to answer, how to misbehave."""
    parser.add_argument("--listen", type=an_address, default="127.0.0.1:9000", metavar="HOST:PORT")
    parser.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="PATH=JSON",
        help="what a path answers, as JSON or a file that holds it (repeatable)",
    )
    parser.add_argument(
        "--fault",
        default="",
        metavar="LIST",
        help="misbehave in turn: slow,500,429:10s,302,reset,hang,drip,cut,nonsense,huge,ok",
    )
    parser.add_argument(
        "--signing-secret",
        metavar="FILE",
        help="holds a client's signing_secret: says of each request whether its signature is good",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves until interrupted."""
    host, port = arguments.listen
    try:
        answers = dict(parse_answer(text) for text in arguments.answer)
        faults = parse_faults(arguments.fault) if arguments.fault else ()
        key = signing_key(_secret_in(arguments.signing_secret)) if arguments.signing_secret else b""
    except (ValueError, OSError) as error:
        print(f"vipex-bridge receive: {error}", file=sys.stderr)
        return 2
    serve(
        host,
        port,
        faults=faults,
        answers=answers,
        stream=sys.stdout,
        signing_key=key,
    )
    return 0


def _secret_in(file: str) -> Secret:
    secret = Path(file).read_text("utf-8").rstrip("\r\n")
    if not secret:
        raise ValueError(f"{file} is empty")
    return Secret(secret)
