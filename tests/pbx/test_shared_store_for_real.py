"""Three Asterisks, each with its bridge, and one PostgreSQL that keeps the state of all three."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from delivering import wait_until
from house import House
from laboratory import FOURTH_PORTS, SECOND_PORTS, THIRD_PORTS
from phones import caller, extension
from played import check_arithmetic
from playing import play
from sql_servers import SqlServer, postgresql

pytestmark = pytest.mark.pbx

CLIENTS = """
  billing: &all
    kind: call_end
    url: {url}/cdr
    parameters: [id, direction, start_time, answer_time, hangup_time, src, dst, exten,
      duration, billsec, ringtime, sub_cdrs]
    retry: [1s, 2s, 5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s]
  legs:
    <<: *all
    url: {url}/cdr-all
    parallel_legs: all
"""
"""Without recordings, which only the bridge beside them can send."""
CALLERS = ("36305550001", "36305550002", "36305550003")


@pytest.fixture
def database() -> Iterator[SqlServer]:
    """A server of this test's own: it is restarted."""
    with postgresql() as server:
        yield server


def one_call(house: House, number: str) -> dict[str, object]:
    """A call is played at this house; what its own receiver was told of it."""
    before = len(house.receiver.requests_received())
    play_call(house, number)
    [document] = [d for d in house.documents(1, before, timeout_s=60) if d["src"] == number]
    check_arithmetic(document)
    assert (document["direction"], document["exten"], document["dst"]) == (1, "251", "3642999409")
    return document


def play_call(house: House, number: str) -> None:
    phones = [
        extension("251").rings(1).answers().waits_for_bye(),
        caller(number).dials("3642999409").is_answered().talks(2).hangs_up(),
    ]
    play(house.asterisk, phones)


def test_a_dead_bridges_calls_are_told_by_another_and_a_restarted_server_loses_none(
    database: SqlServer,
) -> None:
    with database.database() as url, ExitStack() as open_houses:
        houses = []
        for number, ports in enumerate((SECOND_PORTS, THIRD_PORTS, FOURTH_PORTS), start=1):
            house = House(ports, clients=CLIENTS)
            text = house.bridge.config.read_text("utf-8").replace("node: laboratory", f"node: pbx{number}")
            stored = [f"store: {url}" if line.startswith("store:") else line for line in text.splitlines()]
            house.bridge.config.write_text("\n".join(stored), "utf-8")
            houses.append(open_houses.enter_context(house))
        with ThreadPoolExecutor(3) as at_once:
            told = list(at_once.map(one_call, houses, CALLERS))
        assert len({document["id"] for document in told}) == 3

        first, *others = houses
        first.receiver.close()
        mark = first.bridge.mark()
        play_call(first, "36305550004")
        first.bridge.wait_for("delivery.failed_try", 60.0, after=mark)
        first.bridge.kill()
        wait_until(
            lambda: any(told_of(house, "36305550004") == ["/cdr", "/cdr-all"] for house in others),
            within_s=60,
        )

        database.stop()
        with ThreadPoolExecutor(2) as at_once:
            playing = [
                at_once.submit(play_call, house, number)
                for house, number in zip(others, ("36305550005", "36305550006"), strict=True)
            ]
            for house in others:
                house.bridge.wait_for("store.progress_not_kept", 60.0)
            for call in playing:
                call.result()
        database.start()
        second, third = others
        wait_until(lambda: told_of(second, "36305550005") == ["/cdr", "/cdr-all"], within_s=60)
        wait_until(lambda: told_of(third, "36305550006") == ["/cdr", "/cdr-all"], within_s=60)
        assert not told_of(second, "36305550006") and not told_of(third, "36305550005")


def told_of(house: House, number: str) -> list[str]:
    """Where the house's receiver was told of that caller's call, each place once."""
    paths = ("/cdr", "/cdr-all")
    return sorted({path for path in paths for d in house.received(path) if d["src"] == number})
