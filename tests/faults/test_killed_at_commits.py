"""The bridge killed just before and just after each of its commits: every call is told, and told once."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest
import reliability
from asking import CLIENTS, Asking, asked_under, notified_under
from bridge_process import BridgeProcess
from delivering import wait_until
from faulty_server import running
from free_ports import free_port
from played_pbx import PlayedPbx
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

DYING = Path(__file__).parents[1] / "support" / "dying_bridge.py"
EXPECTED = {
    "daemon.__init__", "store.store.retire", "deliver.worker.start", "bridge.live._commit",
    "bridge.looking._keep", "bridge.ending._commit",
    "bridge.reconciling._missing", "deliver.worker._write_down",
    "bridge.answering._take_id", "bridge.answering._queue",
}  # fmt: skip
"""Where a bridge of this configuration commits: opening, forgetting, taking up, journalling, reading rows,
telling, comparing, recording and claiming, giving a lookup its id, queueing for the dialplan."""


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_a_bridge_killed_at_each_of_its_commits_tells_every_call_once(tmp_path: Path) -> None:
    places = tmp_path / "places"
    agi_port = free_port()
    with running() as server, PlayedPbx(tmp_path, per_s=5) as pbx, Asking(pbx, agi_port) as asking:
        text = CONFIGURATION.format(ami=pbx.ami.port, folder=tmp_path, http=server.port, notice=NOTICE)
        text = text.replace("agi: null", f"agi: {{listen: '127.0.0.1:{agi_port}', socket: null}}")
        bridge = BridgeProcess(tmp_path, text + CLIENTS.format(http=server.port))

        def live(when: str, place: str, number: int) -> None:
            bridge.launch(str(DYING), str(places), when, place, str(number), str(bridge.config))

        # The very first start tells nothing of the past: it is done before calls come.
        live("before", "nowhere", 1)
        bridge.wait_for("reconcile.done")
        pbx.begin()
        wait_until(lambda: len(told(list(server.received)).documents) >= 10, 60.0)
        bridge.kill()
        made = Counter(places.read_text("utf-8").split())
        assert made.keys() == EXPECTED
        deaths = [
            (when, place, number)
            for place in sorted(made)
            for number in range(1, min(reliability.rounds(1, 10), made[place]) + 1)
            for when in ("before", "after")
        ]
        for death in deaths:
            live(*death)
            assert bridge.ends_by_itself(60.0) == -signal.SIGKILL, f"{death}: {bridge.log()}"
        bridge.launch()
        pbx.quiet()
        missing = wait_for_all(server, pbx.calls)
        wait_until(lambda: asking.promised <= notified_under(list(server.received)).keys(), 60.0)
        bridge.stop()
    found = told(server.received)
    reliability.record(
        "killed (kill -9) before and after each commit of the store",
        rounds=len(deaths),
        calls=len(pbx.calls),
        lost=len(missing),
        duplicates=found.duplicates,
        note=f"{len(made)} kinds of commit",
    )
    assert not missing, bridge.log()
    check(found, pbx.calls)
    # A lookup and the dialplan's notification name a call by the id under which it is told.
    for ids in (asked_under(server.received), notified_under(server.received)):
        assert ids
        for caller, told_under in ids.items():
            assert told_under <= {document["id"] for document in found.documents[caller]}, caller
