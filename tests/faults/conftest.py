"""What tests of faults are given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faulty_server import FaultyServer, running


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """A receiver that answers 200 unless told otherwise."""
    with running() as made:
        yield made
