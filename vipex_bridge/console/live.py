"""The calls that are up now: who calls whom, who rings, who talks, since when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vipex_bridge.calls.document import Kind
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.view import kind_of, view_of
from vipex_bridge.console.scene import Doing, of_record


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody in a call: `doing` since `since` (epoch seconds)."""

    role: str
    name: str
    doing: Doing
    detail: str
    since: float


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that is up. `kind` is inbound, outbound, internal, or '' while its beginning is not known."""

    key: str
    kind: str
    since: float
    src: str
    dst: str
    parties: tuple[Party, ...]
    """Who is in it at this moment; an extension that rang in vain is not."""


def up_now(records: Iterable[CallRecord]) -> list[CallRecord]:
    """The calls that have not ended, oldest first."""
    up = [record for record in records if record.channels and not record.is_over()]
    return sorted(up, key=lambda record: (min(c.created for c in record.channels.values()), record.key))


def live_calls(records: Iterable[CallRecord], now: float) -> list[LiveCall]:
    """The calls that have not ended, oldest first."""
    return [_live(record, now) for record in up_now(records)]


def signature(records: Iterable[CallRecord]) -> int:
    """A number that is another one, but for odd chance, once a call began, moved on or ended."""
    return hash(tuple(_moments(record) for record in up_now(records)))


def _moments(record: CallRecord) -> tuple[object, ...]:
    """What changes when anybody in a call begins or ends something; cheap, as it is asked all the time."""
    return (
        record.key,
        tuple((channel.up, channel.ended) for channel in record.channels.values()),
        tuple((dial.ringing, dial.end, dial.picked_up_by) for dial in record.dials),
        tuple((talk.start, talk.end) for talk in record.talks),
        tuple((visit.joined, visit.left) for visit in record.queue_visits),
        tuple((parking.start, parking.end) for parking in record.parkings),
        tuple((hold.start, hold.end) for hold in record.holds),
        len(record.notes),
        len(record.transfers),
    )


def _live(record: CallRecord, now: float) -> LiveCall:
    kind = kind_of(record)
    view = view_of(record, kind) if kind is not None else None
    scene = of_record(record, now)
    present = []
    for lane in scene.lanes:
        last = lane.spans[-1] if lane.spans else None
        if last is not None and last.end >= scene.end:
            present.append(Party(lane.role, lane.name, last.doing, last.detail, last.start))
        elif lane.role == "caller":
            present.append(Party(lane.role, lane.name, Doing.CONNECTED, "", scene.start))
    return LiveCall(
        key=record.key,
        kind=kind.value if isinstance(kind, Kind) else "",
        since=scene.start,
        src=(view.src or "") if view is not None else "",
        dst=(view.dst or "") if view is not None else "",
        parties=tuple(present),
    )
