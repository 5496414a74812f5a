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
from vipex_bridge.calls.called import note_called
from vipex_bridge.calls.document import Kind, Notice
from vipex_bridge.calls.graph import CallGraph
from vipex_bridge.calls.numbering import Numbering, Role
from vipex_bridge.calls.record import (
    CallRecord,
    Channel,
    Dial,
    Noted,
    QueueVisit,
)
from vipex_bridge.calls.talking import listen
from vipex_bridge.calls.transfers import (
    hand_over,
    note_blind,
    note_held,
    note_parked,
    note_unparked,
    sender_of,
)
from vipex_bridge.calls.view import kind_by, kind_of, view_by, view_of

_RING, _RINGING, _UP = 4, 5, 6


@dataclass(frozen=True, slots=True)
class Ended:
    """Every channel of the call has hung up; `at` is when the last one did."""

    key: str
    at: float


class Tracker:
    """Feeds on events, yields notices, keeps a `CallRecord` for each call until it is forgotten."""

    def __init__(self, numbering: Numbering) -> None:
        self._graph = CallGraph(numbering, self._on_join)
        self._out: list[Notice | Ended] = []
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
            ev.BlindTransferred: lambda event: note_blind(self._graph, event),
            ev.AttendedTransferred: self._attended_transferred,
            ev.Parked: lambda event: note_parked(self._graph, event),
            ev.Unparked: lambda event: note_unparked(self._graph, event),
            ev.Held: lambda event: note_held(self._graph, event),
            ev.HungUp: self._hung_up,
            ev.LiveChannels: self._live_channels,
            ev.ServerStarted: self._server_started,
            ev.ServerStopped: self._server_stopped,
            ev.ConnectionLost: self._connection_lost,
        }

    def renumber(self, numbering: Numbering) -> None:
        """Takes new numbers after a reload; channels already seen keep what they were."""
        self._graph.numbering = numbering

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
        return self._graph.calls()

    def call(self, key: str) -> CallRecord | None:
        """The call with this key, linkedid or uniqueid."""
        return self._graph.call(key)

    def touched(self) -> list[CallRecord]:
        """The calls that changed since this was asked last: those to journal."""
        return self._graph.touched()

    def restore(self, record: CallRecord) -> None:
        """Takes back a journalled call after a restart; what happened meanwhile was missed."""
        self._graph.restore(record)

    def forget(self, key: str) -> None:
        """Drops a call that has been told."""
        self._graph.forget(key)

    def hangup_owed(self, key: str, at: float) -> Notice | None:
        """The hangup notice of a call whose arrival was told and whose end nobody saw on AMI."""
        record = self._graph.call(key)
        if record is None or not record.arrival_told or record.hangup_told:
            return None
        kind = kind_of(record)
        return Notice("hangup", view_of(record, kind), at) if kind is Kind.INBOUND else None

    # -- channels ---------------------------------------------------------------------------

    def _new_channel(self, event: ev.NewChannel) -> None:
        channel = self._graph.see(event.channel, event.at, from_start=True)
        if not channel.seen_from_start:  # new, or listed as up a moment before its own event came
            record = self._graph.record_of(event.channel.uniqueid)
            record.arrival_told &= record.key != event.channel.uniqueid or record.hangup_told
            channel.seen_from_start, channel.dialled = True, event.channel.exten
        self._tell_arrival(event.channel, event.at)

    def _changed(self, event: ev.ChannelChanged) -> None:
        channel = self._graph.see(event.channel, event.at)
        if event.channel.state == _UP and channel.up is None:
            channel.up = event.at
        elif event.channel.state == _RINGING:
            self._rings(event.channel.uniqueid, event.at)
        self._tell_arrival(event.channel, event.at)

    def _on_join(self, stays: CallRecord, goes: CallRecord) -> None:
        """If both had been told of, the younger call's hangup is told (call trees, section 2)."""
        both_told = stays.arrival_told and goes.arrival_told and kind_of(stays) is Kind.INBOUND
        if both_told and not goes.hangup_told:
            self._tell("hangup", goes, max(channel.created for channel in goes.channels.values()))

    # -- attempts ---------------------------------------------------------------------------

    def _dial(self, event: ev.DialBegin | ev.DialState | ev.DialEnd) -> tuple[CallRecord, Dial]:
        dest = self._graph.see(event.dest, event.at)
        if event.caller is not None:
            self._graph.see(event.caller, event.at)
            record = self._graph.relate(event.caller.uniqueid, event.dest.uniqueid)
        else:
            record = self._graph.record_of(event.dest.uniqueid)
        is_new = isinstance(event, ev.DialBegin)
        for dial in reversed(record.dials):
            if dial.dest == dest.uniqueid and (dial.end is None or not is_new):
                return record, dial
        caller = event.caller.uniqueid if event.caller is not None else None
        dial = Dial(caller=caller, dest=dest.uniqueid, begin=event.at)
        origin = record.origin(dial)
        if origin is not None:
            dial.queue = record.present_queue(origin.uniqueid)
        record.dials.append(dial)
        # What a Local channel's second half dialled may have been seen before its first half.
        record.note_originated([dial] if caller is not None else record.dials)
        return record, dial

    def _dial_begin(self, event: ev.DialBegin) -> None:
        record, dial = self._dial(event)
        dial.dial_string = event.dial_string
        shown = event.caller.connected_number if event.caller is not None else ""
        note_called(record, dial, shown, self._graph.numbering)

    def _dial_state(self, event: ev.DialState) -> None:
        self._dial(event)
        if event.status == "RINGING":
            self._rings(event.dest.uniqueid, event.at)

    def _dial_end(self, event: ev.DialEnd) -> None:
        record, dial = self._dial(event)
        if dial.end is None or not dial.status:
            dial.end = event.at
            dial.status = event.status
        # Behind a Local channel whoever answers may be asked first whether he takes the call.
        if event.status == "ANSWER" and record.role_of(dial.caller or "") is not Role.LOCAL:
            self._tell_answer_outside(record, dial, event.at)

    def _rings(self, uniqueid: str, at: float) -> None:
        record = self._graph.record_of(uniqueid)
        dial = next((d for d in reversed(record.dials) if d.dest == uniqueid and d.end is None), None)
        if dial is None or dial.ringing is not None:
            return
        dial.ringing = at
        self._tell_ringing(record, dial, at)

    def _tell_ringing(self, record: CallRecord, dial: Dial, at: float) -> None:
        """Once for each extension's channel that rings for the outside party."""
        channel = record.channels[dial.dest]
        if channel.role is not Role.EXTENSION or not record.comes_from_outside(dial):
            return
        if channel.uniqueid not in record.rung:
            record.rung.append(channel.uniqueid)
            self._tell("ringing", record, at, channel.extension)

    def _tell_answer_outside(
        self, record: CallRecord, dial: Dial, at: float, *, quietly: bool = False
    ) -> None:
        """A forwarded call is answered when its outside number is, if the settings have it so."""
        is_outside = record.role_of(dial.dest) is Role.OUTSIDE
        if not is_outside or record.answered or not self._graph.numbering.forward_is_answer:
            return
        sender = sender_of(record, dial) if record.comes_from_outside(dial) else ""
        if sender:
            record.answered.append(dial.dest)
            if not quietly:
                self._tell("answer", record, at, sender)

    # -- pickups, transfers, parking --------------------------------------------------------

    def _picked_up(self, event: ev.PickedUp) -> None:
        self._graph.see(event.channel, event.at)
        self._graph.see(event.target, event.at)
        record = self._graph.relate(event.channel.uniqueid, event.target.uniqueid)
        for dial in record.dials:
            if dial.dest == event.target.uniqueid and dial.end is None:
                dial.picked_up_by = event.channel.uniqueid

    def _attended_transferred(self, event: ev.AttendedTransferred) -> None:
        parties = [event.original, event.second, event.transferee, event.target]
        for party in parties:
            if party is not None:
                self._graph.see(party, event.at)
                self._graph.relate(event.original.uniqueid, party.uniqueid)
        if event.result != "Success":
            return
        record = self._graph.record_of(event.original.uniqueid)
        for dial in hand_over(record, self._graph.hearing, event):
            if dial.ringing is not None and dial.end is None and record.channels[dial.dest].up is None:
                self._tell_ringing(record, dial, event.at)
        self._listen(record, event.at)

    # -- conversation -----------------------------------------------------------------------

    def _local_bridge(self, event: ev.LocalBridge) -> None:
        self._graph.see(event.one, event.at)
        self._graph.see(event.two, event.at)
        self._graph.relate(event.one.uniqueid, event.two.uniqueid)

    def _bridge_enter(self, event: ev.BridgeEnter) -> None:
        self._graph.see(event.channel, event.at)
        uniqueid = event.channel.uniqueid
        self._graph.hearing.enter(uniqueid, event.bridge, event.bridge_type, event.technology)
        for other in self._graph.hearing.together(uniqueid):
            if self._graph.knows(other):
                self._graph.relate(uniqueid, other)
        self._listen(self._graph.record_of(uniqueid), event.at)

    def _bridge_leave(self, event: ev.BridgeLeave) -> None:
        self._graph.see(event.channel, event.at)
        self._graph.hearing.leave(event.channel.uniqueid)
        self._listen(self._graph.record_of(event.channel.uniqueid), event.at)

    def _listen(self, record: CallRecord, at: float, *, found: bool = False, quietly: bool = False) -> None:
        """Opens and closes talks, tells whose begin. `found`: as in `listen`. `quietly`: nothing is told."""
        for channel in listen(record, self._graph.hearing, at, found=found):
            if channel.role is Role.OUTSIDE:
                dial = next(d for d in record.dials if d.dest == channel.uniqueid)
                self._tell_answer_outside(record, dial, at, quietly=quietly)
            elif channel.uniqueid not in record.answered:
                record.answered.append(channel.uniqueid)
                if not quietly:
                    self._tell("answer", record, at, channel.extension)

    # -- what the dialplan and the queues say -----------------------------------------------

    def _variable(self, event: ev.VariableSet) -> None:
        self._graph.see(event.channel, event.at)
        record = self._graph.record_of(event.channel.uniqueid)
        if event.name == "MIXMONITOR_FILENAME" or record.note(event.name) != event.value:
            record.notes.append(Noted(event.at, event.channel.uniqueid, event.name, event.value))

    def _queue_joined(self, event: ev.QueueJoined) -> None:
        self._graph.see(event.channel, event.at)
        record = self._graph.record_of(event.channel.uniqueid)
        record.queue_visits.append(QueueVisit(event.channel.uniqueid, event.queue, event.at))

    def _queue_left(self, event: ev.QueueLeft) -> None:
        self._graph.see(event.channel, event.at)
        record = self._graph.record_of(event.channel.uniqueid)
        for visit in record.queue_visits:
            if visit.channel == event.channel.uniqueid and visit.left is None:
                visit.left = event.at

    # -- ends -------------------------------------------------------------------------------

    def _hung_up(self, event: ev.HungUp) -> None:
        channel = self._graph.see(event.channel, event.at)
        channel.cause = event.cause
        if channel.ended is None:
            self._end(channel, event.at)
            self._close(self._graph.record_of(event.channel.uniqueid), event.at)

    def _end(self, channel: Channel, at: float) -> None:
        record = self._graph.record_of(channel.uniqueid)
        if channel.ended is None:
            channel.ended = at
        for dial in record.dials:
            if dial.dest == channel.uniqueid and dial.end is None:
                dial.end = at
        for hold in record.holds:
            if hold.channel == channel.uniqueid and hold.end is None:
                hold.end = at
        for parking in record.parkings:
            if parking.channel == channel.uniqueid and parking.end is None:
                parking.end = at
        self._graph.hearing.gone(channel.uniqueid)
        self._listen(record, at)
        self._graph.touch(record)

    def _close(self, record: CallRecord, at: float) -> None:
        outside_up = any(c.role is Role.OUTSIDE and c.ended is None for c in record.channels.values())
        if record.arrival_told and not record.hangup_told and not outside_up:
            record.hangup_told = True
            self._tell("hangup", record, at)
        if record.is_over():
            self._out.append(Ended(record.key, at))

    def _live_channels(self, event: ev.LiveChannels) -> None:
        up = {snapshot.uniqueid for snapshot in event.channels}
        adopted = {uniqueid for uniqueid in up if not self._graph.knows(uniqueid)}
        known = {record.key for record in self._graph.calls()}
        self._end_all(event.at, lambda c: c.uniqueid not in up)
        for snapshot in event.channels:
            channel = self._graph.see(snapshot, event.at)
            record = self._graph.record_of(snapshot.uniqueid)
            if not record.arrival_told and self._graph.numbering.looks_originated(snapshot):
                channel.originated = True
            if snapshot.uniqueid in adopted:
                record.partial = True
                record.arrival_told = record.arrival_told or record.key not in known
            elif snapshot.state == _UP and channel.up is None:
                channel.up, channel.up_is_estimate = event.at, True
            elif snapshot.state == _RINGING:
                self._rings(snapshot.uniqueid, event.at)
        present = {uniqueid for bridge in event.bridges for uniqueid in bridge.channels}
        for uniqueid in up - present:
            self._graph.hearing.leave(uniqueid)
        for bridge in event.bridges:
            for uniqueid in bridge.channels:
                kind, technology = bridge.bridge_type, bridge.technology
                self._graph.hearing.enter(uniqueid, bridge.bridge, kind, technology)
                for other in self._graph.hearing.together(uniqueid):
                    self._graph.relate(uniqueid, other)
        for record in list(self._graph.calls()):
            # Of a call that began unseen nobody knows since when they talk, or whether it was told.
            is_adopted = any(uniqueid in adopted for uniqueid in record.channels)
            self._listen(record, event.at, found=True, quietly=is_adopted)

    def _server_started(self, event: ev.ServerStarted) -> None:
        self._end_all(event.at, lambda channel: True)

    def _server_stopped(self, event: ev.ServerStopped) -> None:
        self._end_all(event.at, lambda channel: True)

    def _end_all(self, at: float, is_gone: Callable[[Channel], bool]) -> None:
        for record in list(self._graph.calls()):
            gone = [c for c in record.channels.values() if c.ended is None and is_gone(c)]
            for channel in gone:
                channel.end_is_estimate = True
                record.partial = True
                self._end(channel, at)
            if gone:
                self._close(record, at)

    def _connection_lost(self, event: ev.ConnectionLost) -> None:
        for record in self._graph.calls():
            if not record.is_over():
                record.partial = True
                self._graph.touch(record)

    # -- telling ----------------------------------------------------------------------------

    def _tell_arrival(self, snapshot: ev.ChannelSnapshot, at: float) -> None:
        record = self._graph.record_of(snapshot.uniqueid)
        channel = record.channels[snapshot.uniqueid]
        is_caller = channel.role is Role.OUTSIDE and snapshot.state in (_RING, _UP) and not record.dials
        if record.arrival_told or not is_caller or snapshot.uniqueid != snapshot.linkedid:
            return
        if channel.seen_from_start and channel.dialled:
            record.arrival_told = True
            self._tell("arrival", record, at)

    def _tell(self, event: str, record: CallRecord, at: float, exten: str | None = None) -> None:
        root = record.root()
        if root is not None and kind_by(record, root) is Kind.INBOUND:
            self._out.append(Notice(event, view_by(record, Kind.INBOUND, root), at, exten))
