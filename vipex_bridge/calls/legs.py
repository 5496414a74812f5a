"""From a record to its legs: each stretch in which one extension was the target (call trees, section 1).

Attempts that ring at the same time are one leg; attempts that follow each other are one leg each.
Times stay as exact as they were testified; cutting to seconds and tiling is the tree's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vipex_bridge.calls.called import is_put_through
from vipex_bridge.calls.document import Kind
from vipex_bridge.calls.numbering import Role, dialled_number
from vipex_bridge.calls.record import CallRecord, Channel, Dial
from vipex_bridge.calls.transfers import sender_of
from vipex_bridge.calls.view import calling_side, outside_dials, own_tries


@dataclass(frozen=True, slots=True)
class Attempt:
    """One extension (or, outbound, the far end) that was tried. `ring_s` is real ringing.

    `exten` is '' for a call back that reached no extension.
    """

    exten: str
    channel: str
    begin: float
    end: float
    ringing: float | None
    ring_s: float
    answered: float | None
    queue: str | None
    handed_over: bool = False
    """The outside party came to it by transfer, pickup or conference: the leg before lasts until then."""
    forwarded_to: str | None = None
    """The outside number that `exten` forwarded to; None for an extension's own attempt."""


@dataclass(frozen=True, slots=True)
class Leg:
    """Attempts at the same time: `chosen` is the answerer, else the first in the dial list."""

    chosen: Attempt
    attempts: tuple[Attempt, ...]
    end: float
    """When the leg ended by itself, before tiling."""

    @property
    def ring_s(self) -> float:
        """The longest ringing of the parallel attempts."""
        return max(attempt.ring_s for attempt in self.attempts)

    @property
    def answered(self) -> float | None:
        """When an extension and the caller began to talk."""
        return self.chosen.answered


def legs_of(record: CallRecord, kind: Kind, call_end: float) -> list[Leg]:
    """The call's legs in order; `call_end` closes what was left open."""
    root = record.root()
    first: list[Leg] = []
    told: set[str] = set()
    if kind is Kind.OUTBOUND and root is not None:
        caller = calling_side(record, root)
        told = {caller.uniqueid}
        first = _outbound_leg(record, caller, call_end)
    own = [
        _attempt(record, dial, call_end)
        for dial in record.dials
        if dial.dest not in told and _tries_extension(record, dial)
    ]
    told |= {attempt.channel for attempt in own}
    later = [*own, *_came_to_talk(record, told, call_end), *_outside(record, kind, call_end)]
    since = first[0].chosen.begin if first else 0.0
    begun = root.created if root is not None else 0.0
    # What extensions talked before the outside was called, and after it had gone, was theirs alone.
    shared = [a for a in later if a.begin >= since and (a.begin < call_end or a.begin <= begun)]
    pickers = {dial.picked_up_by for dial in record.dials}
    return [*first, *(_leg(group) for group in _parallel(shared, pickers))]


def _tries_extension(record: CallRecord, dial: Dial) -> bool:
    return record.role_of(dial.dest) is Role.EXTENSION and record.comes_from_outside(dial)


def _outside(record: CallRecord, kind: Kind, call_end: float) -> list[Attempt]:
    """Outside numbers reached by forwarding or transfer: legs of the extension that sent the call there."""
    found = []
    own = own_tries(record) if kind is Kind.OUTBOUND else []
    for dial in outside_dials(record):
        if dial in own or not record.comes_from_outside(dial):
            continue
        sender = sender_of(record, dial)
        if sender:
            number = dialled_number(dial.dial_string) or record.channels[dial.dest].number
            attempt = _outside_attempt(record, dial, sender, call_end)
            answered = _taken(record, dial, attempt)
            found.append(replace(attempt, forwarded_to=number, answered=answered))
    return found


def _taken(record: CallRecord, dial: Dial, attempt: Attempt) -> float | None:
    """When the outside party and the line it was sent on to began to talk.

    Behind a Local channel whoever answers may be asked first whether he takes the call.
    """
    is_direct = attempt.handed_over or record.role_of(dial.caller or "") is not Role.LOCAL
    if attempt.answered is None or is_direct:
        return attempt.answered
    talk = next((talk for talk in record.talks if talk.channel == dial.dest), None)
    if talk is not None:
        return max(talk.start, attempt.begin)
    return attempt.answered if record.partial and is_put_through(record, dial) else None


