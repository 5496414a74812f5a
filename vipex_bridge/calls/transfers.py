"""Who is put through to whom by an attended transfer: consultations that become the outside party's attempts.

A transfer joins two calls of the transferer. The attempt made for the consultation, ringing still
(blonde) or answered, is the outside party's from the hand-over on (call trees, section 6).
"""

from __future__ import annotations

from vipex_bridge.calls.events import AttendedTransferred
from vipex_bridge.calls.hearing import Hearing
from vipex_bridge.calls.numbering import Role, local_twin
from vipex_bridge.calls.record import CallRecord, Dial, Transfer


def hand_over(record: CallRecord, hearing: Hearing, event: AttendedTransferred) -> list[Dial]:
    """Marks the attempts that are the outside party's from now on, and gives them.

    Every channel that the event names must be in `record`. Nothing is marked where no outside party is
    handed over: a transfer between extensions is theirs alone.
    """
    sides = [p.uniqueid for p in (event.original, event.second, event.transferee, event.target) if p]
    transferer = record.channels[event.original.uniqueid]
    transferers = {event.original.uniqueid, event.second.uniqueid}
    transferee = event.transferee.uniqueid if event.transferee is not None else None
    near = {other for side in sides for other in hearing.company(side)} | set(sides)
    twins = [record.by_name(local_twin(c.name) or "") for c in record.channels.values() if c.uniqueid in near]
    near |= {twin.uniqueid for twin in twins if twin is not None}
    handed = []
    for dial in record.dials:
        dest = record.channels[dial.dest]
        if dest.ended is not None or dest.role is Role.LOCAL or dial.dest in {*transferers, transferee}:
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
    return handed


def _hears_outside(record: CallRecord, near: set[str], dial: Dial) -> bool:
    """Whether somebody outside, other than the attempt's own target, is among those joined."""
    return any(
        record.role_of(uniqueid) is Role.OUTSIDE and record.channels[uniqueid].ended is None
        for uniqueid in near - {dial.dest}
    )
