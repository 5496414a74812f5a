"""`try CLIENT`: sends the sample (or a given) request once and prints the answer."""

from __future__ import annotations

import argparse
import asyncio

from vipex_bridge.bridge.trial import Trial, as_seen, tried
from vipex_bridge.cli import render_command
from vipex_bridge.cli.configuration import client_of, load_working
from vipex_bridge.cli.telling import tell
from vipex_bridge.deliver.http import Transport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The same as `render`."""
    render_command.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints request and answer; 0 when the client would count it as a success."""
    settings = load_working(arguments.config)
    client = client_of(settings, arguments.client)
    request = render_command.request_of(settings, client, arguments)
    sent = as_seen(render_command.request_to_show(settings, client, arguments), client, settings)
    tell(sent, end="\n\n")
    transport = Transport()
    try:
        trial = asyncio.run(tried(settings, transport, client, request, sent))
    finally:
        transport.close()
    _tell_answer(trial)
    return 0 if trial.is_well else 1


def _tell_answer(trial: Trial) -> None:
    if trial.status is not None:
        tell(f"HTTP {trial.status} after {(trial.elapsed_s or 0.0) * 1000:.0f} ms\n{trial.came}".rstrip())
    if not trial.verdict:
        if trial.fault:
            tell(f"no answer: {trial.fault}")
        return
    if trial.status is not None:
        tell("")
    tell(f"VIPEX_STATUS={trial.verdict}\nVIPEX_HTTP_CODE={'' if trial.status is None else trial.status}")
    for name, value in trial.variables:
        tell(f"{name}={value}")
    if trial.fault:
        tell(f"({trial.fault})")
