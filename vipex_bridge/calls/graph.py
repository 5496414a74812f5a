"""Which channels make up which call: the graph that grows with every relation that is testified.

Channels are joined by linkedid, dial edges, Local pairs, bridges, pickups and transfers (call trees,
section 2). A linkedid may change or merge; the call keeps the key under which it was told first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vipex_bridge.calls.document import Kind
from vipex_bridge.calls.events import ChannelSnapshot
from vipex_bridge.calls.hearing import Hearing
from vipex_bridge.calls.numbering import Numbering, Role
from vipex_bridge.calls.record import CallRecord, Channel
from vipex_bridge.calls.rows import uniqueid_epoch
from vipex_bridge.calls.view import kind_of

_UP = 6


class CallGraph:
    """The calls that are not forgotten, live or ended, and who hears whom in them.

    `on_join` is asked with the call that stays and the one that goes, before they become one.
    """

    def __init__(self, numbering: Numbering, on_join: Callable[[CallRecord, CallRecord], None]) -> None:
        self.numbering = numbering
        self.hearing = Hearing()
        self._on_join = on_join
        self._calls: dict[str, CallRecord] = {}
        self._call_of_linkedid: dict[str, str] = {}
        self._call_of_channel: dict[str, str] = {}
        self._touched: dict[str, None] = {}

    # -- finding ----------------------------------------------------------------------------

    def calls(self) -> Iterable[CallRecord]:
        """All calls."""
        return self._calls.values()

    def call(self, key: str) -> CallRecord | None:
        """The call with this key, linkedid or uniqueid."""
        known = self._call_of_linkedid.get(key) or self._call_of_channel.get(key)
        return self._calls.get(known) if known is not None else None

    def knows(self, uniqueid: str) -> bool:
        """Whether the channel is in one of the calls."""
        return uniqueid in self._call_of_channel

    def record_of(self, uniqueid: str) -> CallRecord:
        """The call of a known channel."""
        return self._calls[self._call_of_channel[uniqueid]]

    def touch(self, record: CallRecord) -> None:
        """Says that the record has changed."""
        self._touched[record.key] = None

    def touched(self) -> list[CallRecord]:
        """The calls that changed since this was asked last."""
        records = [self._calls[key] for key in self._touched if key in self._calls]
        self._touched = {}
        return records

    # -- growing ----------------------------------------------------------------------------

    def see(self, snapshot: ChannelSnapshot, at: float, *, from_start: bool = False) -> Channel:
        """The channel as it is now; its call learns what the snapshot tells of it."""
        key = self._call_of_channel.get(snapshot.uniqueid)
        if key is None:
            if from_start:
                return self._meet(snapshot, at, created=at)
            # Its beginning was missed; its uniqueid holds the second in which it was made.
            channel = self._meet(snapshot, at, created=min(at, uniqueid_epoch(snapshot.uniqueid) or at))
            channel.originated = self.numbering.looks_originated(snapshot)
            self.record_of(snapshot.uniqueid).partial = True
            return channel
        record = self._calls[key]
        if snapshot.linkedid not in record.linkedids:
            record = self._link(record, snapshot.linkedid)
        channel = record.channels[snapshot.uniqueid]
        if channel.name != snapshot.name:
            channel.name = snapshot.name
            self.hearing.name(snapshot.uniqueid, snapshot.name)
        if channel.role is Role.EXTENSION:
            channel.extension = self.numbering.extension(snapshot, channel.extension)
        if snapshot.caller_number and (not channel.number or not record.dials):
            channel.number = snapshot.caller_number
        if not channel.dialled and snapshot.exten != "s" and not record.dials:
            channel.dialled = snapshot.exten
        self.touch(record)
        return channel

    def relate(self, one: str, two: str) -> CallRecord:
        """The one call that two known channels belong to from now on."""
        return self._join(self.record_of(one), self.record_of(two))

    def _meet(self, snapshot: ChannelSnapshot, at: float, *, created: float) -> Channel:
        key = self._call_of_linkedid.get(snapshot.linkedid)
        if key is None:
            key = snapshot.linkedid
            self._calls[key] = CallRecord(key=key, linkedids=[key])
            self._call_of_linkedid[key] = key
        channel = Channel(
            uniqueid=snapshot.uniqueid,
            name=snapshot.name,
            role=self.numbering.role(snapshot.name, snapshot.context),
            extension=self.numbering.extension(snapshot),
            created=created,
            number=snapshot.caller_number,
            context=snapshot.context,
            account=snapshot.account,
            up=at if snapshot.state == _UP else None,
        )
        self._calls[key].channels[snapshot.uniqueid] = channel
        self._call_of_channel[snapshot.uniqueid] = key
        self.hearing.name(snapshot.uniqueid, snapshot.name)
        self._touched[key] = None
        return channel

    def _link(self, record: CallRecord, linkedid: str) -> CallRecord:
        other = self._call_of_linkedid.get(linkedid)
        if other is None:
            record.linkedids.append(linkedid)
            self._call_of_linkedid[linkedid] = record.key
            return record
        return self._join(record, self._calls[other])

    def _join(self, one: CallRecord, two: CallRecord) -> CallRecord:
        if one is two:
            return one
        stays, goes = sorted((one, two), key=_precedence)
        self._on_join(stays, goes)
        stays.absorb(goes)
        for linkedid in goes.linkedids:
            self._call_of_linkedid[linkedid] = stays.key
        for uniqueid in goes.channels:
            self._call_of_channel[uniqueid] = stays.key
        del self._calls[goes.key]
        self.touch(stays)
        return stays

    # -- coming back, and going -------------------------------------------------------------

    def restore(self, record: CallRecord) -> None:
        """Takes back a journalled call after a restart; what happened meanwhile was missed."""
        record.partial = True
        self._calls[record.key] = record
        for linkedid in record.linkedids:
            self._call_of_linkedid[linkedid] = record.key
        for channel in record.channels.values():
            self._call_of_channel[channel.uniqueid] = record.key
            if channel.ended is None:
                self.hearing.name(channel.uniqueid, channel.name)

    def forget(self, key: str) -> None:
        """Drops a call that has been told."""
        record = self._calls.pop(key, None)
        if record is None:
            return
        for linkedid in record.linkedids:
            self._call_of_linkedid.pop(linkedid, None)
        for uniqueid in record.channels:
            self._call_of_channel.pop(uniqueid, None)
            self.hearing.gone(uniqueid)


def _precedence(record: CallRecord) -> tuple[bool, float]:
    """The call that was told first stays, else the older one (call trees, section 2)."""
    oldest = min((channel.created for channel in record.channels.values()), default=0.0)
    # An internal call was told to nobody, even where its beginning was missed.
    return (not (record.arrival_told and kind_of(record) is Kind.INBOUND), oldest)
