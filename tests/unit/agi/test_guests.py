"""Who may connect to the AGI port, who of the silent ones stays, and of whom the log tells."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.agi.guests import MAX_TOLD, TOLD_AGAIN_S, Sparing, Waiting, may_connect
from vipex_bridge.config.settings import LOOPBACK

LAN = (ip_network("10.1.0.0/16"), ip_network("fd00:1::/64"))


@pytest.mark.parametrize(
    ("address", "allow", "may"),
    [
        ("127.0.0.1", LOOPBACK, True),
        ("127.9.9.9", LOOPBACK, True),
        ("::1", LOOPBACK, True),
        ("::ffff:127.0.0.1", LOOPBACK, True),
        ("10.1.2.3", LOOPBACK, False),
        ("::ffff:10.1.2.3", LOOPBACK, False),
        ("10.1.2.3", LAN, True),
        ("::ffff:10.1.2.3", LAN, True),
        ("10.2.2.3", LAN, False),
        ("127.0.0.1", LAN, False),
        ("fd00:1::5%eth0", LAN, True),
        ("fe80::1%eth0", LAN, False),
        ("", LOOPBACK, False),
        ("pbx", LOOPBACK, False),
    ],
)
def test_an_address_within_a_network_may_connect(address: str, allow: tuple, may: bool) -> None:  # type: ignore[type-arg]
    assert may_connect(address, allow) is may


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60))
def test_of_the_silent_ones_the_oldest_goes_when_there_are_too_many(steps: list[tuple[int, bool]]) -> None:
    waiting = Waiting(5)
    expected: list[tuple[int, int]] = []
    dropped: list[tuple[int, int]] = []
    for number, (who, begins) in enumerate(steps):
        connection = (who, number) if begins else None
        if connection is not None:
            waiting.begins(connection, partial(dropped.append, connection))
            expected.append(connection)
            if len(expected) > 5:
                assert dropped[-1] == expected.pop(0)
        elif expected:
            waiting.ends(expected.pop(who % len(expected)))
        assert len(waiting) == len(expected) <= 5


def test_an_address_is_told_of_once_a_minute_with_what_was_kept_silent() -> None:
    now = 0.0
    sparing = Sparing(lambda: now)
    assert [sparing.untold("a") for _ in range(4)] == [0, None, None, None]
    assert sparing.untold("b") == 3
    now = TOLD_AGAIN_S
    assert (sparing.untold("a"), sparing.untold("a")) == (0, None)


def test_a_flood_of_addresses_takes_neither_memory_nor_lines() -> None:
    sparing = Sparing(lambda: 0.0)
    told = [sparing.untold(f"10.{number >> 8}.{number & 255}.1") for number in range(5 * MAX_TOLD)]
    assert sum(untold is not None for untold in told) == len(sparing) == MAX_TOLD
