"""Three bridges on one PostgreSQL, each beside an exchange of its own, under load: one is killed, the server
is restarted. Every call is told, once, in order; a dead bridge's work is done by the others.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import reliability
from bridge_process import BridgeProcess
from delivering import wait_until
from faulty_server import FaultyServer
from played_pbx import PlayedPbx
from sql_servers import SqlServer, postgresql
from told import CONFIGURATION, NOTICE, check, told, wait_for_all

NODES = 3
TAKEN_OVER_WITHIN_S = 30.0
"""What is promised."""


@dataclass
class Site:
    """An exchange and its bridge."""

    pbx: PlayedPbx
    bridge: BridgeProcess


def site(folder: Path, number: int, seed: int, url: str, receiver: FaultyServer) -> Site:
    folder.mkdir()
    pbx = PlayedPbx(folder, per_s=3, seed=seed + number, callers_from=100_000 * number)
    pbx.__enter__()
    text = CONFIGURATION.format(ami=pbx.ami.port, folder=folder, http=receiver.port, notice=NOTICE)
    text = text.replace("node: pbx1", f"node: pbx{number}")
    text = text.replace(f"sqlite:///{folder}/state.db", url)
    return Site(pbx, BridgeProcess(folder, text))


@pytest.mark.timeout(reliability.rounds(300, 3600))
def test_three_bridges_one_killed_and_the_server_restarted(tmp_path: Path, server: FaultyServer) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rounds, taken_over_s = reliability.rounds(1, 12), []
    with contextlib.ExitStack() as undo:
        database: SqlServer = undo.enter_context(postgresql())
        url = undo.enter_context(database.database())
        sites = []
        for number in range(1, NODES + 1):
            made = site(tmp_path / f"site{number}", number, seed, url, server)
            undo.push(made.pbx.__exit__)
            undo.callback(made.bridge.kill)
            made.bridge.start()
            made.bridge.wait_for("reconcile.done", 60.0)
            sites.append(made)
        for made in sites:
            made.pbx.begin()
        for _ in range(rounds):
            taken_over_s.append(_one_is_killed(sites, server))
            _the_server_is_restarted(database, sites)
        for made in sites:
            made.pbx.quiet()
        calls = [call for made in sites for call in made.pbx.calls]
        missing = wait_for_all(server, calls)
        for made in sites:
            made.bridge.stop()
    found = told(server.received)
    reliability.record(
        "three bridges on one PostgreSQL: one killed (kill -9), then the server restarted, while calls come",
        rounds=rounds,
        calls=len(calls),
        lost=len(missing),
        duplicates=found.duplicates,
        recovery_s=taken_over_s,
        note="recovery: from the kill until another bridge has its deliveries;"
        " the receiver refuses until then",
    )
    assert not missing, "\n\n".join(made.bridge.log() for made in sites)
    check(found, calls)


def _one_is_killed(sites: list[Site], server: FaultyServer) -> float:
    """Seconds from the kill until another has what it left; the receiver refuses, so there is some."""
    first, *others = sites
    answer = server.answer
    server.answer = server.replies(503)
    first.bridge.wait_for("delivery.failed_try", 60.0, after=first.bridge.mark())
    marks = {id(made): made.bridge.mark() for made in others}
    first.bridge.kill()
    killed_at = time.monotonic()

    def taken() -> bool:
        return any(
            line.get("event") == "delivery.taken_over" and line["node"] == "pbx1"
            for made in others
            for line in made.bridge.lines[marks[id(made)] :]
        )

    wait_until(taken, within_s=TAKEN_OVER_WITHIN_S)
    took_s = time.monotonic() - killed_at
    server.answer = answer
    first.bridge.start()
    return took_s


def _the_server_is_restarted(database: SqlServer, sites: list[Site]) -> None:
    marks = [made.bridge.mark() for made in sites]
    database.stop()
    for made, mark in zip(sites, marks, strict=True):
        made.bridge.wait_for("delivery.store_failed", 60.0, after=mark)
    database.start()
    for made in sites:
        made.bridge.wait_for("delivery.sent", 60.0, after=made.bridge.mark())
