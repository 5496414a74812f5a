"""Addresses that nothing is sent to, in every way of writing them; all others are well."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config.addresses import refusal, refusal_of_host

NEVER = [
    "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "0.0.0.0/8", "224.0.0.0/4",
    "255.255.255.255/32", "fe80::/10", "fd00:ec2::254/128", "::/128", "ff00::/8",
]  # fmt: skip
WELL = [
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "8.8.8.0/24", "100.64.0.0/16",
    "169.253.0.0/16", "169.255.0.0/16", "::1/128", "fc00::/8", "2a00::/16", "fd12::/16",
]  # fmt: skip


def within(networks: list[str]) -> st.SearchStrategy[str]:
    """Any address of these networks, as text; first and last ones often."""

    def of(network: str) -> st.SearchStrategy[str]:
        whole = ip_network(network)
        first, last = int(whole[0]), int(whole[-1])
        make = IPv4Address if isinstance(whole, IPv4Network) else IPv6Address
        return st.integers(first, last).map(lambda number: str(make(number)))

    return st.sampled_from(networks).flatmap(of)


WRAPPINGS = [
    lambda v4: (0xFFFF << 32) | v4,  # ::ffff:a.b.c.d
    lambda v4: (0xFFFF << 48) | v4,  # ::ffff:0:a.b.c.d
    lambda v4: (0x64FF9B << 96) | v4,  # 64:ff9b::a.b.c.d
    lambda v4: (0x64FF9B0001 << 80) | v4,  # 64:ff9b:1::a.b.c.d
    lambda v4: (0x2002 << 112) | (v4 << 80) | 1,  # 6to4
    lambda v4: (0x20010000 << 96) | (0x01020304 << 64) | (v4 ^ 0xFFFFFFFF),  # Teredo
    lambda v4: (0x20010DB8 << 96) | (0x5EFE << 32) | v4,  # ISATAP
]


@given(within(NEVER))
def test_what_is_never_sent_to_is_refused_with_a_reason(address: str) -> None:
    why = refusal(address)
    assert why
    assert refusal_of_host(address) == why


@given(within(WELL))
def test_private_loopback_and_public_addresses_are_well(address: str) -> None:
    assert refusal(address) is None
    assert refusal_of_host(address) is None


@given(within([network for network in NEVER if "." in network]), st.sampled_from(WRAPPINGS))
def test_an_ipv4_address_wrapped_in_ipv6_is_seen_through(address: str, wrapping: object) -> None:
    wrapped = IPv6Address(wrapping(int(IPv4Address(address))))  # type: ignore[operator]
    assert refusal(str(wrapped)) == refusal(address)
    assert refusal(wrapped.exploded.upper()) == refusal(address)


@given(within([network for network in WELL if "." in network]), st.sampled_from(WRAPPINGS))
def test_a_wrapped_address_that_is_well_is_well(address: str, wrapping: object) -> None:
    assert refusal(str(IPv6Address(wrapping(int(IPv4Address(address)))))) is None  # type: ignore[operator]


LAID_OUT = [
    lambda v4: (v4 >> 16 << 64) | ((v4 & 0xFFFF) << 40),
    lambda v4: (v4 >> 24 << 64) | ((v4 & 0xFFFFFF) << 32),
    lambda v4: v4 << 24,
]
"""RFC 6052, section 2.2: behind 48, 56 and 64 bits."""
PREFIX = int(IPv6Address("64:ff9b:1::"))


@pytest.mark.parametrize("bits", [48, 56, 64])
@given(within(["169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32"]), st.integers(0, 2**24 - 1))
def test_a_sites_nat64_is_seen_through_however_it_is_laid_out(bits: int, address: str, suffix: int) -> None:
    number = PREFIX | LAID_OUT[(bits - 48) // 8](int(IPv4Address(address))) | suffix
    assert refusal(str(IPv6Address(number))) is not None


def test_a_sites_nat64_by_the_examples_of_the_rfc() -> None:
    for address in ("64:ff9b:1:a9fe:a9:fe00::1", "64:ff9b:1:a9:fe:a9fe::1", "64:ff9b:1:2:a9:fea9:fe00:0"):
        assert refusal(address) == "a link-local address", address
    for address in (
        "64:ff9b:1:c000:2:2100::",
        "64:ff9b:1:c0:0:221::",
        "64:ff9b:1:0:c0:2:2100:0",
        "64:ff9b:1:e000::a00:1",
    ):
        assert refusal(address) is None, address
    for address in ("64:ff9b:1::", "64:ff9b:1::1", "64:ff9b:1::ffff:ffff", "64:ff9b:1:e000::"):
        assert refusal(address) is not None, address


@given(within(["169.254.0.0/16", "224.0.0.0/4", "168.63.129.16/32"]))
def test_an_ipv4_compatible_address_is_seen_through(address: str) -> None:
    assert refusal(f"::{address}") == refusal(address)


@given(st.ip_addresses())
def test_every_address_has_an_answer_and_a_zone_changes_none(address: IPv4Address | IPv6Address) -> None:
    assert refusal(f"{address}%eth0") == refusal(str(address))


@given(within(["169.254.0.0/16", "10.0.0.0/8"]), st.sampled_from(["{}", "{:#x}", "{:#o}"]))
def test_a_number_that_resolvers_take_for_an_address_counts_as_it(address: str, form: str) -> None:
    number = int(ip_address(address))
    host = form.format(number).replace("0o", "0")
    assert socket.inet_ntoa(socket.inet_aton(host)) == address
    assert refusal_of_host(host) == refusal(address)


@pytest.mark.parametrize(
    "host", ["crm.example", "localhost", "169.254.169.254.example", "fade", "1.2.3.4.5", "x"]
)
def test_a_name_is_looked_at_only_when_it_is_resolved(host: str) -> None:
    assert refusal_of_host(host) is None
