"""`resend` beside a running bridge with an API: the bridge is asked, and sends at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from bridge_process import BridgeProcess
from faulty_server import FaultyServer
from free_ports import free_port
from stored import found, new, open_in, queued, url_of

CONFIGURATION = """
node: pbx1
asterisk: {{agi: null}}
store: '{store}'
http: {{listen: '{listen}:{port}', tokens: [planted-token]}}
clients:
  billing: {{kind: call_end, url: '{url}', retry: []}}
"""


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])
def test_what_is_sent_again_goes_at_once(tmp_path: Path, faulty_server: FaultyServer, listen: str) -> None:
    faulty_server.answer = faulty_server.replies(500)
    text = CONFIGURATION.format(
        store=url_of(tmp_path), listen=listen, port=free_port(), url=faulty_server.url
    )
    with open_in(tmp_path) as store:
        news = [new(call_id=call, at=time.time(), url=faulty_server.url) for call in (1, 2)]
        [first, second] = queued(store, *news)
    with BridgeProcess(tmp_path, text) as bridge:
        for delivery in (first, second):
            bridge.wait_for("delivery.parked", delivery=delivery)
        faulty_server.answer = faulty_server.replies(200)
        done = bridge.command("resend", str(first))
        assert (done.returncode, done.stdout) == (0, "1 queued again, the running bridge sends them now\n")
        bridge.wait_for("delivery.sent", delivery=first)
        done = bridge.command("resend", str(first), "9999")
        assert (done.returncode, done.stdout) == (1, "1 queued again, the running bridge sends them now\n")
        assert done.stderr == "vipex-bridge resend: there is no delivery 9999\n"
        done = bridge.command("resend", "9999")
        assert (done.returncode, done.stdout) == (1, "0 queued again\n")
        assert done.stderr == "vipex-bridge resend: there is no delivery 9999\n"
        done = bridge.command("resend", "--failed", "--since", "1h")
        assert (done.returncode, done.stdout) == (0, "1 queued again, the running bridge sends them now\n")
        bridge.wait_for("delivery.sent", delivery=second)
        assert "planted-token" not in bridge.log()
    # Nobody runs: the store is written, for the next start.
    done = bridge.command("resend", str(second))
    assert (done.returncode, done.stdout) == (0, "1 queued again\n")
    with open_in(tmp_path, alone=False) as store:
        assert found(store, second).status == "queued"
    done = bridge.command("resend", str(second), str(first), "9999")
    assert (done.returncode, done.stdout) == (1, "1 queued again\n")
    assert done.stderr.splitlines() == [
        f"vipex-bridge resend: delivery {second} cannot be sent again: it is queued",
        "vipex-bridge resend: there is no delivery 9999",
    ]


def test_another_token_is_told(tmp_path: Path, faulty_server: FaultyServer) -> None:
    text = CONFIGURATION.format(
        store=url_of(tmp_path), listen="127.0.0.1", port=free_port(), url=faulty_server.url
    )
    with BridgeProcess(tmp_path, text) as bridge:
        # Edited, and not taken by a reload yet.
        bridge.config.write_text(text.replace("planted-token", "another-token"))
        done = bridge.command("resend", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("vipex-bridge: the running bridge answered 401 to /deliveries/1/resend:")
