"""The bridge killed without warning, again and again, while calls go on: each is told, and told once."""

from __future__ import annotations

import random
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
import reliability
from bridge_process import BridgeProcess
from faulty_server import FaultyServer, Received
from played_pbx import PlayedPbx
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

LEFT_ALONE = 5
"""After every so many kills it is left alone until it has delivered something; how long it took is noted."""


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
    recovery_s: list[float] = []
    with PlayedPbx(tmp_path, per_s=10, seed=seed) as pbx:
        bridge = BridgeProcess(
            tmp_path,
            CONFIGURATION.format(ami=pbx.ami.port, folder=tmp_path, http=server.port, notice=NOTICE),
        )
        # The very first start tells nothing of the past: it is done before calls come.
        bridge.start()
        bridge.wait_for("reconcile.done")
        pbx.begin()
        for kill in range(1, kills + 1):
            # The fault itself: a moment nobody chose, while starting, at work, or in the middle of a commit.
            threading.Event().wait(chances.uniform(0.3, 2.5))
            bridge.kill()
            mark, restarted_at = bridge.mark(), time.time()
            bridge.launch()
            if kill % LEFT_ALONE == 0:
                sent = bridge.wait_for("delivery.sent", 60.0, after=mark)
                recovery_s.append(datetime.fromisoformat(sent["timestamp"]).timestamp() - restarted_at)
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
        recovery_s=recovery_s,
    )
    assert not missing, bridge.log()
    check(found, pbx.calls)
