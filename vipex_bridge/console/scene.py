"""A call laid out in time: a lane for the caller and each extension, and what each did when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from vipex_bridge.calls.document import CallDocument, Direction, Part
from vipex_bridge.calls.numbering import Role, dialled_number, shown_number
from vipex_bridge.calls.record import CallRecord, Channel, Dial


class Doing(StrEnum):
    """What somebody in a call is doing."""

    HOLD = "hold"
    PARKED = "parked"
    TALKING = "talking"
    RINGING = "ringing"
    DIALLING = "dialling"
    """Being dialled, and not known to ring."""
    QUEUE = "queue"
    IVR = "ivr"
    CONNECTED = "connected"
    """In the call, and nothing more is known."""
    CALLING = "calling"
    """Began the call, and is not answered yet."""


BLINK_S = 0.25
"""Nobody notices what is shorter, such as the moment between a dial and the first ringing."""
_LEADS_TO = {
    Doing.DIALLING: (Doing.RINGING,),
    Doing.CONNECTED: (Doing.TALKING, Doing.HOLD),
    Doing.CALLING: (Doing.TALKING, Doing.CONNECTED, Doing.QUEUE, Doing.IVR),
}
_COMES_FROM = {
    Doing.CONNECTED: (Doing.TALKING, Doing.HOLD, Doing.PARKED, Doing.QUEUE, Doing.IVR),
    Doing.TALKING: (Doing.HOLD,),
}
"""What hides a blink: what it leads to, or what it comes from."""
_PRIORITY = {doing: rank for rank, doing in enumerate(Doing)}
"""Of two things at a time the earlier one of `Doing` is drawn."""


@dataclass(frozen=True, slots=True)
class Span:
    """`doing` from `start` to `end` (epoch seconds); `detail` is the queue, the keys pressed, the space."""

    doing: Doing
    start: float
    end: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment: `what` is transfer (`detail`: to whom) or pickup (`detail`: whose call)."""

    what: str
    at: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One party: `role` is caller, called (an outside number) or extension; `name` its number or ''."""

    role: str
    name: str
    spans: tuple[Span, ...]
    """In order of time, no two overlapping."""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """A call from `start` to `end`; of one that goes on, `end` is the moment it was looked at."""

    start: float
    end: float
    lanes: tuple[Lane, ...]


def of_record(record: CallRecord, now: float) -> Scene:
    """The scene of all that is known of a call; `now` ends what has not ended."""
    people = [c for c in record.channels.values() if c.role in (Role.OUTSIDE, Role.EXTENSION)]
    start = min((channel.created for channel in people), default=now)
    known = [at for c in people for at in (c.created, c.up, c.ended) if at is not None]
    end = max([start, *known] if record.is_over() else [start, now, *known])
    root = record.root()
    parties: dict[tuple[str, str], list[Channel]] = {}
    for channel in sorted(people, key=lambda channel: (channel is not root, channel.created)):
        parties.setdefault(_party(record, channel, root), []).append(channel)
    lanes = [
        Lane(
            role,
            name,
            without_blinks(settled(_spans(record, channels, end), start, end))
            if record.is_over()
            else settled(_spans(record, channels, end), start, end),
            _marks(record, channels, start, end),
        )
        for (role, name), channels in parties.items()
    ]
    return Scene(start, end, tuple(lanes))


def of_document(document: CallDocument) -> Scene:
    """The scene of a call of which only the finished document is left."""
    main, legs = document.main, document.all_legs or document.legs
    parts = legs or ((main,) if main.exten is not None else ())
    start = min([main.start_time, *(part.start_time for part in parts)])
    end = max([main.hangup_time, *(part.hangup_time for part in parts)])
    if main.direction is Direction.OUTBOUND:
        other = Lane("called", main.dst or "", settled(_of_part(main), start, end))
        own = [_talk(part) for part in parts if part.answer_time is not None]
        dialling = Span(Doing.DIALLING, main.start_time, main.answer_time or main.hangup_time)
        lanes = [_lane_of(main.exten or "", [dialling, *own], start, end), other]
        return Scene(start, end, tuple(lanes))
    spans: list[Span] = []
    first_at = min((part.start_time for part in parts), default=end)
    if main.ivr_digits is not None:
        spans.append(Span(Doing.IVR, main.start_time, first_at, main.ivr_digits))
    for queue in dict.fromkeys(part.queue for part in parts if part.queue):
        of_queue = [part for part in parts if part.queue == queue]
        until = max(part.answer_time or part.hangup_time for part in of_queue)
        spans.append(Span(Doing.QUEUE, min(part.start_time for part in of_queue), until, queue))
    spans += [_talk(part) for part in parts if part.answer_time is not None]
    lanes = [Lane("caller", main.src or "", settled(spans, start, end))]
    for extension in dict.fromkeys(part.exten for part in parts if part.exten):
        own = [span for part in parts if part.exten == extension for span in _of_part(part)]
        lanes.append(_lane_of(extension, own, start, end))
    return Scene(start, end, tuple(lanes))


def settled(spans: Iterable[Span], start: float, end: float) -> tuple[Span, ...]:
    """The spans within `start` and `end`, in order, where several overlap only the most telling one.

    A span without length is kept as it is when nothing else is drawn there.
    """
    inside = [
        Span(
            s.doing,
            min(max(s.start, start), end),
            max(min(max(s.end, start), end), min(max(s.start, start), end)),
            s.detail,
        )
        for s in spans
    ]
    long = [span for span in inside if span.end > span.start]
    moments = sorted({moment for span in long for moment in (span.start, span.end)})
    drawn: list[Span] = []
    for begin, until in pairwise(moments):
        here = [span for span in long if span.start <= begin and span.end >= until]
        if not here:
            continue
        best = min(here, key=lambda span: (_PRIORITY[span.doing], span.start))
        before = drawn[-1] if drawn else None
        if before and (before.doing, before.detail, before.end) == (best.doing, best.detail, begin):
            drawn[-1] = Span(best.doing, before.start, until, best.detail)
        else:
            drawn.append(Span(best.doing, begin, until, best.detail))
    short = [s for s in inside if s.end == s.start and not any(d.start < s.start < d.end for d in drawn)]
    return tuple(
        sorted({*drawn, *short}, key=lambda span: (span.start, span.end, _PRIORITY[span.doing], span.detail))
    )


def without_blinks(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans of a lane, in order, but those too short to notice that another one hides well.

    Who rang or called is drawn as doing so until he talks.
    """
    kept: list[Span] = []
    for place, span in enumerate(spans):
        before = spans[place - 1] if place else None
        after = spans[place + 1] if place + 1 < len(spans) else None
        is_hidden = (after is not None and after.doing in _LEADS_TO.get(span.doing, ())) or (
            before is not None and before.doing in _COMES_FROM.get(span.doing, ())
        )
        if span.end - span.start >= BLINK_S or not is_hidden:
            kept.append(span)
        elif kept and kept[-1].end == span.start and kept[-1].doing in (Doing.RINGING, Doing.CALLING):
            last = kept.pop()
            kept.append(Span(last.doing, last.start, span.end, last.detail))
    return tuple(kept)


