"""A dialplan that asks the bridge about each call of a played exchange, and notes what it was promised.

It also asks about calls that AMI says nothing of: for them an id is always to be made.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self
from urllib.parse import parse_qs, urlsplit

from agi_call import agi
from faulty_server import Received
from played_pbx import PlayedPbx

CLIENTS = """
  route:
    kind: lookup
    url: 'http://127.0.0.1:{http}/route'
    query: 'caller={{{{ args.caller }}}}&id={{{{ id }}}}'
  menu:
    kind: notify
    url: 'http://127.0.0.1:{http}/menu'
    expires: 1h
    body: '{{"caller": {{{{ args.caller | tojson }}}}, "id": {{{{ id | tojson }}}}}}'
"""


class Asking:
    """Runs a lookup and a notification for every new call, while entered; a bridge that is away is let be."""

    def __init__(self, pbx: PlayedPbx, port: int) -> None:
        self._pbx = pbx
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.promised: set[str] = set()
        """The callers of whom a notification was queued, says the bridge."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        asked = 0
        while not self._over.wait(0.02):
            for call in self._pbx.calls[asked:]:
                asked += 1
                arguments = (f"caller={call.caller}",)
                with suppress(OSError):
                    agi(self._port, "lookup", "route", "caller=", uniqueid=f"{call.uniqueid}00000")
                    agi(self._port, "lookup", "route", *arguments, uniqueid=call.uniqueid)
                    said = agi(self._port, "notify", "menu", *arguments, uniqueid=call.uniqueid)
                    if said.get("VIPEX_STATUS") == "OK":
                        self.promised.add(call.caller)


def asked_under(received: Sequence[Received]) -> dict[str, set[int]]:
    """The ids that lookups told of each caller; none where the store had none in time."""
    told: dict[str, set[int]] = {}
    for request in received:
        if request.target.startswith("/route"):
            words = parse_qs(urlsplit(request.target).query)
            for caller in words.get("caller", ()):
                told.setdefault(caller, set()).update(int(text) for text in words.get("id", ()))
    return told


def notified_under(received: Sequence[Received]) -> dict[str, set[int]]:
    """The ids under which the dialplan's notifications of each caller came. A repeat must be the same."""
    told: dict[str, set[int]] = {}
    bodies: dict[str | None, bytes] = {}
    for request in received:
        if request.target.startswith("/menu"):
            assert bodies.setdefault(request.header("Idempotency-Key"), request.body) == request.body
            data = json.loads(request.body)
            told.setdefault(data["caller"], set()).add(data["id"])
    return told
