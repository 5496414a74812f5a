"""AMI bytes to tracked calls: events for each second of processor time, against libraries that do less.

    python bench/ami_events.py                     the carried stream: 900 calls at 60 a second, 76,420 events
    python bench/ami_events.py --capture FILE      another recorded stream; may be packed: .gz, .xz
    python bench/ami_events.py --made 900          calls made of one captured call instead, with its variables

Each reader runs in a process of its own, one after the other, several rounds; told are medians of
`time.process_time`. Whoever has a protocol (the bridge, panoramisk, cacofonisk) is handed the same reads of
64 KB; pystrix and pyst2 read from sockets only, and get the stream's beginning from a process on this host.
Peers beyond panoramisk are looked for in build/peers, which `bench/peers` makes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import ami_stream
from figures import Figure, add_arguments, tell

PEERS = Path(__file__).parents[1] / "build" / "peers"
READERS = Path(__file__).with_name("ami_readers.py")
ROUNDS = 7
SHORT_EVENTS, SLOW_EVENTS = 25_000, 10_000

GOALS = {"panoramisk": ("P1", 3.0), "cacofonisk": ("P2", 4.0)}
LACKS = {
    "panoramisk": "only parses and dispatches: no calls; a number with a line break forges events",
    "cacofonisk": "knows dial, answer, transfer, hang-up; no resynchronising, queues, variables, parking",
    "pystrix": "parses and dispatches in threads, read from a socket: no calls",
    "pyst2": "parses and dispatches in threads, read from a socket byte by byte: no calls",
}
NOT_DRIVEN = (
    "ami-push: left out: its handler is a generator that is awaited, which raises TypeError at every event"
)
SLOW = ("pystrix", "pyst2")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--capture", type=Path, help="a recorded stream")
    parser.add_argument("--made", type=int, metavar="CALLS", help="so many calls made of a captured one")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    what, data = _stream(arguments)
    peers = [peer for peer in LACKS if not arguments.short or peer == "panoramisk"]
    present = [peer for peer in peers if peer == "panoramisk" or (PEERS / peer).is_dir()]
    for peer in peers:
        if peer not in present:
            print(f"{peer}: left out: not in {PEERS.parent.name}/{PEERS.name}, which bench/peers makes")
    rates: dict[str, list[float]] = {reader: [] for reader in ("bridge", *present)}
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder, "whole"), Path(folder, "part")
        whole.write_bytes(data)
        part.write_bytes(_first(data, SLOW_EVENTS))
        for _ in range(1 if arguments.short else arguments.rounds):
            for reader in list(rates):
                rate = _rate(reader, part if reader in SLOW else whole)
                if rate is None:
                    print(f"{reader}: left out: it lost hang-ups of this stream")
                    del rates[reader]
                else:
                    rates[reader].append(rate)
    if not arguments.short and (PEERS / "ami-push").is_dir():
        print(NOT_DRIVEN)
    tell([_figure(peer, what, rates) for peer in present if peer in rates], arguments)


def _stream(arguments: argparse.Namespace) -> tuple[str, bytes]:
    if arguments.capture is not None:
        what, data = arguments.capture.name, ami_stream.read(arguments.capture)
    elif arguments.made is not None:
        what, data = f"{arguments.made} made calls at 60/s", ami_stream.made(arguments.made, 60.0)
    else:
        what, data = "900 calls at 60/s", ami_stream.read(ami_stream.CARRIED)
    if arguments.short:
        data = _first(data, SHORT_EVENTS)
    return f"{what}, {ami_stream.events_in(data):,} events", data


def _first(data: bytes, events: int) -> bytes:
    """The beginning of the stream."""
    place = 0
    for _ in range(events):
        place = data.find(b"\r\n\r\n", place) + 4
        if place < 4:
            return data
    return data[:place]


def _rate(reader: str, stream: Path) -> float | None:
    """Events for each second of processor time; None for a reader of sockets that lost some."""
    environment = {**os.environ, "PYTHONPATH": str(PEERS / reader)} if reader != "bridge" else None
    ran = subprocess.run(
        [sys.executable, str(READERS), reader, str(stream)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    # Some libraries print what they do not understand.
    told = json.loads(ran.stdout.splitlines()[-1])
    if reader in SLOW and told["hung_up"] < told["channels"]:
        return None
    return float(told["events"] / told["cpu_s"])


def _figure(peer: str, what: str, rates: dict[str, list[float]]) -> Figure:
    ours, theirs = (statistics.median(rates[reader]) for reader in ("bridge", peer))
    measure, goal = GOALS.get(peer, ("P1", None))
    return Figure(
        measure=measure,
        what=f"AMI bytes to tracked calls ({what})",
        ours=f"{ours:,.0f} events per CPU second",
        against=f"{peer} {theirs:,.0f}",
        ratio=ours / theirs,
        goal=f">= {goal:g} x" if goal is not None else "none: told for comparison",
        is_met=ours / theirs >= goal if goal is not None else None,
        remark=f"{peer} {LACKS[peer]}; medians of {len(rates['bridge'])}",
    )


if __name__ == "__main__":
    main()