def _party(record: CallRecord, channel: Channel, root: Channel | None) -> tuple[str, str]:
    """Whose lane the channel is drawn in."""
    if channel.role is Role.EXTENSION:
        return ("extension", channel.extension)
    if channel is root and not channel.originated:
        return ("caller", shown_number(channel.number) or "")
    dials = [dialled_number(dial.dial_string) for dial in record.dials if dial.dest == channel.uniqueid]
    return ("called", next((number for number in dials if number), channel.number or channel.name))


def _spans(record: CallRecord, channels: list[Channel], end: float) -> Iterator[Span]:
    mine = {channel.uniqueid: channel for channel in channels}
    root = record.root()
    for channel in channels:
        until = end if channel.ended is None else channel.ended
        if channel.up is not None:
            yield Span(Doing.CONNECTED, channel.up, until)
        answered = until if channel.up is None else channel.up
        if channel is root and not channel.originated and answered > channel.created:
            yield Span(Doing.CALLING, channel.created, answered)
    for dial in record.dials:
        if dial.dest in mine:
            yield from _of_dial(dial, mine[dial.dest], end)
    for talk in record.talks:
        until = end if talk.end is None else talk.end
        if talk.channel in mine:
            yield Span(Doing.TALKING, talk.start, until)
        for channel in channels:
            if channel.role is Role.OUTSIDE and channel.up is not None:
                # The outside party of a talk is whoever of them was there.
                start, stop = max(talk.start, channel.up), min(until, channel.ended or end)
                if start < stop:
                    yield Span(Doing.TALKING, start, stop)
    for hold in record.holds:
        if hold.channel in mine:
            yield Span(Doing.HOLD, hold.start, end if hold.end is None else hold.end)
    for parking in record.parkings:
        if parking.channel in mine:
            stop = end if parking.end is None else parking.end
            yield Span(Doing.PARKED, parking.start, stop, parking.space)
    yield from _waiting(record, channels, end)


