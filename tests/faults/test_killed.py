"""The bridge killed without warning, again and again, while calls go on: each is told, and told once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import reliability
from bridge_process import BridgeProcess
from faulty_server import FaultyServer, Received, running
from played_pbx import PlayedPbx
from told import CONFIGURATION, NOTICE, check, told, wait_for_all


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running() as made:
        yield made


@pytest.mark.timeout(reliability.rounds(300, 3600))
@pytest.mark.parametrize("answers_after_s", [0.0, 0.2], ids=["quick receiver", "slow receiver"])
def test_a_bridge_killed_again_and_again_tells_every_call_once(
    tmp_path: Path, server: FaultyServer, answers_after_s: float
) -> None:
    def slowly(sock: object, request: Received) -> bool:
        server.closed.wait(answers_after_s)
        return server.replies()(sock, request)  # type: ignore[arg-type]

    server.answer = slowly
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chances = random.Random(seed)
    kills = reliability.rounds(10, 100)
    restarts: list[float] = []
    with PlayedPbx(tmp_path, per_s=10, seed=seed) as pbx:
        bridge = BridgeProcess(
            tmp_path,
            CONFIGURATION.format(ami=pbx.ami.port, folder=tmp_path, http=server.port, notice=NOTICE),
        )
        # The very first start tells nothing of the past: it is done before calls come.
        bridge.start()
        bridge.wait_for("reconcile.done")
        pbx.begin()
        for _ in range(kills):
            # The fault itself: a moment nobody chose, while starting, at work, or in the middle of a commit.
            threading.Event().wait(chances.uniform(0.3, 2.5))
            bridge.kill()
            restarts.append(time.time())
            bridge.launch()
        pbx.quiet()
        missing = wait_for_all(server, pbx.calls)
        bridge.stop()
    found = told(server.received)
    reliability.record(
        f"killed (kill -9) at random while calls come, {'slow' if answers_after_s else 'quick'} receiver",
        rounds=kills,
        calls=len(pbx.calls),
        lost=len(missing),
        duplicates=found.duplicates,
        recovery_s=_recovered(bridge, restarts),
    )
    assert not missing, bridge.log()
    check(found, pbx.calls)


def _recovered(bridge: BridgeProcess, restarts: list[float]) -> list[float]:
    """The seconds from each restart to the next delivery, even if that is a later life's."""
    sent = [
        datetime.fromisoformat(line["timestamp"]).timestamp()
        for line in bridge.lines
        if line["event"] == "delivery.sent"
    ]
    return [next(at for at in sent if at > restart) - restart for restart in restarts]
