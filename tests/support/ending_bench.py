"""The rooms between CDR, tracker and store on a real store and a real CDR database, time moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from cdr_file import COLUMNS, make_table, write_row
from story import TRUNK, Story

from vipex_bridge.bridge.ending import Ending
from vipex_bridge.bridge.live import Live
from vipex_bridge.bridge.telling import Telling, numbering_of
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.config.load import load_text
from vipex_bridge.store.outbox import Delivery
from vipex_bridge.store.store import Store
from vipex_bridge.store.writer import Writer

START = 1_795_409_430.0
CONFIGURATION = """
node: test
timezone: UTC
asterisk:
  cdr: {{source: 'sqlite:///{folder}/master.db'}}
  recordings: {{root: {folder}/monitor, wait: 10s}}
numbers: {{trunks: ['PJSIP/trunk*']}}
clients:
  billing: {{kind: call_end, url: 'http://host/cdr'}}
  broken: {{kind: call_end, url: 'http://host/cdr', body: '{{{{ 1 // billsec }}}}', content_type: text/plain}}
  sales: {{kind: call_end, url: 'http://host/cdr', match: {{dst: ['99*']}}}}
  missed: {{kind: call_end, url: 'http://host/cdr', directions: [2]}}
"""


@contextmanager
def unclaimed() -> Iterator[Callable[[Writer, Collection[str]], None]]:
    """Where nothing is sent."""
    yield lambda writer, clients: None


class Bench:
    """The rooms between CDR, tracker and store, with a clock that is moved by hand."""

    def __init__(
        self,
        folder: Path,
        url: str = "http://host/cdr",
        master: str = "master.db",
        *,
        exists: bool = True,
        recordings: str = "wait: 10s",
        clients: str = "",
    ) -> None:
        """`url`: the clients' server. `master`: the CDR file in the folder; made only if it `exists`.

        `recordings`: what the configuration says of them besides their root. `clients`: more of them.
        """
        self.folder = folder
        self.master = folder / master
        self.now = START
        self.passed = 1000.0
        """The clock that nobody sets."""
        self.connected = True
        (folder / "monitor").mkdir()
        if exists:
            self.make_master()
        text = CONFIGURATION.format(folder=folder).replace("wait: 10s", recordings)
        text = text.replace(f"{folder}/master.db", str(self.master)).replace("http://host/cdr", url)
        self.settings = load_text(text + clients, Path("config.yaml"), {}).settings
        self.start()

    def make_master(self, columns: str = COLUMNS) -> None:
        """Asterisk makes its table."""
        make_table(self.master, columns)

    def start(self) -> None:
        """The bridge starts, and has its first look."""
        settings = self.settings
        assert settings.cdr is not None
        self.store = Store(f"sqlite:///{self.folder}/state.db", "test")
        self.tracker = Tracker(numbering_of(settings.numbers))
        telling = Telling(settings)
        self.poller = Poller(settings.cdr, settings.timezone, self.store.cursor(), clock=self.clock)
        self.ending = Ending(
            settings,
            self.tracker,
            self.store,
            telling,
            self.poller,
            ami_connected=lambda: self.connected,
            claiming=unclaimed,
            clock=self.clock,
            monotonic=lambda: self.passed,
        )
        self.live = Live(
            self.tracker,
            self.store,
            telling,
            on_ended=self.ending.on_ended,
            claiming=unclaimed,
            clock=self.clock,
        )
        self.ending.restore()
        self.step()

    def clock(self) -> float:
        return self.now

    def step(self, seconds: float = 0.0) -> None:
        """Time goes on, with a round every now and then."""
        rounds = max(1, min(round(seconds), 60))
        for _ in range(rounds):
            self.now += seconds / rounds
            self.passed += seconds / rounds
            asyncio.run(self.ending.step())

    def happens(self, story: Story) -> None:
        """AMI tells a story, which is committed."""

        self.live.on_events(story.events)
        assert asyncio.run(self.live.commit())

    def row(self, **values: object) -> None:
        """Asterisk writes a row."""
        row = {
            "start": "2026-11-23 04:50:30", "answer": "2026-11-23 04:50:42", "end": "2026-11-23 04:50:46",
            "src": "3642999425", "dst": "3642999408", "channel": TRUNK, "dstchannel": "PJSIP/251-00000004",
            "lastapp": "Dial", "duration": 16, "billsec": 4, "disposition": "ANSWERED", "uniqueid": "100.1",
            "linkedid": "100.1", "sequence": 1, **values,
        }  # fmt: skip
        write_row(self.master, row)

    def told(self, client: str = "billing") -> list[Delivery]:
        return self.store.deliveries(client=client)


def body(delivery: Delivery) -> str:
    assert delivery.request is not None
    return delivery.request.body or ""
