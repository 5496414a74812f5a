"""What holds for every test, and what tests of several kinds are given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from vipex_bridge.deliver.http import Transport

# How long one example takes says more of what else the machine does than of our code.
settings.register_profile("vipex", deadline=None)
settings.load_profile("vipex")


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.close()
