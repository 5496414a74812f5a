"""Who may connect to the AGI port, whose idle connection goes first, and how often the log tells of it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.agi.guests import MAX_TOLD, TOLD_AGAIN_S, Sparing, Waiting, may_connect
from vipex_bridge.config.settings import LOOPBACK


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.1", True),
        ("127.200.3.4", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False),
        ("10.0.0.1", False),
        ("::2", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_only_this_machine_may_connect_unless_the_configuration_says_otherwise(
    address: str, may: bool
) -> None:
    assert may_connect(address, LOOPBACK) is may


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_a_network_lets_in_whom_it_holds_however_the_system_writes_the_address(
    peer: object, base: object, bits: int
) -> None:
    network = ip_network(f"{base}/{bits}", strict=False)
    inside = ip_address(str(peer)) in network
    assert may_connect(str(peer), (network,)) is inside
    assert may_connect(f"::ffff:{peer}", (network,)) is inside


@given(st.ip_addresses(v=6))
def test_an_ipv4_network_lets_in_no_ipv6_address_but_mapped_ones(peer: object) -> None:
    mapped = IPv6Address(str(peer)).ipv4_mapped
    assert may_connect(str(peer), (IPv4Network("0.0.0.0/0"),)) is (mapped is not None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60), st.integers(1, 5))
def test_never_more_wait_than_may_and_the_oldest_goes_first(steps: list[tuple[bool, int]], most: int) -> None:
    waiting = Waiting(most)
    inside: list[int] = []
    dropped: list[int] = []
    for begins, number in steps:
        if begins and number not in inside:
            inside.append(number)
            waiting.begins(number, lambda number=number: dropped.append(number))  # type: ignore[misc]
            if len(inside) > most:
                assert dropped.pop() == inside.pop(0)
        elif not begins:
            waiting.ends(number)
            inside = [other for other in inside if other != number]
        assert (len(waiting), dropped) == (len(inside), [])


def test_an_address_is_told_of_once_a_minute_with_how_many_were_not() -> None:
    now = 0.0
    sparing = Sparing(lambda: now)
    assert [sparing.untold("a") for _ in range(5)] == [0, None, None, None, None]
    assert sparing.untold("b") == 4
    now = TOLD_AGAIN_S - 0.1
    assert sparing.untold("a") is None
    now = TOLD_AGAIN_S
    assert sparing.untold("a") == 1


def test_a_million_addresses_are_not_remembered() -> None:
    now = 0.0
    sparing = Sparing(lambda: now)
    told = [sparing.untold(str(number)) for number in range(3 * MAX_TOLD)]
    assert sum(number is not None for number in told) == MAX_TOLD == len(sparing)
    now = TOLD_AGAIN_S
    assert sparing.untold("another") == 2 * MAX_TOLD
    assert len(sparing) == 1
