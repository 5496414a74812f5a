"""The same cases through Asterisk 16, by chan_pjsip and by chan_sip; `./test --long` plays all of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from chan_sip import on_chan_sip
from house import House
from laboratory import OLD_ROOT, THIRD_PORTS
from test_examples_for_real import test_inbound_example, test_outgoing_example
from test_parking_and_conference_for_real import test_parked_and_retrieved_by_another
from test_pickup_and_forward_for_real import test_pickup_of_a_queue_call, test_pickup_of_a_ring_group
from test_transfers_for_real import test_blind_transfer_by_feature_code, test_blind_transfer_by_refer

__all__ = [
    "test_blind_transfer_by_feature_code",
    "test_blind_transfer_by_refer",
    "test_inbound_example",
    "test_outgoing_example",
    "test_parked_and_retrieved_by_another",
    "test_pickup_of_a_queue_call",
    "test_pickup_of_a_ring_group",
]
pytestmark = pytest.mark.pbx


@pytest.fixture(scope="module", params=["chan_pjsip", "chan_sip"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """Another house than the other files' tests have."""
    by_sip = request.param == "chan_sip"
    prepare = partial(on_chan_sip, THIRD_PORTS) if by_sip else lambda folder: None
    running = House(THIRD_PORTS, prepare=prepare, asterisk_root=OLD_ROOT)
    if by_sip:
        text = running.bridge.config.read_text("utf-8")
        running.bridge.config.write_text(text.replace("PJSIP/trunk*", "SIP/trunk*"), "utf-8")
    with running:
        said = running.asterisk.cli("core show version")
        assert said.startswith("Asterisk 16."), said
        yield running
