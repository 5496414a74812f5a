"""An exchange with calls coming, a wire to it that can be cut, a bridge behind that, and its receiver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import reliability
from bridge_process import BridgeProcess
from faulty_server import FaultyServer, running
from played_pbx import PlayedPbx
from relay import Relay
from told import CONFIGURATION, NOTICE, check, told, wait_for_all


class Line:
    """All of it; `begin` first, `finish` at the end."""

    def __init__(self, folder: Path, pbx: PlayedPbx, wire: Relay, server: FaultyServer) -> None:
        self.pbx = pbx
        self.wire = wire
        self.server = server
        self.bridge = BridgeProcess(
            folder,
            CONFIGURATION.format(ami=wire.port, folder=folder, http=server.port, notice=NOTICE),
        )

    def begin(self) -> None:
        self.bridge.start()
        self.bridge.wait_for("reconcile.done")
        self.pbx.begin()

    def reconnects(self, fault: Callable[[], None], *, within_s: float = 30.0) -> float:
        """Brings the fault about; the seconds from then until the bridge is connected again."""
        mark = self.bridge.mark()
        began = time.monotonic()
        fault()
        self.bridge.wait_for("ami.connected", within_s, after=mark)
        return time.monotonic() - began

    def finish(
        self, fault: str, rounds: int, recovery_s: list[float], note: str = "", *, was_there: bool = False
    ) -> None:
        """No more calls; every one must have been told. `was_there`: see `check`."""
        self.pbx.quiet()
        missing = wait_for_all(self.server, self.pbx.calls, notices=was_there)
        self.bridge.stop()
        found = told(self.server.received)
        reliability.record(
            fault,
            rounds=rounds,
            calls=len(self.pbx.calls),
            lost=len(missing),
            duplicates=found.duplicates,
            recovery_s=recovery_s,
            note=note,
        )
        assert not missing, self.bridge.log()
        check(found, self.pbx.calls, was_there=was_there)
        assert found.duplicates == 0


@contextmanager
def laid(folder: Path) -> Iterator[Line]:
    """A line with ten calls a second, its files in `folder`."""
    with running() as server, PlayedPbx(folder, per_s=10) as pbx, Relay(pbx.ami.port) as wire:
        yield Line(folder, pbx, wire, server)