def _came_to_talk(record: CallRecord, told: set[str], call_end: float) -> list[Attempt]:
    """Extensions that came to talk with the outside party without being dialled for it.

    By pickup, from a parking lot, in a conference: nothing rang there for the outside party.
    """
    picked_up = {dial.picked_up_by: dial.queue for dial in record.dials if dial.picked_up_by is not None}
    retrievers = {parking.retriever for parking in record.parkings}
    found: dict[str, Attempt] = {}
    for talk in record.talks:
        channel = record.channels.get(talk.channel)
        if channel is None or channel.role is not Role.EXTENSION or channel.uniqueid in told:
            continue
        first = found.get(channel.uniqueid)
        start = first.begin if first is not None else talk.start
        found[channel.uniqueid] = Attempt(
            exten=channel.extension,
            channel=channel.uniqueid,
            begin=start,
            end=_first_known(talk.end, channel.ended, call_end),
            ringing=None,
            ring_s=0.0,
            answered=start,
            queue=picked_up.get(channel.uniqueid),
            handed_over=channel.uniqueid not in retrievers,
        )
    return list(found.values())


def _attempt(record: CallRecord, dial: Dial, call_end: float) -> Attempt:
    dest = record.channels[dial.dest]
    begin = _begin(dial)
    talks = [t for t in record.talks if t.channel == dial.dest and (t.end is None or t.end >= begin)]
    answered = max(talks[0].start, begin) if talks else None
    end = _first_known(talks[-1].end if talks else dial.end, dest.ended, call_end)
    return Attempt(
        exten=dest.extension,
        channel=dest.uniqueid,
        begin=begin,
        end=end,
        ringing=dial.ringing,
        ring_s=_ring_s(dial, dest, answered, end),
        answered=answered,
        queue=dial.queue,
        handed_over=dial.handed_over is not None,
    )


def _begin(dial: Dial) -> float:
    """When the attempt became the outside party's: a consultation before that was not."""
    return dial.begin if dial.handed_over is None else max(dial.begin, dial.handed_over)


def _ring_s(dial: Dial, dest: Channel, answered: float | None, end: float) -> float:
    """Seconds of real ringing: from the first Ringing to the answer or the end of the attempt."""
    if dial.ringing is None:
        return 0.0
    stops = [m for m in (dest.up, dial.end, answered, end) if m is not None and m >= dial.ringing]
    return max(0.0, min(stops, default=dial.ringing) - max(dial.ringing, _begin(dial)))


def _parallel(attempts: list[Attempt], pickers: set[str | None]) -> list[list[Attempt]]:
    """Groups of attempts that rang at the same time, in order; who picks up never rang with them."""
    groups: list[list[Attempt]] = []
    group_end = 0.0
    for attempt in sorted(attempts, key=lambda a: a.begin):
        rang_until = attempt.answered if attempt.answered is not None else attempt.end
        if groups and attempt.begin < group_end and attempt.channel not in pickers:
            groups[-1].append(attempt)
            group_end = max(group_end, rang_until)
        else:
            groups.append([attempt])
            group_end = rang_until
    return groups


def _leg(group: list[Attempt]) -> Leg:
    answerers = [attempt for attempt in group if attempt.answered is not None]
    if answerers:
        chosen = min(answerers, key=lambda attempt: attempt.answered or 0.0)
        return Leg(chosen, tuple(group), chosen.end)
    return Leg(group[0], tuple(group), max(attempt.end for attempt in group))


def _outbound_leg(record: CallRecord, caller: Channel, call_end: float) -> list[Leg]:
    """One leg, however many trunks were tried (call trees, section 6)."""
    tries = own_tries(record)
    if not tries:
        return []
    exten = caller.extension if caller.role is Role.EXTENSION else ""
    attempts = [_outside_attempt(record, dial, exten, call_end) for dial in tries]
    chosen = next((attempt for attempt in attempts if attempt.answered is not None), attempts[-1])
    rung_s = sum(attempt.ring_s for attempt in attempts)
    whole = replace(chosen, begin=attempts[0].begin, ring_s=rung_s)
    talks = [talk for talk in record.talks if talk.channel == caller.uniqueid]
    # A phone that has sent the far end on may stay, alone, until it hangs up.
    end = _first_known(talks[-1].end if talks else None, caller.ended, call_end)
    return [Leg(whole, (whole,), end)]


def _outside_attempt(record: CallRecord, dial: Dial, exten: str, call_end: float) -> Attempt:
    """An attempt at an outside line, on `exten`'s account; answered when the far end's channel came up."""
    far = record.channels[dial.dest]
    answered = far.up if dial.status in ("ANSWER", "") else None
    if answered is not None:
        answered = max(answered, _begin(dial))
    end = _first_known(far.ended, dial.end, call_end)
    return Attempt(
        exten=exten,
        channel=far.uniqueid,
        begin=_begin(dial),
        end=end,
        ringing=dial.ringing,
        ring_s=_ring_s(dial, far, answered, end),
        answered=answered,
        queue=None,
        handed_over=dial.handed_over is not None,
    )


def _first_known(*moments: float | None) -> float:
    """The first moment that is known; the last one given must be."""
    return next(moment for moment in moments if moment is not None)