def _of_dial(dial: Dial, dest: Channel, end: float) -> Iterator[Span]:
    stops = [at for at in (dial.end, dest.up, dest.ended) if at is not None and at >= dial.begin]
    stop = min(stops, default=end)
    rang = dial.ringing if dial.ringing is not None and dial.ringing <= stop else None
    if rang is None or rang > dial.begin:
        yield Span(Doing.DIALLING, dial.begin, stop if rang is None else rang)
    if rang is not None:
        yield Span(Doing.RINGING, rang, stop)


def _waiting(record: CallRecord, channels: list[Channel], end: float) -> Iterator[Span]:
    """Queues; and the menu, from the caller's first moment until anybody is dialled or a queue entered."""
    mine = {channel.uniqueid for channel in channels}
    root = record.root()
    for visit in record.queue_visits:
        if visit.channel in mine:
            stop = next((t.start for t in record.talks if t.start >= visit.joined), end)
            yield Span(Doing.QUEUE, visit.joined, stop if visit.left is None else visit.left, visit.queue)
    digits = record.note("VIPEX_IVR_DIGITS")
    if root is not None and root.uniqueid in mine and root.role is Role.OUTSIDE and digits is not None:
        firsts = [dial.begin for dial in record.dials] + [visit.joined for visit in record.queue_visits]
        yield Span(Doing.IVR, root.created, min(firsts, default=root.ended or end), digits)


def _marks(record: CallRecord, channels: list[Channel], start: float, end: float) -> tuple[Mark, ...]:
    mine = {channel.uniqueid for channel in channels}
    extensions = {channel.extension for channel in channels if channel.role is Role.EXTENSION}
    marks = [Mark("transfer", t.at, t.to) for t in record.transfers if t.by in extensions]
    for dial in record.dials:
        if dial.picked_up_by in mine and dial.end is not None:
            rang_at = record.channels.get(dial.dest)
            marks.append(Mark("pickup", dial.end, rang_at.extension if rang_at is not None else ""))
    for parking in record.parkings:
        if parking.retriever in mine and parking.end is not None:
            marks.append(Mark("pickup", parking.end, parking.space))
    inside = [Mark(mark.what, min(max(mark.at, start), end), mark.detail) for mark in marks]
    return tuple(sorted(dict.fromkeys(inside), key=lambda mark: mark.at))


def _lane_of(extension: str, spans: list[Span], start: float, end: float) -> Lane:
    return Lane("extension", extension, settled(spans, start, end))


def _of_part(part: Part) -> list[Span]:
    stop = part.answer_time if part.answer_time is not None else part.hangup_time
    rang = max(part.start_time, stop - part.ringtime)
    spans = [Span(Doing.RINGING, rang, stop)] if part.ringtime else []
    if rang > part.start_time or not part.ringtime:
        spans.append(Span(Doing.DIALLING, part.start_time, rang if part.ringtime else stop))
    if part.answer_time is not None:
        spans.append(_talk(part))
    return spans


def _talk(part: Part) -> Span:
    answered = part.hangup_time if part.answer_time is None else part.answer_time
    return Span(Doing.TALKING, answered, part.hangup_time)
