"""What holds for every test, and what tests of several kinds are given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from vipex_bridge.deliver.http import Transport

if TYPE_CHECKING:
    from sql_servers import SqlServer

# How long one example takes says more of what else the machine does than of our code.
settings.register_profile("vipex", deadline=None, max_examples=500 if os.environ.get("VIPEX_LONG") else 60)
settings.load_profile("vipex")


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.close()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[SqlServer]:
    """A real MariaDB, for whoever needs one."""
    from sql_servers import mariadb

    with mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[SqlServer]:
    """A real PostgreSQL, for whoever needs one."""
    from sql_servers import postgresql

    with postgresql() as server:
        yield server


@pytest.fixture(params=["mariadb", "postgresql"])
def sql_server(request: pytest.FixtureRequest) -> SqlServer:
    """Each of the two in turn."""
    server: SqlServer = request.getfixturevalue(f"{request.param}_server")
    return server
