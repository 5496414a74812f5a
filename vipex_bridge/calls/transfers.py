"""Calls on the move: transfers, forwarding, parking, hold.

An attended transfer joins two calls of the transferer. The attempt made for the consultation, ringing
still (blonde) or answered, is the outside party's from the hand-over on (call trees, section 6).
"""

from __future__ import annotations

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.called import forwarder, local_extension
from vipex_bridge.calls.graph import CallGraph
from vipex_bridge.calls.hearing import Hearing
from vipex_bridge.calls.numbering import Role, local_twin
from vipex_bridge.calls.record import CallRecord, Dial, Hold, Parking, Transfer


def note_blind(graph: CallGraph, event: ev.BlindTransferred) -> None:
    """A blind transfer: the attempt that follows is the other party's own."""
    by = graph.see(event.transferer, event.at)
    if event.transferee is not None:
        graph.see(event.transferee, event.at)
        graph.relate(event.transferer.uniqueid, event.transferee.uniqueid)
    if event.result == "Success":
        record = graph.record_of(by.uniqueid)
        record.transfers.append(Transfer(event.at, "blind", by.extension, event.exten))


def note_parked(graph: CallGraph, event: ev.Parked) -> None:
    """A channel is put into a parking lot."""
    graph.see(event.channel, event.at)
    record = graph.record_of(event.channel.uniqueid)
    record.parkings.append(Parking(event.channel.uniqueid, event.space, event.at))


def note_unparked(graph: CallGraph, event: ev.Unparked) -> None:
    """It is taken out of there: by somebody, by the time-out, or it hung up."""
    graph.see(event.channel, event.at)
    record = graph.record_of(event.channel.uniqueid)
    if event.retriever is not None:
        graph.see(event.retriever, event.at)
        record = graph.relate(event.channel.uniqueid, event.retriever.uniqueid)
    for parking in record.parkings:
        if parking.channel == event.channel.uniqueid and parking.end is None:
            parking.end = event.at
            parking.retriever = event.retriever.uniqueid if event.retriever is not None else None


def note_held(graph: CallGraph, event: ev.Held) -> None:
    """A user puts the other party on hold, or takes it back."""
    graph.see(event.channel, event.at)
    record = graph.record_of(event.channel.uniqueid)
    hold = next((h for h in record.holds if h.channel == event.channel.uniqueid and h.end is None), None)
    if event.on and hold is None:
        record.holds.append(Hold(event.channel.uniqueid, event.at))
    elif not event.on and hold is not None:
        hold.end = event.at


def sender_of(record: CallRecord, dial: Dial) -> str:
    """The extension that sent the call on to this outside attempt, '' when none did.

    Who transferred it; whom the Local channel that dials stands for, or whom the dialplan called and did
    not ring (forwarding by dialplan); else who was tried before it (forwarding by the telephone).
    """
    by_dialplan = dial.handed_by or local_extension(record, dial) or forwarder(record, dial)
    if by_dialplan:
        return by_dialplan
    tried = [
        earlier
        for earlier in record.dials
        if record.role_of(earlier.dest) is Role.EXTENSION
        and record.comes_from_outside(earlier)
        and earlier.begin < dial.begin
        and earlier.end is not None
        and earlier.end <= dial.begin
    ]
    sent = next((t for t in reversed(record.transfers) if t.kind == "blind" and t.at <= dial.begin), None)
    if sent is not None and sent.by and not (tried and tried[-1].begin > sent.at):
        return sent.by
    return record.channels[tried[-1].dest].extension if tried else ""


def hand_over(record: CallRecord, hearing: Hearing, event: ev.AttendedTransferred) -> list[Dial]:
    """Marks the attempts that are the outside party's from now on, and gives them.

    Every channel that the event names must be in `record`. Nothing is marked where no outside party is
    handed over: a transfer between extensions is theirs alone.
    """
    sides = [p.uniqueid for p in (event.original, event.second, event.transferee, event.target) if p]
    transferer = record.channels[event.original.uniqueid]
    transferers = {event.original.uniqueid, event.second.uniqueid}
    transferee = event.transferee.uniqueid if event.transferee is not None else None
    party = record.behind(record.channels[transferee]) if transferee is not None else None
    # Who is handed over, and, where a Local channel stands for him, he himself: neither was called anew.
    themselves = transferers | {transferee, party.uniqueid if party is not None else None}
    near = {other for side in sides for other in hearing.company(side)} | set(sides)
    twins = [record.by_name(local_twin(c.name) or "") for c in record.channels.values() if c.uniqueid in near]
    near |= {twin.uniqueid for twin in twins if twin is not None}
    near |= _behind_local(record, near)
    handed = []
    for dial in record.dials:
        dest = record.channels[dial.dest]
        if dest.ended is not None or dest.role is Role.LOCAL or dial.dest in themselves:
            continue
        concerned = dial.dest in near or dial.caller in near
        if not concerned or record.comes_from_outside(dial) or not _hears_outside(record, near, dial):
            continue
        dial.handed_over, dial.handed_by = event.at, transferer.extension
        if dial.caller in transferers and transferee is not None:
            dial.caller = transferee
        handed.append(dial)
        to = dest.extension if dest.role is Role.EXTENSION else dest.number
        record.transfers.append(Transfer(event.at, "attended", transferer.extension, to))
    if transferers != {event.original.uniqueid} and any(_goes_outside(record, dial) for dial in handed):
        # What the transferer talked with the number outside on a second line was not the caller's.
        record.talks = [talk for talk in record.talks if talk.channel != event.second.uniqueid]
    for dial in record.dials:
        dest = record.channels[dial.dest]
        if dest.ended is not None or dial.dest in themselves:
            continue
        # Whoever is tried behind it later is tried for the outside party too.
        if dial.caller in transferers and dest.role is Role.LOCAL:
            dial.caller = transferee if transferee is not None else dial.caller
    return handed


def _goes_outside(record: CallRecord, dial: Dial) -> bool:
    return record.role_of(dial.dest) is Role.OUTSIDE


def _behind_local(record: CallRecord, near: set[str]) -> set[str]:
    """Both halves of the Local channels that these dial: who rings behind them rings for these."""
    found: set[str] = set()
    more = set(near)
    while more:
        dests = [record.channels[dial.dest] for dial in record.dials if dial.caller in more]
        local = [dest for dest in dests if dest.role is Role.LOCAL and dest.ended is None]
        twins = [record.by_name(local_twin(dest.name) or "") for dest in local]
        more = {c.uniqueid for c in (*local, *twins) if c is not None} - near - found
        found |= more
    return found


def _hears_outside(record: CallRecord, near: set[str], dial: Dial) -> bool:
    """Whether somebody outside, other than the attempt's own target, is among those joined."""
    return any(
        record.role_of(uniqueid) is Role.OUTSIDE and record.channels[uniqueid].ended is None
        for uniqueid in near - {dial.dest}
    )
