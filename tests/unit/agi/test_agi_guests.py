"""Who may connect to the AGI port, whose idle connection goes first, and how often the log tells of it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

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
        ("127.200.3.4", LOOPBACK, True),
        ("::1", LOOPBACK, True),
        ("::ffff:127.0.0.1", LOOPBACK, True),
        ("128.0.0.1", LOOPBACK, False),
        ("10.0.0.1", LOOPBACK, False),
        ("10.1.2.3", LOOPBACK, False),
        ("::2", LOOPBACK, False),
        ("::ffff:10.0.0.1", LOOPBACK, False),
        ("::ffff:10.1.2.3", LOOPBACK, False),
        ("fe80::1%eth0", LOOPBACK, False),
        ("", LOOPBACK, False),
        ("localhost", LOOPBACK, False),
        ("pbx", LOOPBACK, False),
        ("10.1.2.3", LAN, True),
        ("::ffff:10.1.2.3", LAN, True),
        ("10.2.2.3", LAN, False),
        ("127.0.0.1", LAN, False),
        ("fd00:1::5%eth0", LAN, True),
        ("fe80::1%eth0", LAN, False),
    ],
)
def test_who_is_in_a_network_that_is_allowed_may_connect(
    address: str, allow: tuple[IPv4Network | IPv6Network, ...], may: bool
) -> None:
    assert may_connect(address, allow) is may


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
