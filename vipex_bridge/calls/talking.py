"""Who talks with the outside party: opens and closes the talks of a record by who hears whom."""

from __future__ import annotations

from vipex_bridge.calls.hearing import Hearing
from vipex_bridge.calls.numbering import Role
from vipex_bridge.calls.record import CallRecord, Channel, Talk


def listen(record: CallRecord, hearing: Hearing, at: float, *, found: bool) -> list[Channel]:
    """Opens and closes the talks of the call's extensions, and of lines that it was forwarded to.

    Gives the channels that began to talk. `found`: nobody saw them begin, this is how things stand now.
    """
    began = []
    for channel in list(record.channels.values()):
        company = hearing.company(channel.uniqueid)
        talk = _open_talk(record, channel.uniqueid) if record.talks else None
        if talk is None and len(company) == 1:
            continue
        if channel.role is not Role.EXTENSION and not _is_forwarded_to(record, channel):
            continue
        talking = any(record.role_of(other) is Role.OUTSIDE for other in company if other != channel.uniqueid)
        if talk is not None and not talking:
            talk.end = at
        elif talk is None and talking:
            record.talks.append(Talk(channel.uniqueid, at, start_is_estimate=found))
            began.append(channel)
    return began


def _open_talk(record: CallRecord, uniqueid: str) -> Talk | None:
    return next((t for t in record.talks if t.channel == uniqueid and t.end is None), None)


def _is_forwarded_to(record: CallRecord, channel: Channel) -> bool:
    if channel.role is not Role.OUTSIDE:
        return False
    tries = (d for d in record.dials if d.dest == channel.uniqueid and d.handed_over is None)
    return any(record.comes_from_outside(dial) for dial in tries)
