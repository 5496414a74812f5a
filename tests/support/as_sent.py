"""What clients that are configured with little more than a URL are sent about recorded calls."""

from __future__ import annotations

import gzip
import json
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from captured_rows import CAPTURES, rows_of

from vipex_bridge.ami.recorded import events_of
from vipex_bridge.bridge.simulation import Simulated, simulate
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.document import Notice
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.config.load import load_text
from vipex_bridge.config.settings import Client, Settings, TariffLine
from vipex_bridge.deliver.fill import fill
from vipex_bridge.render.request import Request

CASES = sorted(path.parent.name for path in CAPTURES.glob("*/ami.log.gz"))
CONFIGURATION = """
timezone: Europe/Budapest
asterisk:
  cdr: {source: 'sqlite:////nowhere.db'}
  recordings: {root: /var/spool/asterisk/monitor}
numbers:
  trunks: ['PJSIP/trunk*']
  extensions: '^\\d{3,4}$'
  users:
    - {extension: '1102', user_id: 6, user_number: '3619996102', cost_location: '12'}
    - {extension: '251', user_id: 7, user_number: '3619996251'}
clients:
  crm-route:   {kind: lookup, url: 'http://127.0.0.1:9/route'}
  crm-calls:   {kind: notify, on: [arrival, ringing, answer, hangup], url: 'http://127.0.0.1:9/calls'}
  crm-calls-by-get:
    {kind: notify, on: [arrival, ringing, answer, hangup], url: 'http://127.0.0.1:9/calls', method: GET}
  billing:     {kind: call_end, url: 'http://127.0.0.1:9/cdr'}
  billing-all: {kind: call_end, url: 'http://127.0.0.1:9/cdr', cc_call: queue, parallel_legs: all}
"""
TARIFF = (TariffLine("36", Decimal("1.00"), Decimal("5"), 1, 1, "HUF"),)


@dataclass(frozen=True)
class Sent:
    """One request as it leaves; `document` is its JSON body, None of a GET."""

    case: str
    client: Client
    event: str
    method: str
    url: str
    body: bytes
    document: Any


def configuration() -> Settings:
    """The configuration above, with its tariff."""
    settings = load_text(CONFIGURATION, Path("config.yaml"), {}).settings
    return replace(settings, numbers=replace(settings.numbers, tariff=TARIFF))


@cache
def sent_about(case: str) -> tuple[Sent, ...]:
    """Every request about a recorded call, in the order of time, a short recording in place of each."""
    settings = configuration()
    data = gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())
    made = simulate(settings, events_of(data), rows_of(case))
    with TemporaryDirectory() as folder:
        sound = Path(folder) / "call.wav"
        with wave.open(str(sound), "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(8000)
            written.writeframes(bytes(16))
        return tuple(_sent(case, told, settings, sound) for told in made.told)


def question_about(case: str) -> Request:
    """What a lookup would ask at the arrival of a recorded call."""
    settings = configuration()
    data = gzip.decompress((CAPTURES / case / "ami.log.gz").read_bytes())
    tracker = Tracker(numbering_of(settings.numbers))
    notices = (o for event in events_of(data) for o in tracker.feed(event) if isinstance(o, Notice))
    return Telling(settings).question(settings.clients["crm-route"], next(notices).call, 1, {})


def body_of(request: Request, client: Client, open_recording: Callable[[str], FileIO]) -> bytes:
    """The body as it is sent."""
    body = fill(request, client, open_recording, idempotency_key="k1").body
    if body is None or isinstance(body, bytes):
        return body or b""
    try:
        return b"".join(body.pieces())
    finally:
        body.close()


def _sent(case: str, told: Simulated, settings: Settings, sound: Path) -> Sent:
    assert told.request is not None, told.error
    client = settings.clients[told.client]
    body = body_of(told.request, client, lambda reference: FileIO(sound))
    document = json.loads(body) if body else None
    return Sent(case, client, told.event, told.request.method, told.request.url, body, document)
