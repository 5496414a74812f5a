"""From a record to the document that is sent when the call is over (call trees, sections 5 and 6).

Every moment is cut to its whole second first and every length is a difference of such seconds, so
that serial legs tile the call and sums come out; only ringing is measured exactly, then rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest
from math import floor

from vipex_bridge.calls.document import CallDocument, CallView, Direction, Kind, Part, Recording
from vipex_bridge.calls.legs import Attempt, Leg, legs_of
from vipex_bridge.calls.numbering import Numbering, Role
from vipex_bridge.calls.record import CallRecord, Noted
from vipex_bridge.calls.view import calling_extension, kind_of, own_queue, view_of

CONFERENCE_S = 0.5
"""Two extensions that hear the outside party together for longer than this are in conference."""

Rate = Callable[[str, int, float], Decimal | None]
"""The price of talking to a number for so many seconds from a moment on, None when the tariff has none."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A leg with its place in the call: `start` and `end` tile with its neighbours'."""

    leg: Leg
    start: float
    end: float


def build(record: CallRecord, numbering: Numbering, rate: Rate) -> CallDocument | None:
    """The finished call, its ids still ordinals (`numbered` puts in the real ones).

    None for an internal call, and for one whose root nobody testified.
    """
    kind = kind_of(record)
    root = record.root()
    if root is None or kind is None or kind is Kind.INTERNAL:
        return None
    view = view_of(record, kind)
    start = root.created
    # Rows, and a clock that was set back, may testify an end before the beginning.
    end = max(start, call_end(record))
    placed = _tile(legs_of(record, kind, end), start, end)
    legs, all_legs = _parts(record, kind, placed, numbering)
    answers = [
        p.leg.answered
        for p in placed
        if p.leg.answered is not None and (numbering.forward_is_answer or p.leg.chosen.forwarded_to is None)
    ]
    answer = min(answers, default=None)
    own = calling_extension(record, root)
    owner = _owner(kind, own, placed)
    user = numbering.user(owner)
    tried = (attempt.exten for p in placed for attempt in p.leg.attempts)
    extens = tuple(dict.fromkeys(exten for exten in tried if exten))
    main = _part(start, end, answer, sum(_ringtime(p) for p in placed), _direction(kind, answer))
    main = replace(
        main,
        src=view.src,
        dst=view.dst,
        src_user_id=user.user_id if kind is Kind.OUTBOUND else None,
        dst_user_id=user.user_id if kind is Kind.INBOUND else None,
        exten=(placed[0].leg.chosen.exten or None) if placed else None if kind is Kind.INBOUND else own,
        pincode=record.note("VIPEX_PINCODE") or None if kind is Kind.OUTBOUND else None,
        ivr_digits=view.ivr_digits,
        cc_call=view.cc_call,
        queue=placed[0].leg.chosen.queue if placed else own_queue(record),
        recording=_main_recording(record, placed),
    )
    return CallDocument(
        main=main,
        kind=kind,
        price=_price(record, kind, placed, main, rate),
        cost_location=record.note("VIPEX_COST_LOCATION") or user.cost_location,
        custom_field=view.custom_field,
        other_party_number=view.src if kind is Kind.INBOUND else view.dst,
        last_exten=(placed[-1].leg.chosen.exten or None) if placed else main.exten,
        user_number=user.user_number,
        in_queue=any(p.leg.chosen.queue for p in placed) or (not placed and own_queue(record) is not None),
        context=view.context,
        account=view.account,
        extens=extens or ((own,) if own is not None and kind is Kind.OUTBOUND else ()),
        queues=tuple(dict.fromkeys(visit.queue for visit in record.queue_visits)),
        trunks=view.trunks,
        legs=legs,
        all_legs=all_legs,
    )


def numbered(document: CallDocument, main_id: int, leg_ids: list[int], references: list[str]) -> CallDocument:
    """The document with its real ids and recording references, taken from the lists in order.

    `leg_ids` has one id for each of `all_legs` (the legs of the short list are among them),
    `references` one for each recording that `recordings` gives.
    """
    by_path = dict(zip(recordings(document), references, strict=True))

    def known(part: Part, part_id: int) -> Part:
        recording = part.recording
        if recording is not None:
            recording = Recording(recording.path, by_path[recording.path])
        return replace(part, id=part_id, recording=recording)

    return replace(
        document,
        main=known(document.main, main_id),
        legs=tuple(known(leg, leg_ids[leg.id]) for leg in document.legs),
        all_legs=tuple(known(leg, leg_ids[leg.id]) for leg in document.all_legs),
    )


def recordings(document: CallDocument) -> list[str]:
    """The paths of all recordings of the call, each once."""
    parts = (document.main, *document.legs, *document.all_legs)
    return list(dict.fromkeys(part.recording.path for part in parts if part.recording is not None))


