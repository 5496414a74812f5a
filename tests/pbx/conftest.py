"""One real Asterisk, one bridge and one receiving server for all the tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """The whole house, up for the session."""
    with House() as running:
        yield running
