"""Cases of the other tests with the bridge's store on a PostgreSQL; `./test --long` plays all of them so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House
from laboratory import THIRD_PORTS
from sql_servers import SqlServer
from test_calls_for_real import (
    test_answered,
    test_missed,
    test_ring_group_is_told_as_three_notices_and_one_leg,
)
from test_outbound_for_real import test_outbound_answered_is_told_in_every_field
from test_parking_and_conference_for_real import test_parked_and_retrieved_by_another
from test_queues_for_real import test_queue_member_rejects_and_the_next_answers
from test_transfers_for_real import test_blind_transfer_by_refer

__all__ = [
    "test_answered",
    "test_blind_transfer_by_refer",
    "test_missed",
    "test_outbound_answered_is_told_in_every_field",
    "test_parked_and_retrieved_by_another",
    "test_queue_member_rejects_and_the_next_answers",
    "test_ring_group_is_told_as_three_notices_and_one_leg",
]
pytestmark = pytest.mark.pbx


@pytest.fixture(scope="module")
def house(postgresql_server: SqlServer) -> Iterator[House]:
    """Another house than the other files' tests have."""
    with House(THIRD_PORTS, new_store=lambda folder: postgresql_server.database()) as running:
        yield running


def test_the_state_is_in_the_database(house: House) -> None:
    assert list(house.state.iterdir()) == []
