"""A small company's morning, for real, behind the console: a house, its calls, one client that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from demonstration import inbound_example, outgoing_example
from free_ports import free_port
from house import CLIENTS, House
from laboratory import SECOND_PORTS
from phones import caller, extension
from playing import play

from vipex_bridge.receive.faults import Fault
from vipex_bridge.receive.server import Receiver

TOKEN = "planted-token-of-the-company"
PASSWORD, KEY = "planted-password", "planted-key"
CALLER, TRANSFERRED, PICKED_UP, MISSED = "3642999425", "36709676052", "36205550101", "36304440404"
_CALLS = 5
_MORE = f"""
  helpdesk:
    kind: call_end
    url: http://127.0.0.1:@PORT@/tickets
    parameters: [id, direction, src, dst, exten, start_time, duration]
    basic_auth: {{{{username: vipex, password: {PASSWORD}}}}}
    api_key: {{{{in: header, name: X-Api-Key, value: {KEY}}}}}
    retry: [200ms]
http: {{{{listen: '127.0.0.1:0', tokens: [{TOKEN}]}}}}
"""


@dataclass
class Company:
    """What is up. `helpdesk` is the client's server, which fails until `mends`."""

    house: House
    helpdesk: Receiver
    url: str
    documents: dict[str, dict[str, Any]]
    """What was told of each call, by the outside number."""

    def mends(self) -> None:
        """The helpdesk's server answers from now on."""
        port = self.helpdesk.port
        self.helpdesk.close()
        self.helpdesk = Receiver(port=port)
        self.helpdesk.start()


@contextmanager
def company() -> Iterator[Company]:
    """Everything up, five calls told: the two examples, a transfer with a hold, a pickup, one lost."""
    port = free_port()
    helpdesk = Receiver(port=port, faults=[Fault("status", 500)])
    with House(SECOND_PORTS, clients=CLIENTS + _MORE.replace("@PORT@", str(port))) as house:
        listening = house.bridge.wait_for("http.listening")
        running = Company(house, helpdesk, f"http://127.0.0.1:{listening['port']}", {})
        helpdesk.start()
        try:
            _play_the_morning(house)
            running.documents = {d["other_party_number"]: d for d in house.documents(_CALLS)}
            for document in running.documents.values():
                house.bridge.wait_for("delivery.parked", client="helpdesk", call=document["id"])
            yield running
        finally:
            running.helpdesk.close()


def _play_the_morning(house: House) -> None:
    inbound = inbound_example()
    # The far end of the outgoing call has the trunk's usual port.
    inbound[-1].port = 5062
    play(house.asterisk, [*inbound, *outgoing_example()])
    play(
        house.asterisk,
        [
            extension("251").rings(1).answers().waits(1).holds(1).transfers_to("252"),
            extension("252").rings(1).answers().talks(2).hangs_up(),
            caller(TRANSFERRED).dials("3642999409").is_answered().waits_for_bye(),
            extension("200").rings().is_cancelled(),
            caller(PICKED_UP, port=5062).after(0.2).dials("3642999411").is_answered().waits_for_bye(),
            extension("221").after(2).dials("*8200").is_answered().talks(2).hangs_up(),
        ],
    )
    play(
        house.asterisk,
        [
            extension("221").refuses(),
            extension("251").rings().is_cancelled(),
            caller(MISSED).dials("3642999412").is_answered().waits(3).hangs_up(),
        ],
    )
