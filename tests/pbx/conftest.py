"""One real Asterisk, one bridge and one receiving server for all the tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from canary import canary_of
from freepbx import NUMBERS, Freepbx
from house import House
from house_store import close_servers
from laboratory import SECOND_PORTS
from sql_servers import SqlServer


@pytest.fixture(scope="session", autouse=True)
def servers_of_stores() -> Iterator[None]:
    """What the houses' stores were kept in ends with the session."""
    yield
    close_servers()


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """The whole house, up for the session."""
    with House() as running:
        yield running


@pytest.fixture(scope="module")
def freepbx_house(mariadb_server: SqlServer) -> Iterator[House]:
    """A house whose Asterisk goes FreePBX's ways, up for one file's tests."""
    pbx = Freepbx(mariadb_server)
    with House(SECOND_PORTS, prepare=pbx.prepare, sources=pbx.sources, numbers=NUMBERS) as running:
        yield running


@pytest.fixture
def nothing_is_run(house: House) -> Iterator[None]:
    """No text of a stranger may be run as a command during the test."""
    canary = canary_of(house.asterisk)
    assert not canary.exists()
    yield
    assert not canary.exists(), "a stranger's text was run as a command"
