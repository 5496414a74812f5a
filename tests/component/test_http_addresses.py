"""The address that was checked is the one connected to; what nothing is sent to gets no packet."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest
from faulty_server import FaultyServer
from looking_up import ask, client
from sending import get, sent

from vipex_bridge.deliver.http import Transport
from vipex_bridge.errors import Unreachable
from vipex_bridge.lookup.exchange import Lookups

METADATA = ("169.254.169.254", 80)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Every address that the operating system is asked to connect to; it only does to our own machine."""
    addresses: list[object] = []
    real = socket.socket.connect

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        addresses.append(address)
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")
        real(sock, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    yield addresses


def resolves(monkeypatch: pytest.MonkeyPatch, *places: tuple[object, ...]) -> list[str]:
    """Names lead to these; gives the names that were asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        families = {2: socket.AF_INET, 4: socket.AF_INET6}
        return [(families[len(place)], socket.SOCK_STREAM, 6, "", place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "place",
    [METADATA, ("100.100.100.200", 80), ("::ffff:169.254.169.254", 80, 0, 0), ("fe80::1%eth0", 80, 0, 2)],
)
def test_a_name_that_leads_to_metadata_or_link_local_is_not_connected_to(
    place: tuple[object, ...],
    transport: Transport,
    dialled: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = resolves(monkeypatch, place)
    with pytest.raises(Unreachable, match=r"^crm\.example/x: .* to which nothing is ever sent: correct"):
        sent(transport, get("http://crm.example/x"))
    assert (asked, dialled) == (["crm.example"], [])


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:a9fe:a9fe]", "2852039166", "0.0.0.0", "[fe80::1]"]
)
def test_nor_is_a_literal_address_however_it_is_written(
    host: str, transport: Transport, dialled: list[object]
) -> None:
    with pytest.raises(Unreachable, match="nothing is ever sent"):
        sent(transport, get(f"http://{host}/latest/meta-data/"))
    assert dialled == []


def test_of_a_names_addresses_only_those_that_are_well_are_connected_to(
    transport: Transport, faulty_server: FaultyServer, dialled: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    well = ("127.0.0.1", faulty_server.port)
    resolves(monkeypatch, METADATA, well)
    assert sent(transport, get("http://crm.example/x")).status == 200
    assert dialled == [well]


def test_a_name_is_resolved_once_for_a_connection_so_that_a_second_answer_cannot_slip_in(
    transport: Transport, faulty_server: FaultyServer, dialled: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    well = ("127.0.0.1", faulty_server.port)
    asked = resolves(monkeypatch, well)
    sent(transport, get("http://crm.example/x"))
    resolves(monkeypatch, METADATA)
    assert (asked, dialled) == (["crm.example"], [well])


async def test_a_lookup_to_such_an_address_is_unreachable(
    lookups: Lookups, dialled: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves(monkeypatch, METADATA)
    result = await ask(lookups, client("http://crm.example/route"))
    assert (result.status, dialled) == ("UNREACHABLE", [])
    assert "169.254.169.254 is a link-local address" in result.detail
