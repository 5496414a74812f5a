"""Fixtures of component tests: real servers on 127.0.0.1, certificates for them."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from faulty_server import FaultyServer, running
from looking_up import Clock
from sql_servers import SqlServer
from stored import stored_at

from vipex_bridge.deliver.http import Transport
from vipex_bridge.lookup.exchange import Lookups


@pytest.fixture
def faulty_server() -> Iterator[FaultyServer]:
    """An HTTP server that answers 200 unless told otherwise."""
    with running() as server:
        yield server


@pytest.fixture
def second_server() -> Iterator[FaultyServer]:
    """Another one, for a fallback."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls_files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Paths `ca`, `certificate`, `key` (of a client), and `stranger`: a CA that signed nothing here."""
    folder = tmp_path_factory.mktemp("tls")
    client = authority.issue_cert("client.example")
    files: dict[str, Path] = {
        name: folder / f"{name}.pem" for name in ("ca", "certificate", "key", "stranger")
    }
    authority.cert_pem.write_to_path(files["ca"])
    client.cert_chain_pems[0].write_to_path(files["certificate"])
    client.private_key_pem.write_to_path(files["key"])
    trustme.CA().cert_pem.write_to_path(files["stranger"])
    return SimpleNamespace(**files)


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[FaultyServer]:
    """The same over TLS, with a certificate for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    with running(context) as server:
        yield server


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port on which nothing listens, and nothing will while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


@pytest.fixture(params=["sqlite", "postgresql"])
def store_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Each database system that can keep the state, in turn: `open_in(tmp_path)` opens a store of it."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    server: SqlServer = request.getfixturevalue("postgresql_server")
    with server.database() as url, stored_at(tmp_path, url):
        yield "postgresql"


@pytest.fixture
def stopwatch() -> Callable[[], float]:
    """Gives the seconds since the test began."""
    started = time.monotonic()
    return lambda: time.monotonic() - started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lookups(transport: Transport, clock: Clock) -> Lookups:
    return Lookups(transport, clock=clock)
