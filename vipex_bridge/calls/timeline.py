"""A call's testimony as a time line that a person can read."""

from __future__ import annotations

from dataclasses import dataclass

from vipex_bridge.calls.document import Part
from vipex_bridge.calls.numbering import Role
from vipex_bridge.calls.record import CallRecord, Channel, Dial


def timeline(record: CallRecord) -> list[tuple[float, str]]:
    """What happened, in order of time: (epoch seconds, one line of text)."""
    lines: list[tuple[float, str]] = []
    root = record.root()
    for channel in record.channels.values():
        if channel.role is Role.LOCAL:
            continue
        if channel is root:
            lines.append((channel.created, f"{_who(channel)} calls {channel.dialled or '(nothing dialled)'}"))
        if channel.ended is not None:
            cause = f", cause {channel.cause}" if channel.cause else ""
            lines.append((channel.ended, f"{_who(channel)} hangs up{cause}"))
    for dial in record.dials:
        lines += _dial_lines(record, dial)
    for talk in record.talks:
        who = _who(record.channels[talk.channel])
        lines.append((talk.start, f"{who} talks with the outside party"))
        if talk.end is not None:
            lines.append((talk.end, f"{who} stops talking with the outside party"))
    lines += _moves(record)
    for visit in record.queue_visits:
        lines.append((visit.joined, f"enters queue {visit.queue}"))
        if visit.left is not None:
            lines.append((visit.left, f"leaves queue {visit.queue}"))
    for noted in record.notes:
        name = noted.name.removeprefix("VIPEX_").lower().replace("_", " ")
        lines.append((noted.at, f"{name} is {noted.value}"))
    return sorted(lines, key=lambda line: line[0])


_AT_ONCE_S = 1.0
"""What makes a leg comes this much before it at most."""


@dataclass(frozen=True, slots=True)
class Coming:
    """How an extension came to a call without being dialled for it."""

    how: str
    """blind or attended (transfer), pickup, unparked, or rang_back (nobody had taken it out of the lot)."""
    whose: str
    """The extension that put it through, who rang when it was picked up, the parking space."""


def coming(record: CallRecord, part: Part) -> Coming | None:
    """How the extension of a leg came to the call: by transfer, pickup, parking; None when it was dialled."""

    def fits(at: float | None) -> bool:
        return at is not None and part.start_time - _AT_ONCE_S <= at <= part.hangup_time

    for transfer in record.transfers:
        if transfer.to in (part.exten, part.dst) and fits(transfer.at):
            return Coming(transfer.kind, transfer.by)
    for dial in record.dials:
        picker = record.channels.get(dial.picked_up_by or "")
        if picker is not None and picker.extension == part.exten and fits(dial.end):
            return Coming("pickup", _named(record, dial.dest))
    for parking in record.parkings:
        retriever = record.channels.get(parking.retriever or "")
        if retriever is not None and retriever.extension == part.exten and fits(parking.end):
            return Coming("unparked", parking.space)
        if retriever is None and fits(parking.start) and fits(parking.end):
            return Coming("rang_back", parking.space)
    return None


def came_by(record: CallRecord, part: Part) -> str:
    """`coming` in a few words, '' when the extension was dialled."""
    came = coming(record, part)
    match came:
        case None:
            return ""
        case Coming("pickup", whose):
            return f"picked up the call that rang at {whose}"
        case Coming("unparked", space):
            return f"took the call out of {space}"
        case Coming("rang_back", space):
            return f"rang again after nobody had taken the call out of {space}"
        case Coming(kind, by):
            return f"put through by extension {by} ({kind} transfer)"


def _moves(record: CallRecord) -> list[tuple[float, str]]:
    """Transfers, parking, hold."""
    lines = []
    for transfer in record.transfers:
        how = "sends the other party on to" if transfer.kind == "blind" else "joins the other party with"
        lines.append((transfer.at, f"extension {transfer.by} {how} {transfer.to} ({transfer.kind} transfer)"))
    for parking in record.parkings:
        lines.append((parking.start, f"{_named(record, parking.channel)} is parked in {parking.space}"))
        if parking.end is not None and parking.retriever is not None:
            who = _named(record, parking.retriever)
            lines.append((parking.end, f"{who} takes the call out of {parking.space}"))
        elif parking.end is not None:
            lines.append((parking.end, f"the parking in {parking.space} ends, nobody took the call"))
    for hold in record.holds:
        lines.append((hold.start, f"{_named(record, hold.channel)} puts the other party on hold"))
        if hold.end is not None:
            lines.append((hold.end, f"{_named(record, hold.channel)} ends the hold"))
    return lines


def _dial_lines(record: CallRecord, dial: Dial) -> list[tuple[float, str]]:
    dest = record.channels.get(dial.dest)
    if dest is None or dest.role is Role.LOCAL:
        return []
    through = f" from queue {dial.queue}" if dial.queue else ""
    lines = [(dial.begin, f"{_who(dest)} is dialled{through}")]
    if dial.ringing is not None:
        lines.append((dial.ringing, f"{_who(dest)} rings"))
    if dial.picked_up_by is not None and dial.end is not None:
        lines.append((dial.end, f"{_named(record, dial.picked_up_by)} picks up the call that rang there"))
    if dial.end is not None and dial.status:
        lines.append((dial.end, f"the attempt at {_who(dest)} ends: {dial.status}"))
    return lines


def _named(record: CallRecord, uniqueid: str) -> str:
    channel = record.channels.get(uniqueid)
    return _who(channel) if channel is not None else f"channel {uniqueid}"


def _who(channel: Channel) -> str:
    if channel.role is Role.EXTENSION:
        return f"extension {channel.extension}"
    return f"{channel.number or 'a withheld number'} on {channel.name.rpartition('-')[0] or channel.name}"
