"""The console on a real socket over a real store, without the gate that the server puts before it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path

import requests
import uvicorn
from delivering import client, settings_of
from lxml import html
from outcome import NUMBERING
from starlette.applications import Starlette
from starlette.types import ASGIApp
from stored import url_of
from story import inbound_example

from vipex_bridge.calls.document import to_json
from vipex_bridge.calls.events import CallEvent
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build
from vipex_bridge.config.settings import Client, Settings
from vipex_bridge.console.lookup_times import LookupTimes
from vipex_bridge.console.routes import routes
from vipex_bridge.deliver.http import Transport
from vipex_bridge.deliver.worker import Deliveries
from vipex_bridge.lookup.asked import LookupLog
from vipex_bridge.recordings import opened
from vipex_bridge.store.store import Store

HUNGARIAN, ENGLISH = {"Accept-Language": "hu-HU,hu;q=0.9"}, {"Accept-Language": "en"}


@dataclass
class Bench:
    """The bridge's parts as the console sees them, and a browser of few words."""

    store: Store
    the_settings: Settings
    deliveries: Deliveries
    transport: Transport
    lookup_times: LookupTimes
    lookup_log: LookupLog = field(default_factory=LookupLog)
    tracker: Tracker = field(default_factory=lambda: Tracker(NUMBERING))
    clock: Callable[[], float] = time.time
    ports: list[int] = field(default_factory=list)

    @property
    def settings(self) -> Callable[[], Settings]:
        return lambda: self.the_settings

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=10, allow_redirects=False)

    def post(self, path: str, data: dict[str, str] | None = None, **headers: str) -> requests.Response:
        return requests.post(
            self.url + path, data=data or {}, headers=headers, timeout=10, allow_redirects=False
        )

    def page(self, path: str, headers: dict[str, str] = ENGLISH) -> html.HtmlElement:
        """A page that must be there, parsed."""
        answer = self.get(path, **headers)
        assert answer.status_code == 200, answer.text
        return html.document_fromstring(answer.content.decode("utf-8"))

    def happens(self, *events: CallEvent) -> None:
        for event in events:
            self.tracker.feed(event)


def no_recordings(name: str) -> FileIO:
    return opened(None, name)


@contextlib.contextmanager
def console(folder: Path, *clients: Client, works: bool = False) -> Iterator[Bench]:
    """A console over a store in `folder`; `works`: with the delivery workers running."""
    store, transport = Store(url_of(folder), "pbx1"), Transport()
    settings = settings_of(*(clients or (client(),)))
    deliveries = Deliveries(store, settings, transport, open_recording=no_recordings, random=lambda: 0.0)
    bench = Bench(store, settings, deliveries, transport, LookupTimes())
    with contextlib.ExitStack() as undo:
        undo.callback(store.close)
        undo.callback(transport.close)
        if works:
            deliveries.start()
            undo.callback(deliveries.close, 5.0)
        bench.ports.append(undo.enter_context(served(Starlette(routes=list(routes(bench))))))
        yield bench


@contextlib.contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """The application on a real socket; gives its port."""
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="console")
    thread.start()
    try:
        yield int(bound.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)
        bound.close()
    assert not thread.is_alive()


def words_of(element: html.HtmlElement) -> str:
    """What a reader reads, on one line."""
    text = " ".join(" ".join(str(text) for text in element.itertext()).split())
    return re.sub(r" (?=[,:])", "", text)


def told_example(store: Store, now: float, key: str = "1.1") -> int:
    """The documentation's inbound example as the bridge keeps it: seen live, told."""
    story = inbound_example(now - 60)
    tracker = Tracker(NUMBERING)
    for event in story.events:
        tracker.feed(event)
    (seen,) = tracker.calls()
    document = build(seen, NUMBERING, lambda *_: None)
    assert document is not None
    with store.write(now) as writer:
        call_id = writer.identify([key], now - 60)
        facts = json.dumps(seen.to_dict())
        writer.save_call(call_id, state="ended", started_at=now - 60, ended_at=now, facts=facts)
        ids = writer.new_ids(len(document.legs))
        legs = tuple(replace(leg, id=leg_id) for leg, leg_id in zip(document.legs, ids, strict=True))
        leg_id = next(leg.id for leg in legs if leg.recording)
        document = replace(document, main=replace(document.main, id=call_id), legs=legs)
        writer.tell(call_id, document, to_json(document))
        writer.add_recording("ref-1", call_id, "/var/spool/asterisk/monitor/91064.wav", leg_id)
    return call_id
