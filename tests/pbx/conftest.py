"""One real Asterisk, one bridge and one receiving server for all the tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from canary import canary_of
from house import House


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """The whole house, up for the session."""
    with House() as running:
        yield running


@pytest.fixture
def nothing_is_run(house: House) -> Iterator[None]:
    """No text of a stranger may be run as a command during the test."""
    canary = canary_of(house.asterisk)
    assert not canary.exists()
    yield
    assert not canary.exists(), "a stranger's text was run as a command"