def without_recording(document: CallDocument, path: str) -> CallDocument:
    """The same call told without a recording that cannot be read."""
    return _with_recording(document, path, lambda recording: None)


def with_file(document: CallDocument, path: str, file: str) -> CallDocument:
    """The same call, the recording that was at `path` being in `file` now; its reference stays."""
    return _with_recording(document, path, lambda recording: replace(recording, path=file))


def _with_recording(
    document: CallDocument, path: str, changed: Callable[[Recording], Recording | None]
) -> CallDocument:
    def known(part: Part) -> Part:
        recording = part.recording
        if recording is None or recording.path != path:
            return part
        return replace(part, recording=changed(recording))

    return replace(
        document,
        main=known(document.main),
        legs=tuple(known(leg) for leg in document.legs),
        all_legs=tuple(known(leg) for leg in document.all_legs),
    )


def call_end(record: CallRecord) -> float:
    """The last hang-up as the outside party lived it; of any channel where no outside one was."""
    outside = [c for c in record.channels.values() if c.role is Role.OUTSIDE]
    ends = [c.ended for c in (outside or record.channels.values()) if c.ended is not None]
    return max(ends, default=max(channel.created for channel in record.channels.values()))


def _price(record: CallRecord, kind: Kind, placed: list[_Placed], main: Part, rate: Rate) -> Decimal | None:
    """Of the outside parts that cost: what was dialled to the outside, and what was sent on to it."""
    costs = []
    if kind is Kind.OUTBOUND and main.dst and main.answer_time is not None:
        costs.append(rate(main.dst, main.billsec, main.answer_time))
    for place in placed:
        sent_to, answered = place.leg.chosen.forwarded_to, place.leg.answered
        if sent_to is not None and answered is not None:
            costs.append(rate(sent_to, floor(place.end) - floor(answered), answered))
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known else None


def _tile(legs: list[Leg], start: float, end: float) -> list[_Placed]:
    """Serial legs follow each other without a gap; those of a conference end when their extension leaves."""
    placed = []
    before: Leg | None = None
    for leg, following in zip_longest(legs, legs[1:]):
        joins_next = following is not None and _talk_together(leg, following)
        if joins_next or (before is not None and _talk_together(before, leg)):
            own_end = leg.end
            if following is not None and following.chosen.handed_over and not joins_next:
                own_end = min(own_end, following.chosen.begin)
        elif following is not None:
            own_end = following.chosen.begin if following.chosen.handed_over else leg.end
        else:
            own_end = end
        placed.append(_Placed(leg, start, _within(own_end, start, end)))
        start = _within(following.chosen.begin, start, end) if joins_next else placed[-1].end
        before = leg
    return placed


def _talk_together(leg: Leg, following: Leg) -> bool:
    """Whether both hear the outside party at once, for longer than a transfer takes."""
    if leg.answered is None or following.answered is None:
        return False
    return leg.end - following.answered > CONFERENCE_S


def _within(moment: float, start: float, end: float) -> float:
    return min(max(moment, start), end)


def _direction(kind: Kind, answer: float | None) -> Direction:
    if kind is Kind.OUTBOUND:
        return Direction.OUTBOUND
    return Direction.INBOUND if answer is not None else Direction.MISSED


def _part(start: float, end: float, answer: float | None, ringtime: int, direction: Direction) -> Part:
    if answer is not None:
        answer = _within(answer, start, end)
    return Part(
        direction=direction,
        start_time=start,
        answer_time=answer,
        hangup_time=end,
        src=None,
        src_user_id=None,
        dst=None,
        dst_user_id=None,
        exten=None,
        duration=floor(end) - floor(start),
        billsec=max(0, floor(end) - floor(answer)) if answer is not None else 0,
        ringtime=ringtime,
    )


def _ringtime(placed: _Placed, ring_s: float | None = None) -> int:
    """Rounded seconds of ringing, never more than the part has up to its answer or end."""
    answered = placed.leg.answered
    until = placed.end if answered is None else min(answered, placed.end)
    room = max(0, floor(until) - floor(placed.start))
    return min(round(placed.leg.ring_s if ring_s is None else ring_s), room)


def _owner(kind: Kind, own: str | None, placed: list[_Placed]) -> str | None:
    """Own side's extension: the caller's outbound, the answering (else last tried) one's inbound."""
    if kind is Kind.OUTBOUND:
        return own
    answering = [p for p in placed if p.leg.answered is not None]
    return (answering or placed)[-1].leg.chosen.exten if placed else None


