"""Live calls: what Asterisk testifies, event by event, becomes records and notices.

Rule 1: nothing here reads a clock, a socket or a setting; the event brings its time.
Rule 2: a call is found by what relates channels (linkedid, dial edges, Local pairs, bridges,
pickups), never by the name of a context.
Rule 3: what was not seen is not told: a call whose root is unknown yields no notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.document import Kind, Notice
from vipex_bridge.calls.hearing import Hearing
from vipex_bridge.calls.numbering import Numbering, Role
from vipex_bridge.calls.record import CallRecord, Channel, Dial, Noted, QueueVisit, Talk
from vipex_bridge.calls.view import kind_of, view_of

_RING, _RINGING, _UP = 4, 5, 6


@dataclass(frozen=True, slots=True)
class Ended:
    """Every channel of the call has hung up; `at` is when the last one did."""

    key: str
    at: float


class Tracker:
    """Feeds on events, yields notices, keeps a `CallRecord` for each call until it is forgotten."""

    def __init__(self, numbering: Numbering) -> None:
        self._numbering = numbering
        self._calls: dict[str, CallRecord] = {}
        self._call_of_linkedid: dict[str, str] = {}
        self._call_of_channel: dict[str, str] = {}
        self._hearing = Hearing()
        self._out: list[Notice | Ended] = []
        self._touched: dict[str, None] = {}
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.NewChannel: self._new_channel,
            ev.ChannelChanged: self._changed,
            ev.DialBegin: self._dial_begin,
            ev.DialState: self._dial_state,
            ev.DialEnd: self._dial_end,
            ev.LocalBridge: self._local_bridge,
            ev.BridgeEnter: self._bridge_enter,
            ev.BridgeLeave: self._bridge_leave,
            ev.VariableSet: self._variable,
            ev.QueueJoined: self._queue_joined,
            ev.QueueLeft: self._queue_left,
            ev.PickedUp: self._picked_up,
            ev.HungUp: self._hung_up,
            ev.LiveChannels: self._live_channels,
            ev.ServerStarted: self._server_started,
            ev.ConnectionLost: self._connection_lost,
        }

    def renumber(self, numbering: Numbering) -> None:
        """Takes new numbers after a reload; channels already seen keep what they were."""
        self._numbering = numbering

    def feed(self, event: ev.CallEvent) -> list[Notice | Ended]:
        """What the event makes known, in the order it is to be told."""
        handler = self._handlers.get(type(event))
        if handler is None:
            return []
        self._out = []
        handler(event)
        return self._out

    def calls(self) -> Iterable[CallRecord]:
        """All calls that are not forgotten, live or ended."""
        return self._calls.values()

    def call(self, key: str) -> CallRecord | None:
        """The call with this key, linkedid or uniqueid."""
        known = self._call_of_linkedid.get(key) or self._call_of_channel.get(key)
        return self._calls.get(known) if known is not None else None

    def touched(self) -> list[CallRecord]:
        """The calls that changed since this was asked last: those to journal."""
        records = [self._calls[key] for key in self._touched if key in self._calls]
        self._touched = {}
        return records

    def restore(self, record: CallRecord) -> None:
        """Takes back a journalled call after a restart; what happened meanwhile was missed."""
        record.partial = True
        self._calls[record.key] = record
        for linkedid in record.linkedids:
            self._call_of_linkedid[linkedid] = record.key
        for channel in record.channels.values():
            self._call_of_channel[channel.uniqueid] = record.key
            if channel.ended is None:
                self._hearing.name(channel.uniqueid, channel.name)

    def forget(self, key: str) -> None:
        """Drops a call that has been told."""
        record = self._calls.pop(key, None)
        if record is None:
            return
        for linkedid in record.linkedids:
            self._call_of_linkedid.pop(linkedid, None)
        for uniqueid in record.channels:
            self._call_of_channel.pop(uniqueid, None)
            self._hearing.gone(uniqueid)

    # -- channels ---------------------------------------------------------------------------

    def _new_channel(self, event: ev.NewChannel) -> None:
        known = event.channel.uniqueid in self._call_of_channel
        channel = self._see(event.channel, event.at, from_start=True)
        if not known:
            channel.seen_from_start = True
            channel.dialled = event.channel.exten
        self._tell_arrival(event.channel, event.at)

    def _changed(self, event: ev.ChannelChanged) -> None:
        channel = self._see(event.channel, event.at)
        if event.channel.state == _UP and channel.up is None:
            channel.up = event.at
        elif event.channel.state == _RINGING:
            self._rings(event.channel.uniqueid, event.at)
        self._tell_arrival(event.channel, event.at)

    def _see(self, snapshot: ev.ChannelSnapshot, at: float, *, from_start: bool = False) -> Channel:
        key = self._call_of_channel.get(snapshot.uniqueid)
        if key is None:
            channel = self._meet(snapshot, at)
            if not from_start:
                self._record_of(snapshot.uniqueid).partial = True
            return channel
        record = self._calls[key]
        if snapshot.linkedid not in record.linkedids:
            record = self._link(record, snapshot.linkedid)
        channel = record.channels[snapshot.uniqueid]
        if channel.name != snapshot.name:
            channel.name = snapshot.name
            self._hearing.name(snapshot.uniqueid, snapshot.name)
        if snapshot.caller_number and (not channel.number or not record.dials):
            channel.number = snapshot.caller_number
        if not channel.dialled and snapshot.exten != "s" and not record.dials:
            channel.dialled = snapshot.exten
        self._touched[record.key] = None
        return channel

    def _meet(self, snapshot: ev.ChannelSnapshot, at: float) -> Channel:
        key = self._call_of_linkedid.get(snapshot.linkedid)
        if key is None:
            key = snapshot.linkedid
            self._calls[key] = CallRecord(key=key, linkedids=[key])
            self._call_of_linkedid[key] = key
        channel = Channel(
            uniqueid=snapshot.uniqueid,
            name=snapshot.name,
            role=self._numbering.role(snapshot.name, snapshot.context),
            extension=self._numbering.extension(snapshot),
            created=at,
            number=snapshot.caller_number,
            context=snapshot.context,
            account=snapshot.account,
            up=at if snapshot.state == _UP else None,
        )
        self._calls[key].channels[snapshot.uniqueid] = channel
        self._call_of_channel[snapshot.uniqueid] = key
        self._hearing.name(snapshot.uniqueid, snapshot.name)
        self._touched[key] = None
        return channel

    def _record_of(self, uniqueid: str) -> CallRecord:
        return self._calls[self._call_of_channel[uniqueid]]

    def _link(self, record: CallRecord, linkedid: str) -> CallRecord:
        other = self._call_of_linkedid.get(linkedid)
        if other is None:
            record.linkedids.append(linkedid)
            self._call_of_linkedid[linkedid] = record.key
            return record
        return self._join(record, self._calls[other])

    def _relate(self, one: str, two: str) -> CallRecord:
        return self._join(self._record_of(one), self._record_of(two))

    def _join(self, one: CallRecord, two: CallRecord) -> CallRecord:
        if one is two:
            return one
        stays, goes = sorted((one, two), key=_precedence)
        kind = kind_of(goes)
        if stays.arrival_told and goes.arrival_told and not goes.hangup_told and kind is not None:
            at = max(channel.created for channel in goes.channels.values())
            self._out.append(Notice("hangup", view_of(goes, kind), at))
        stays.absorb(goes)
        for linkedid in goes.linkedids:
            self._call_of_linkedid[linkedid] = stays.key
        for uniqueid in goes.channels:
            self._call_of_channel[uniqueid] = stays.key
        del self._calls[goes.key]
        self._touched[stays.key] = None
        return stays

    # -- attempts ---------------------------------------------------------------------------

    def _dial(self, event: ev.DialBegin | ev.DialState | ev.DialEnd) -> tuple[CallRecord, Dial]:
        dest = self._see(event.dest, event.at)
        if event.caller is not None:
            self._see(event.caller, event.at)
            record = self._relate(event.caller.uniqueid, event.dest.uniqueid)
        else:
            record = self._record_of(event.dest.uniqueid)
        is_new = isinstance(event, ev.DialBegin)
        for dial in reversed(record.dials):
            if dial.dest == dest.uniqueid and (dial.end is None or not is_new):
                return record, dial
        caller = event.caller.uniqueid if event.caller is not None else None
        dial = Dial(caller=caller, dest=dest.uniqueid, begin=event.at)
        origin = record.origin(dial)
        if origin is not None:
            dial.queue = record.present_queue(origin.uniqueid)
        if caller is None:
            dest.originated = True
        record.dials.append(dial)
        return record, dial

    def _dial_begin(self, event: ev.DialBegin) -> None:
        _, dial = self._dial(event)
        dial.dial_string = event.dial_string

    def _dial_state(self, event: ev.DialState) -> None:
        self._dial(event)
        if event.status == "RINGING":
            self._rings(event.dest.uniqueid, event.at)

    def _dial_end(self, event: ev.DialEnd) -> None:
        _, dial = self._dial(event)
        if dial.end is None or not dial.status:
            dial.end = event.at
            dial.status = event.status

    def _rings(self, uniqueid: str, at: float) -> None:
        record = self._record_of(uniqueid)
        dial = next((d for d in reversed(record.dials) if d.dest == uniqueid and d.end is None), None)
        if dial is None or dial.ringing is not None:
            return
        dial.ringing = at
        channel = record.channels[uniqueid]
        origin = record.origin(dial)
        if channel.role is not Role.EXTENSION or origin is None or origin.role is not Role.OUTSIDE:
            return
        if uniqueid not in record.rung:
            record.rung.append(uniqueid)
            self._tell("ringing", record, at, channel.extension)

    def _picked_up(self, event: ev.PickedUp) -> None:
        self._see(event.channel, event.at)
        self._see(event.target, event.at)
        self._relate(event.channel.uniqueid, event.target.uniqueid)

    # -- conversation -----------------------------------------------------------------------

    def _local_bridge(self, event: ev.LocalBridge) -> None:
        self._see(event.one, event.at)
        self._see(event.two, event.at)
        self._relate(event.one.uniqueid, event.two.uniqueid)

    def _bridge_enter(self, event: ev.BridgeEnter) -> None:
        self._see(event.channel, event.at)
        uniqueid = event.channel.uniqueid
        self._hearing.enter(uniqueid, event.bridge, event.bridge_type, event.technology)
        for other in self._hearing.together(uniqueid):
            if other in self._call_of_channel:
                self._relate(uniqueid, other)
        self._listen(self._record_of(uniqueid), event.at)

    def _bridge_leave(self, event: ev.BridgeLeave) -> None:
        self._see(event.channel, event.at)
        self._hearing.leave(event.channel.uniqueid)
        self._listen(self._record_of(event.channel.uniqueid), event.at)

    def _listen(self, record: CallRecord, at: float) -> None:
        """Opens and closes the talks of the call's extensions with the outside party."""
        for channel in list(record.channels.values()):
            if channel.role is not Role.EXTENSION:
                continue
            company = self._hearing.company(channel.uniqueid)
            talking = any(
                record.channels[other].role is Role.OUTSIDE for other in company if other in record.channels
            )
            talk = next((t for t in record.talks if t.channel == channel.uniqueid and t.end is None), None)
            if talk is not None and not talking:
                talk.end = at
            elif talk is None and talking:
                record.talks.append(Talk(channel.uniqueid, at))
                if channel.uniqueid not in record.answered:
                    record.answered.append(channel.uniqueid)
                    self._tell("answer", record, at, channel.extension)

    # -- what the dialplan and the queues say -----------------------------------------------

    def _variable(self, event: ev.VariableSet) -> None:
        self._see(event.channel, event.at)
        record = self._record_of(event.channel.uniqueid)
        if event.name == "MIXMONITOR_FILENAME" or record.note(event.name) != event.value:
            record.notes.append(Noted(event.at, event.channel.uniqueid, event.name, event.value))

    def _queue_joined(self, event: ev.QueueJoined) -> None:
        self._see(event.channel, event.at)
        record = self._record_of(event.channel.uniqueid)
        record.queue_visits.append(QueueVisit(event.channel.uniqueid, event.queue, event.at))

    def _queue_left(self, event: ev.QueueLeft) -> None:
        self._see(event.channel, event.at)
        record = self._record_of(event.channel.uniqueid)
        for visit in record.queue_visits:
            if visit.channel == event.channel.uniqueid and visit.left is None:
                visit.left = event.at

    # -- ends -------------------------------------------------------------------------------

    def _hung_up(self, event: ev.HungUp) -> None:
        channel = self._see(event.channel, event.at)
        channel.cause = event.cause
        self._end(channel, event.at)
        self._close(self._record_of(event.channel.uniqueid), event.at)

    def _end(self, channel: Channel, at: float) -> None:
        record = self._record_of(channel.uniqueid)
        if channel.ended is None:
            channel.ended = at
        for dial in record.dials:
            if dial.dest == channel.uniqueid and dial.end is None:
                dial.end = at
        self._hearing.gone(channel.uniqueid)
        self._listen(record, at)
        self._touched[record.key] = None

    def _close(self, record: CallRecord, at: float) -> None:
        outside_up = any(c.role is Role.OUTSIDE and c.ended is None for c in record.channels.values())
        if record.arrival_told and not record.hangup_told and not outside_up:
            record.hangup_told = True
            self._tell("hangup", record, at)
        if record.is_over():
            self._out.append(Ended(record.key, at))

    def _live_channels(self, event: ev.LiveChannels) -> None:
        up = {snapshot.uniqueid for snapshot in event.channels}
        self._end_all(event.at, lambda c: c.uniqueid not in up and c.created < event.at)
        for snapshot in event.channels:
            if snapshot.uniqueid not in self._call_of_channel:
                self._see(snapshot, event.at)
                record = self._record_of(snapshot.uniqueid)
                record.partial = record.arrival_told = True

    def _server_started(self, event: ev.ServerStarted) -> None:
        self._end_all(event.at, lambda channel: channel.created < event.at)

    def _end_all(self, at: float, is_gone: Callable[[Channel], bool]) -> None:
        for record in list(self._calls.values()):
            gone = [c for c in record.channels.values() if c.ended is None and is_gone(c)]
            for channel in gone:
                channel.end_is_estimate = True
                record.partial = True
                self._end(channel, at)
            if gone:
                self._close(record, at)

    def _connection_lost(self, event: ev.ConnectionLost) -> None:
        for record in self._calls.values():
            if not record.is_over():
                record.partial = True
                self._touched[record.key] = None

    # -- telling ----------------------------------------------------------------------------

    def _tell_arrival(self, snapshot: ev.ChannelSnapshot, at: float) -> None:
        record = self._record_of(snapshot.uniqueid)
        channel = record.channels[snapshot.uniqueid]
        is_caller = channel.role is Role.OUTSIDE and snapshot.state in (_RING, _UP) and not record.dials
        if record.arrival_told or not is_caller or snapshot.uniqueid != snapshot.linkedid:
            return
        if channel.seen_from_start and channel.dialled:
            record.arrival_told = True
            self._tell("arrival", record, at)

    def _tell(self, event: str, record: CallRecord, at: float, exten: str | None = None) -> None:
        kind = kind_of(record)
        if kind is Kind.INBOUND:
            self._out.append(Notice(event, view_of(record, kind), at, exten))


def _precedence(record: CallRecord) -> tuple[bool, float]:
    """The call that was told first stays, else the older one (call trees, section 2)."""
    oldest = min((channel.created for channel in record.channels.values()), default=0.0)
    return (not record.arrival_told, oldest)
