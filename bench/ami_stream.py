"""Streams of the manager interface for measurements: a carried one, and calls made of one captured call."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CARRIED = Path(__file__).parent / "captures" / "load_60cps.ami.log.xz"
CAPTURED = Path(__file__).parents[1] / "tests" / "captures" / "b_inbound_simple" / "ami.log.gz"
READ_BYTES = 64 * 1024

_END = b"\r\n\r\n"
_TIMESTAMP = re.compile(rb"\r\nTimestamp: (\d+\.\d+)\r\n")
_UNIQUEID = re.compile(rb"\b(\d{10})\.(\d+)\b(?=\r\n|$)")
_CHANNEL = re.compile(rb"(PJSIP/\w+)-([0-9a-f]{8})\b")
_BRIDGE = re.compile(rb"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})-[0-9a-f]{12}\b")


def read(path: Path) -> bytes:
    """A capture, packed or not, without what it began with: banner and answers to the log-in."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".xz":
        data = lzma.decompress(data)
    return data[data.find(b"\r\nEvent: ") + 2 :]


def reads(data: bytes) -> list[bytes]:
    """The stream as it would be read from a socket."""
    return [data[start : start + READ_BYTES] for start in range(0, len(data), READ_BYTES)]


def events_in(data: bytes) -> int:
    """How many events there are."""
    return data.count(b"\r\nEvent: ") + data.startswith(b"Event: ")


@dataclass(frozen=True, slots=True)
class Captured:
    """The blocks of one captured call, each with its time; `up` of them come before the first hang-up."""

    blocks: list[tuple[float, bytes]]
    up: int

    def again(self, number: int, later_s: float) -> Iterator[tuple[float, bytes]]:
        """The same call on other channels, so much later."""

        def uniqueid(found: re.Match[bytes]) -> bytes:
            return b"%d.%d" % (int(found[1]) + int(later_s), int(found[2]) + 2 * number)

        def channel(found: re.Match[bytes]) -> bytes:
            return b"%b-%08x" % (found[1], int(found[2], 16) + 2 * number)

        for at, block in self.blocks:
            moved = _UNIQUEID.sub(uniqueid, _CHANNEL.sub(channel, block))
            moved = _BRIDGE.sub(rb"\1-%012x" % number, moved)
            moved = _TIMESTAMP.sub(b"\r\nTimestamp: %.6f\r\n" % (at + later_s), moved + b"\r\n")
            yield at + later_s, moved + b"\r\n"


def captured() -> Captured:
    """One inbound call: rings, is answered, five seconds of talk."""
    data = read(CAPTURED)
    blocks = []
    for block in data[data.index(b"Event: Newchannel") :].split(_END):
        found = _TIMESTAMP.search(block + b"\r\n")
        if found is not None:
            blocks.append((float(found[1]), block))
    return Captured(blocks, next(n for n, (_, block) in enumerate(blocks) if b"HangupRequest" in block))


def made(calls: int, per_second: float) -> bytes:
    """So many of these calls, one beginning after the other, mixed by time."""
    call = captured()
    blocks = [block for n in range(calls) for block in call.again(n, n / per_second)]
    blocks.sort(key=lambda block: block[0])
    return b"".join(block for _, block in blocks)
