"""A server that is not there is tried seldom once much waits for it, and gets everything when it is back."""

from __future__ import annotations

import socket
from pathlib import Path

from delivering import Bridge, client
from faulty_server import running
from stored import NOW, new, open_in, queued

from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.pace import FREE_TRIES

CALLS = 200
RETRY = (20.0, 20.0, 20.0)


def test_what_waits_for_a_server_that_is_away_arrives_when_it_is_back(tmp_path: Path) -> None:
    now = NOW
    transport = Transport()
    with open_in(tmp_path) as store, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.05)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        bridge = Bridge(store, transport, clock=lambda: now)
        with bridge.running(client(retry_s=RETRY)) as deliveries:
            queued(store, *(new("billing", call, url=f"{url}/{call}") for call in range(CALLS)), now=now)
            deliveries.wake("billing")
            bridge.wait_for(FREE_TRIES)
            assert deliveries.is_left_alone("billing")
            bound.listen(64)
            with running(listener=bound) as server:
                # Time for one try: that is answered, and the others follow it.
                now += 1.0
                bridge.wait_for(CALLS)
                assert not deliveries.is_left_alone("billing")
                now += 25.0
                deliveries.wake("billing")
                bridge.wait_for(FREE_TRIES + CALLS)
        transport.close()
    assert {request.target for request in server.received} == {f"/{call}" for call in range(CALLS)}
    assert len(server.received) == CALLS