def _parts(
    record: CallRecord, kind: Kind, placed: list[_Placed], numbering: Numbering
) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The legs of `parallel_legs: answerer` and of `all`; each `id` is its ordinal among the latter."""
    legs: list[Part] = []
    all_legs: list[Part] = []
    for index, place in enumerate(placed):
        for attempt in place.leg.attempts:
            ordinal = len(all_legs)
            all_legs.append(_attempt_part(record, kind, place, attempt, index, ordinal, numbering))
            if attempt is place.leg.chosen:
                legs.append(replace(_leg_part(record, kind, place, index, numbering), id=ordinal))
    return tuple(legs) if len(legs) > 1 else (), tuple(all_legs) if len(all_legs) > 1 else ()


def _leg_part(record: CallRecord, kind: Kind, place: _Placed, index: int, numbering: Numbering) -> Part:
    answered = place.leg.answered
    part = _part(place.start, place.end, answered, _ringtime(place), _direction(kind, answered))
    return _described(record, kind, part, place, place.leg.chosen, index, numbering)


def _attempt_part(
    record: CallRecord,
    kind: Kind,
    place: _Placed,
    attempt: Attempt,
    index: int,
    ordinal: int,
    numbering: Numbering,
) -> Part:
    """One extension of a ring group: it ends by itself, unless it is the leg's only or winning one."""
    end = place.end if attempt is place.leg.chosen else min(max(attempt.end, place.start), place.end)
    own = _Placed(place.leg, place.start, end)
    part = _part(
        place.start, end, attempt.answered, _ringtime(own, attempt.ring_s), _direction(kind, attempt.answered)
    )
    return replace(_described(record, kind, part, place, attempt, index, numbering), id=ordinal)


def _described(
    record: CallRecord,
    kind: Kind,
    part: Part,
    place: _Placed,
    attempt: Attempt,
    index: int,
    numbering: Numbering,
) -> Part:
    view = view_of(record, kind)
    user_id = numbering.user(attempt.exten).user_id
    outbound = kind is Kind.OUTBOUND
    return replace(
        part,
        src=view.src,
        src_user_id=numbering.user(view.src).user_id if outbound else None,
        direction=Direction.OUTBOUND if attempt.forwarded_to is not None else part.direction,
        dst=_dst(view, outbound, index, attempt),
        dst_user_id=None if outbound else user_id,
        exten=attempt.exten or None,
        pincode=record.note("VIPEX_PINCODE") or None if outbound else None,
        ivr_digits=_digits(record, place, index),
        cc_call=view.cc_call,
        queue=attempt.queue,
        recording=_recording_of(record, place, attempt),
    )


def _dst(view: CallView, outbound: bool, index: int, attempt: Attempt) -> str | None:
    """What was dialled for this leg: the DID first, then extensions; outbound, always the number."""
    if attempt.forwarded_to is not None:
        return attempt.forwarded_to
    return view.dst if outbound or index == 0 else attempt.exten


def _digits(record: CallRecord, place: _Placed, index: int) -> str | None:
    """The keys pressed in this leg; the first leg has those pressed before it too."""
    values = [noted for noted in record.notes if noted.name == "VIPEX_IVR_DIGITS"]
    until = [noted.value for noted in values if noted.at <= place.end]
    if index == 0:
        return (until[-1] if until else None) or None
    before = [noted.value for noted in values if noted.at < place.start]
    now, earlier = until[-1] if until else "", before[-1] if before else ""
    if now == earlier:
        return None
    return now.removeprefix(earlier).strip(",") or None


def _recording_notes(record: CallRecord) -> list[Noted]:
    return [noted for noted in record.notes if noted.name == "MIXMONITOR_FILENAME" and noted.value]


def _spans_call(record: CallRecord, noted: Noted, placed: list[_Placed]) -> bool:
    """Whether a recording was begun before the first extension rang, on a channel that is no leg's."""
    targets = {attempt.channel for p in placed for attempt in p.leg.attempts}
    return noted.channel not in targets and noted.at <= placed[0].leg.chosen.begin


def _main_recording(record: CallRecord, placed: list[_Placed]) -> Recording | None:
    notes = _recording_notes(record)
    if len(placed) > 1:
        notes = [noted for noted in notes if _spans_call(record, noted, placed)]
    return Recording(notes[0].value) if notes else None


def _recording_of(record: CallRecord, place: _Placed, attempt: Attempt) -> Recording | None:
    """The recording made on the leg's own channel, or on the caller's while this leg was the talk."""
    notes = _recording_notes(record)
    own = [noted for noted in notes if noted.channel == attempt.channel]
    if not own and attempt.answered is not None:
        targets = {dial.dest for dial in record.dials}
        own = [n for n in notes if n.channel not in targets and attempt.begin < n.at <= place.end]
    return Recording(own[0].value) if own else None
