"""`simulate CAPTURE`: the requests that a recorded AMI stream would make each client get."""

from __future__ import annotations

import argparse
import difflib
import gzip
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path

from vipex_bridge.ami.recorded import events_of, is_recording
from vipex_bridge.bridge.simulation import Simulated, simulate
from vipex_bridge.calls.events import CallEvent, VariableSet
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.columns import to_row
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.opened import local
from vipex_bridge.cli.telling import tell
from vipex_bridge.config.presets import TEXT_TIME
from vipex_bridge.config.settings import Settings
from vipex_bridge.deliver.fill import masked
from vipex_bridge.errors import BridgeError, SourceError
from vipex_bridge.printable import printable
from vipex_bridge.privacy import keys_masked
from vipex_bridge.render.request import as_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CAPTURE, its rows, and another configuration to compare with."""
    parser.add_argument(
        "capture",
        metavar="CAPTURE",
        help="a file of `vipex-bridge capture`, plain or .gz; or a folder with ami.log(.gz) and cdr.jsonl",
    )
    parser.add_argument(
        "--cdr", metavar="FILE", help="the calls' CDR rows, one JSON object a line, by column name"
    )
    parser.add_argument(
        "--against", metavar="OTHER-CONFIG", help="print what that configuration would change"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints every request in the order of time; with `--against` the difference, and 1 if there is one."""
    capture, cdr = _files(Path(arguments.capture), arguments.cdr)
    data = _read(capture)
    settings = load_working(arguments.config)
    hides_keys = settings.privacy.mask_digits
    text = _told(settings, data, cdr, hides_keys=hides_keys)
    if arguments.against is None:
        tell("\n".join(text))
        return 0
    other = _told(load_working(arguments.against), data, cdr, hides_keys=hides_keys)
    difference = list(
        difflib.unified_diff(text, other, arguments.config, arguments.against, lineterm="", n=5)
    )
    tell("\n".join(difference) if difference else "the same requests")
    return 1 if difference else 0


def _files(capture: Path, cdr: str | None) -> tuple[Path, Path | None]:
    """The stream, and its rows if there are any; a folder holds both, as `tests/captures` has them."""
    rows = Path(cdr) if cdr is not None else None
    if not capture.is_dir():
        return capture, rows
    streams = [path for name in ("ami.log.gz", "ami.log") if (path := capture / name).is_file()]
    if not streams:
        raise BridgeError(f"{capture}: holds no ami.log and no ami.log.gz")
    own = capture / "cdr.jsonl"
    return streams[0], rows or (own if own.is_file() else None)


def _told(settings: Settings, data: bytes, cdr: Path | None, *, hides_keys: bool) -> list[str]:
    rows = _rows(cdr, settings) if cdr is not None else []
    events = events_of(data)
    if hides_keys:
        # Before anything is rendered: a client's own format may send the keys under any name.
        events = (_without_keys(event) for event in events)
        rows = [replace(row, ivr_digits=keys_masked(row.ivr_digits or "") or None) for row in rows]
    simulation = simulate(settings, events, rows)
    lines = [line for told in simulation.told for line in _lines(told, settings)]
    for key in simulation.unfinished:
        told = f"call {key} was still up when the recording ended: it is not told"
        print(printable(told), file=sys.stderr)
    return lines or ["nothing is told to anybody"]


def _without_keys(event: CallEvent) -> CallEvent:
    if isinstance(event, VariableSet) and event.name == "VIPEX_IVR_DIGITS":
        return replace(event, value=keys_masked(event.value))
    return event


def _lines(told: Simulated, settings: Settings) -> list[str]:
    moment = f"{local(told.at, settings.timezone)}.{int(told.at * 1000) % 1000:03d}"
    lines = [f"== {moment}  {told.client}: {told.event} of call {told.call_id}"]
    if told.request is None:
        lines.append(f"cannot be rendered: {told.error}")
    else:
        lines += as_text(masked(told.request, settings.clients[told.client])).splitlines()
    return [*lines, ""]


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error) as error:
        raise BridgeError(f"{path}: cannot be read: {error}") from None
    if not is_recording(data):
        raise BridgeError(f"{path}: is no capture: there is no message of the manager interface in it")
    return data


def _rows(path: Path, settings: Settings) -> list[CdrRow]:
    """The rows by the column names of the configured source, or by our own."""
    columns = settings.cdr.columns if settings.cdr is not None else {}
    time_format = settings.cdr.time_format if settings.cdr is not None else TEXT_TIME
    rows = []
    try:
        # Not splitlines(): JSON may hold other line separators as they are, in a name for instance.
        lines = path.read_text("utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BridgeError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise SourceError("is no JSON object")
            values |= {ours: values[theirs] for ours, theirs in columns.items() if theirs in values}
            rows.append(to_row(values, settings.timezone, time_format))
        except (ValueError, SourceError) as error:
            raise BridgeError(f"{path}:{number}: {error}") from None
    return rows
