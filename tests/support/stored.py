"""Stores and deliveries in a few words, for tests of what must survive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vipex_bridge.calls.document import CallDocument, Direction, Kind, Part
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.errors import StoreError
from vipex_bridge.render.request import Request
from vipex_bridge.store.outbox import Delivery, NewAttempt, NewDelivery
from vipex_bridge.store.results import Result
from vipex_bridge.store.store import Store

NOW = 1_700_000_000.0


_ELSEWHERE: dict[Path, str] = {}
"""The stores of tests that are on a server, by the folder where they would be."""


def url_of(folder: Path) -> str:
    return _ELSEWHERE.get(folder) or f"sqlite:///{folder / 'state.db'}"


@contextmanager
def stored_at(folder: Path, url: str) -> Iterator[None]:
    """The store of that folder is in this database meanwhile."""
    _ELSEWHERE[folder] = url
    try:
        yield
    finally:
        del _ELSEWHERE[folder]


def open_in(folder: Path, node: str = "pbx1", *, alone: bool = True) -> closing[Store]:
    return closing(Store(url_of(folder), node, alone=alone))


def new(
    client: str = "billing",
    call_id: int = 1,
    *,
    event: str = "call_end",
    at: float = NOW,
    url: str = "http://127.0.0.1:9/api",
    body: str = '{"id": 1}',
    expires_at: float | None = None,
    dedupe_key: str | None = None,
) -> NewDelivery:
    request = Request("POST", url, (("Content-Type", "application/json"),), body)
    kind = "call_end" if event == "call_end" else "notify"
    return NewDelivery(client, kind, call_id, event, at, request, None, expires_at, dedupe_key)


def queued(store: Store, *deliveries: NewDelivery, now: float = NOW) -> list[int]:
    """The ids under which these were queued, in one transaction."""
    with store.write(now) as writer:
        ids = [writer.queue(delivery) for delivery in deliveries]
    assert None not in ids
    return [delivery_id for delivery_id in ids if delivery_id is not None]


def claimed(store: Store, client: str = "billing", limit: int = 1, now: float = NOW) -> list[Delivery]:
    with store.write(now) as writer:
        return writer.claim(client, limit)


def record(
    store: Store, delivery_id: int, outcome: str, *, again_at: float | None = None, now: float = NOW
) -> None:
    """A try of a claimed delivery that came to this; `again_at` goes with the outcome `retry`."""
    attempt = NewAttempt(now, 0.25, 200 if outcome == "delivered" else 500, outcome, None, "said")
    with store.write(now) as writer:
        writer.record([Result(delivery_id, attempt, again_at, 1 if again_at is not None else 0)])


def found(store: Store, delivery_id: int) -> Delivery:
    delivery = store.delivery(delivery_id)
    assert delivery is not None
    return delivery


def row(uniqueid: str = "1700000000.1", sequence: int | None = 1, **fields: object) -> CdrRow:
    values: dict[str, object] = {
        "uniqueid": uniqueid,
        "linkedid": uniqueid,
        "channel": "PJSIP/trunk-00000001",
        "dstchannel": "PJSIP/200-00000002",
        "start": NOW,
        "answer": None,
        "end": NOW + 5,
        "duration": 5,
        "billsec": 0,
        "disposition": "NO ANSWER",
        "sequence": sequence,
    }
    return CdrRow(**(values | fields))  # type: ignore[arg-type]


def document(src: str | None = "36709676052") -> CallDocument:
    main = Part(Direction.MISSED, NOW, None, NOW + 9, src, None, "3619996000", None, "200", 9, 0, 4)
    return CallDocument(main, Kind.INBOUND, None, None, None, src, "200", None, False)


def refusal(opening: Callable[[], Store]) -> str:
    """What opening the store is refused with."""
    try:
        opening().close()
    except StoreError as error:
        return str(error)
    raise AssertionError("the store was opened")
