"""One reader of a stream of the manager interface, run by ami_events.py in a process of its own.

    python bench/ami_readers.py READER FILE

Prints {"events": .., "cpu_s": .., "hung_up": .., "channels": ..}. `hung_up` is how many calls ended, or
channels for who knows no calls; `channels` is how many hang-ups there are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import Any, cast

import ami_stream

WAITED_S = 30.0
"""For the last hang-up: who has lost one by then will not find it."""
BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def bridge(reads: list[bytes], data: bytes) -> tuple[float, int]:
    """What `ami.session` and `bridge.live` do for each read; every event comes to the tracker."""
    from vipex_bridge.ami.framing import Framer
    from vipex_bridge.ami.resync import Resync
    from vipex_bridge.ami.translate import worth_reading
    from vipex_bridge.bridge.live import Live
    from vipex_bridge.bridge.telling import Telling
    from vipex_bridge.calls.events import CallEvent
    from vipex_bridge.calls.numbering import Numbering
    from vipex_bridge.calls.tracker import Tracker
    from vipex_bridge.store.store import Store

    tracker = Tracker(Numbering(trunks=("PJSIP/trunk*",)))
    # Nothing is committed here, so store and clients are not asked for.
    live = Live(
        tracker,
        cast(Store, None),
        cast(Telling, None),
        on_ended=lambda *_: None,
        claiming=lambda: nullcontext(lambda writer, clients: None),
    )
    framer, resync = Framer(select=worth_reading), Resync("")
    resync.is_open = True
    began = time.process_time()
    for read in reads:
        arrival = time.time()
        events: list[CallEvent] = []
        for message in framer.feed(read):
            events += resync.take(message, arrival)
        if events:
            live.on_events(events)
    taken_s = time.process_time() - began
    assert not live.failed_events and not framer.malformed and not resync.malformed
    return taken_s, sum(record.hangup_told for record in tracker.calls())


def panoramisk(reads: list[bytes], data: bytes) -> tuple[float, int]:
    """A stock manager with one callback."""
    from panoramisk import Manager

    seen = _Counted()
    manager = Manager(loop=asyncio.new_event_loop())
    manager.register_event("Hangup", lambda manager, event: seen.add())
    return _through_protocol(manager, reads), seen.count


def cacofonisk(reads: list[bytes], data: bytes) -> tuple[float, int]:
    """Its event handler, registered as its `AmiRunner.attach` registers it, with a reporter that counts."""
    from cacofonisk.handlers import EventHandler  # type: ignore[import-not-found, unused-ignore]
    from cacofonisk.reporters import BaseReporter  # type: ignore[import-not-found, unused-ignore]
    from panoramisk import Manager

    seen = _Counted()

    class Reporter(BaseReporter):  # type: ignore[misc, unused-ignore]
        def on_hangup(self, **about: Any) -> None:
            seen.add()

    handler = EventHandler(reporter=Reporter(), logger=logging.getLogger("cacofonisk"))
    manager = Manager(loop=asyncio.new_event_loop(), encoding="utf8")
    for name in handler.event_handlers():
        manager.register_event(name, lambda manager, event: handler.on_event(event))
    return _through_protocol(manager, reads), seen.count


def _through_protocol(manager: Any, reads: list[bytes]) -> float:
    from panoramisk.ami_protocol import AMIProtocol

    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory, protocol.encoding = manager, "utf8"
    protocol.data_received(BANNER)
    began = time.process_time()
    for read in reads:
        protocol.data_received(read)
    return time.process_time() - began


def pystrix(reads: list[bytes], data: bytes) -> tuple[float, int]:
    """Its manager, which reads in one thread and dispatches in another."""
    from pystrix.ami import Manager  # type: ignore[import-not-found, unused-ignore]

    expected = data.count(b"Event: Hangup\r\n")
    seen = _Counted(expected)
    began = time.process_time()
    manager = Manager()
    manager.register_callback("Hangup", lambda event, manager: seen.add())
    manager.connect("127.0.0.1", _player(data))
    seen.whole.wait(WAITED_S)
    return time.process_time() - began, seen.count


def pyst2(reads: list[bytes], data: bytes) -> tuple[float, int]:
    """Its manager, which has three threads."""
    from asterisk.manager import Manager

    expected = data.count(b"Event: Hangup\r\n")
    seen = _Counted(expected)
    began = time.process_time()
    manager = Manager()
    manager.register_event("Hangup", lambda event, manager: seen.add())
    manager.connect("127.0.0.1", _player(data))
    seen.whole.wait(WAITED_S)
    return time.process_time() - began, seen.count


class _Counted:
    def __init__(self, expected: int = -1) -> None:
        self.count = 0
        self.whole = Event()
        self._expected = expected

    def add(self) -> None:
        self.count += 1
        if self.count == self._expected:
            self.whole.set()


def _player(data: bytes) -> int:
    """The port of a process that sends the stream to whoever connects, and ends with this one."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        signal.alarm(300)
        connection, _ = listener.accept()
        connection.sendall(BANNER + data)
        signal.pause()
    _players.append(pid)
    port: int = listener.getsockname()[1]
    return port


_players: list[int] = []


READERS: dict[str, Callable[[list[bytes], bytes], tuple[float, int]]] = {
    "bridge": bridge,
    "panoramisk": panoramisk,
    "cacofonisk": cacofonisk,
    "pystrix": pystrix,
    "pyst2": pyst2,
}


def main() -> None:
    _, reader, path = sys.argv
    data = Path(path).read_bytes()
    cpu_s, hung_up = READERS[reader](ami_stream.reads(data), data)
    told = {"events": ami_stream.events_in(data), "cpu_s": cpu_s, "hung_up": hung_up}
    print(json.dumps({**told, "channels": data.count(b"Event: Hangup\r\n")}), flush=True)
    for player in _players:
        os.kill(player, signal.SIGTERM)
    # The readers' threads know no end.
    os._exit(0)


if __name__ == "__main__":
    main()
