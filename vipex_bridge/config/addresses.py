"""Addresses that nothing is ever sent to, however they are written: link-local, cloud metadata, nobody's.

A template or a name that somebody else answers for must not lead the bridge to what a machine tells only
itself. Private and loopback addresses are well: a CRM on the LAN is the normal case.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_LINK_LOCAL = "a link-local address"
_METADATA = "a cloud's metadata service"

_REFUSED_V4 = (
    (IPv4Network("169.254.0.0/16"), _LINK_LOCAL),  # RFC 3927; most clouds' metadata is here
    (IPv4Network("100.100.100.200/32"), _METADATA),  # Alibaba Cloud
    (IPv4Network("168.63.129.16/32"), _METADATA),  # Azure
    (IPv4Network("192.0.0.192/32"), _METADATA),  # Oracle Cloud
    (IPv4Network("0.0.0.0/8"), "no host's address"),  # RFC 6890: "this network"
    (IPv4Network("224.0.0.0/4"), "a multicast address"),
    (IPv4Network("255.255.255.255/32"), "the broadcast address"),
)
_REFUSED_V6 = (
    (IPv6Network("fe80::/10"), _LINK_LOCAL),
    (IPv6Network("fd00:ec2::254/128"), _METADATA),  # Amazon EC2
    (IPv6Network("fd00:ec2::23/128"), _METADATA),  # Amazon EKS, credentials
    (IPv6Network("fd20:ce::254/128"), _METADATA),  # Google Cloud
    (IPv6Network("fd00:c1::a9fe:a9fe/128"), _METADATA),  # Oracle Cloud
    (IPv6Network("fd00:42::42/128"), _METADATA),  # Scaleway
    (IPv6Network("::/128"), "no host's address"),
    (IPv6Network("ff00::/8"), "a multicast address"),
)

_LAST_32 = (
    IPv6Network("::ffff:0:0/96"),  # RFC 4291, 2.5.5.2: IPv4-mapped
    IPv6Network("::ffff:0:0:0/96"),  # RFC 2765: IPv4-translated
    IPv6Network("64:ff9b::/96"),  # RFC 6052: NAT64
)
"""Where the last 32 bits are an IPv4 address that a gateway, or the system itself, goes on to."""
_NAT64_OF_SITE = IPv6Network("64:ff9b:1::/48")
"""RFC 8215: the site chooses where in it the IPv4 address stands."""
_COMPATIBLE = IPv6Network("::/96")
"""RFC 4291, 2.5.5.1; `::` and `::1` are none of them."""
_SIX_TO_FOUR = IPv6Network("2002::/16")
"""RFC 3056."""
_TEREDO = IPv6Network("2001::/32")
"""RFC 4380: the last 32 bits are the IPv4 address, each bit turned."""
_ISATAP = (0x00005EFE, 0x02005EFE)
"""RFC 5214, section 6.1: the third quarter of such an address."""
_NUMERIC = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)


def refusal(address: str) -> str | None:
    """Why nothing is sent to this IP address (`a link-local address`), or None when it may be.

    The address is as `getaddrinfo` gives it, a `%zone` included. Raises ValueError when it is none.
    """
    return _refusal(ip_address(address.partition("%")[0]))


def refusal_of_host(host: str) -> str | None:
    """The same for a URL's host: None also for a name, of which only its addresses can tell.

    A number that resolvers take for an IPv4 address (`2852039166`, `0xa9.254.1`) counts as that address.
    """
    try:
        return refusal(host)
    except ValueError:
        pass
    if not _NUMERIC.fullmatch(host):
        return None
    try:
        return _refusal(IPv4Address(socket.inet_aton(host)))
    except OSError:
        return None


def _refusal(address: IPv4Address | IPv6Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((why for network, why in _REFUSED_V4 if address in network), None)
    own = next((why for network, why in _REFUSED_V6 if address in network), None)
    if own is not None:
        return own
    within = next(filter(None, map(_refusal, _wrapped(address))), None)
    return within or (_refusal_of_site(address) if address in _NAT64_OF_SITE else None)


def _refusal_of_site(address: IPv6Address) -> str | None:
    """Only one of the readings is meant: one of a machine's own is enough, the rest must agree."""
    readings = [_refusal(reading) for reading in _laid_out(address)]
    return next((why for why in readings if why in (_LINK_LOCAL, _METADATA)), None) or (
        readings[0] if all(readings) else None
    )


def _laid_out(address: IPv6Address) -> Iterator[IPv4Address]:
    """RFC 6052, section 2.2: the IPv4 address behind 96, 48, 56 or 64 bits, without the bits 64 to 71."""
    number = int(address)
    yield IPv4Address(number & 0xFFFFFFFF)
    yield IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
    yield IPv4Address((number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF)
    yield IPv4Address(number >> 24 & 0xFFFFFFFF)


def _wrapped(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that stand in an IPv6 one."""
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    if any(address in network for network in _LAST_32) or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield last
    if address in _COMPATIBLE and number > 1:
        yield last
    if address in _SIX_TO_FOUR:
        yield IPv4Address((number >> 80) & 0xFFFFFFFF)
    if address in _TEREDO:
        yield IPv4Address(~number & 0xFFFFFFFF)
