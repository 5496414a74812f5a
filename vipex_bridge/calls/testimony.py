"""Several testimonies made one: what AMI saw, what CEL logged, what CDR rows add.

AMI wins over CEL, CEL over the CDR. Of a call seen whole, rows add the accounting fields alone.

The CDR's own answer and ring times are wrong behind an IVR or a queue, and it has no ring start
(Asterisk's CDR specification: a row's `answer` is when party A's channel came up), so a live
observation always wins; without one, the times given here are the nearest that rows allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vipex_bridge.calls.events import ChannelSnapshot
from vipex_bridge.calls.numbering import Numbering, Role, local_twin, peer
from vipex_bridge.calls.record import CallRecord, Channel, Dial, Noted, QueueVisit, Talk
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.runs import Runs

_NOTES = {
    "VIPEX_IVR_DIGITS": "ivr_digits",
    "VIPEX_CUSTOM_FIELD": "custom_field",
    "VIPEX_PINCODE": "pincode",
    "VIPEX_COST_LOCATION": "cost_location",
    "VIPEX_CC_CALL": "cc_call",
}
_STATUS = {"ANSWERED": "ANSWER", "BUSY": "BUSY", "FAILED": "CHANUNAVAIL", "CONGESTION": "CONGESTION"}
REST_OF_SECOND_S = 0.999
"""A row's times are cut to whole seconds: what is known to have been after one was within its second."""


def groups(rows: Iterable[CdrRow]) -> list[list[CdrRow]]:
    """Rows by call: united by linkedid, uniqueid, and a `dstchannel` that is another's `channel`, in one
    run of Asterisk.

    The groups and the rows in each come in order of time (call trees, section 2).
    """
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def unite(one: str, two: str) -> None:
        parent[find(one)] = find(two)

    ordered = sorted(rows, key=_order)
    runs = Runs(ordered)
    for row in ordered:
        run = runs.of(row)
        unite(f"id {row.uniqueid}", f"id {row.linkedid or row.uniqueid}")
        unite(f"id {row.uniqueid}", f"channel {run} {row.channel}")
        if row.dstchannel:
            unite(f"id {row.uniqueid}", f"channel {run} {row.dstchannel}")
    found: dict[str, list[CdrRow]] = {}
    for row in ordered:
        found.setdefault(find(f"id {row.uniqueid}"), []).append(row)
    return list(found.values())


def keys(rows: Iterable[CdrRow]) -> list[str]:
    """The linkedids and uniqueids of rows: the names under which the store knows their call."""
    return list(dict.fromkeys(key for row in rows for key in (row.linkedid, row.uniqueid) if key))


def from_rows(rows: Sequence[CdrRow], numbering: Numbering) -> CallRecord:
    """The call that only its CDR rows testify. `rows` must not be empty."""
    ordered = sorted(rows, key=_order)
    key = ordered[0].linkedid or ordered[0].uniqueid
    record = CallRecord(key=key, linkedids=[key], partial=True)
    add_rows(record, ordered, numbering)
    return record


def add_rows(record: CallRecord, rows: Sequence[CdrRow], numbering: Numbering) -> None:
    """Adds what rows know to the record, in place; the order of `rows` does not matter."""
    ordered = sorted(rows, key=_order)
    for row in ordered:
        if row.linkedid and row.linkedid not in record.linkedids:
            record.linkedids.append(row.linkedid)
    ends: dict[str, float] = {}
    for row in ordered:
        ends[row.uniqueid] = max(_end(row), ends.get(row.uniqueid, 0.0))
    for row in ordered:
        _add_caller(record, row, ends[row.uniqueid], numbering)
    # A channel is dialled once in its life: a row on an attempt that was seen whole is no further one.
    whole = {
        dial.dest
        for dial in record.dials
        if dial.status and record.comes_from_outside(dial) and not _talk_was_missed(record, dial)
    }
    for row in ordered:
        dest = record.by_name(row.dstchannel)
        if dest is not None and row.lastapp == "Dial":
            _name_device(dest, row, numbering)
        if record.partial and row.dstchannel and (dest is None or dest.uniqueid not in whole):
            _add_attempt(record, row, numbering)
    record.note_originated(record.dials)
    if record.partial:
        _name_queues(record)
        _leave_to_rows(record, ordered)
    _add_notes(record, ordered)


def merged(seen: CallRecord, logged: CallRecord, rows: Sequence[CdrRow]) -> CallRecord:
    """One record of what AMI saw of a call and of what CEL logged of it; both stay as they are.

    AMI saw only a part; what it saw is exact, its ringing above all. CEL has the rest. `rows` are the
    call's CDR rows, for `add_rows` to add.
    """
    both = CallRecord.from_dict(seen.to_dict())
    _leave_to_rows(both, sorted(rows, key=_order))
    both.linkedids += [linkedid for linkedid in logged.linkedids if linkedid not in both.linkedids]
    for uniqueid, channel in logged.channels.items():
        own = both.channels.get(uniqueid)
        both.channels[uniqueid] = replace(channel) if own is None else _whole_channel(own, channel)
    both.dials = _whole_dials(both.dials, logged.dials)
    logged_talkers = {talk.channel for talk in logged.talks}
    talks = [talk for talk in both.talks if talk.channel not in logged_talkers]
    both.talks = sorted([*talks, *map(replace, logged.talks)], key=lambda talk: (talk.start, talk.channel))
    both.queue_visits = list(map(replace, logged.queue_visits)) or both.queue_visits
    both.parkings = list(map(replace, logged.parkings)) or both.parkings
    both.transfers = list(map(replace, logged.transfers)) or both.transfers
    both.partial = logged.partial
    return both


def _whole_channel(seen: Channel, logged: Channel) -> Channel:
    """What AMI saw of the channel, completed: a time that it only came to know later is CEL's."""
    knows_end = seen.ended is not None and not seen.end_is_estimate
    knows_start = seen.seen_from_start or not logged.seen_from_start
    ups = [up for up in (seen.up, logged.up) if up is not None]
    return replace(
        seen,
        created=seen.created if knows_start else logged.created,
        dialled=seen.dialled if knows_start else logged.dialled,
        context=seen.context if knows_start else logged.context,
        account=seen.account if knows_start else logged.account,
        number=seen.number or logged.number,
        seen_from_start=seen.seen_from_start or logged.seen_from_start,
        originated=seen.originated or logged.originated,
        up=min(ups, default=None),
        ended=seen.ended if knows_end or logged.ended is None else logged.ended,
        end_is_estimate=seen.end_is_estimate and logged.ended is None,
        cause=seen.cause or logged.cause,
    )


def _whole_dials(seen: list[Dial], logged: list[Dial]) -> list[Dial]:
    """The attempts of both, each once: a channel is dialled once in its life."""
    by_dest = {dial.dest: dial for dial in seen}
    whole = [_whole_dial(by_dest.pop(dial.dest, None), dial) for dial in logged]
    return sorted([*whole, *by_dest.values()], key=lambda dial: (dial.begin, dial.dest))


def _whole_dial(seen: Dial | None, logged: Dial) -> Dial:
    if seen is None:
        return replace(logged)
    return replace(
        logged,
        called=seen.called or logged.called,
        caller=logged.caller if seen.caller is None else seen.caller,
        begin=min(seen.begin, logged.begin),
        dial_string=seen.dial_string or logged.dial_string,
        ringing=logged.ringing if seen.ringing is None else seen.ringing,
        end=seen.end if seen.status else logged.end,
        status=seen.status or logged.status,
        queue=seen.queue or logged.queue,
        picked_up_by=seen.picked_up_by or logged.picked_up_by,
        handed_over=logged.handed_over if seen.handed_over is None else seen.handed_over,
        handed_by=seen.handed_by or logged.handed_by,
    )


def _order(row: CdrRow) -> tuple[float, float, int, str]:
    start = row.start if row.start is not None else 0.0
    return (start, row.end if row.end is not None else start, row.sequence or 0, row.dstchannel)


def _start(row: CdrRow) -> float:
    return row.start if row.start is not None else (row.end or 0.0) - row.duration


def _end(row: CdrRow) -> float:
    return row.end if row.end is not None else _start(row) + row.duration


def _add_caller(record: CallRecord, row: CdrRow, end: float, numbering: Numbering) -> None:
    """Party A's channel; `end` is the latest of its rows'."""
    channel = record.channels.get(row.uniqueid)
    if channel is None:
        if not record.partial:
            return
        channel = _channel(row.uniqueid, row.channel, row, numbering)
        channel.number = row.src
        # Asterisk rang it itself (click to call, call back): so its application, or nobody's Local channel.
        began_it = row.uniqueid == row.linkedid and row.channel.endswith(";1")
        channel.originated = row.lastapp == "AppDial2" or began_it
        channel.dialled = _dialled(row)
        record.channels[row.uniqueid] = channel
        channel.ended = end
    elif channel.ended is None or channel.end_is_estimate:
        heard = _last_heard(record, channel)
        channel.ended = end if heard < end else max(end + REST_OF_SECOND_S, heard)
        channel.end_is_estimate = False
    elif not channel.seen_from_start:
        channel.ended = max(channel.ended, end)
    if not channel.seen_from_start:
        channel.created = min(channel.created, _start(row))
        channel.dialled = channel.dialled or _dialled(row)


def _name_device(dest: Channel, row: CdrRow, numbering: Numbering) -> None:
    """A device that nobody said who is logged in at: it is who was called when it was dialled."""
    is_unnamed = dest.extension in ("", peer(dest.name)) and not numbering.is_named(dest.name)
    if dest.role is Role.EXTENSION and is_unnamed and numbering.is_extension(row.dst):
        dest.extension = row.dst


def _dialled(row: CdrRow) -> str:
    return row.did or (row.dst if row.dst not in ("s", "h") else "")


def _last_heard(record: CallRecord, channel: Channel) -> float:
    """The latest exact moment at which the channel is known to have been there."""
    heard = [channel.created, channel.up]
    for dial in record.dials:
        if channel.uniqueid in (dial.caller, dial.dest):
            heard += [dial.begin, dial.ringing, dial.end if dial.status == "ANSWER" else None]
    heard += [talk.start for talk in record.talks if not talk.start_is_estimate]
    return max(moment for moment in heard if moment is not None)


def _channel(uniqueid: str, name: str, row: CdrRow, numbering: Numbering) -> Channel:
    snapshot = ChannelSnapshot(uniqueid, row.linkedid, name, caller_number=row.src, context=row.dcontext)
    return Channel(
        uniqueid=uniqueid,
        name=name,
        role=numbering.role(name),
        extension=numbering.extension(snapshot),
        created=_start(row),
        context=row.dcontext,
        account=row.accountcode,
    )


def _add_attempt(record: CallRecord, row: CdrRow, numbering: Numbering) -> None:
    dest = record.by_name(row.dstchannel)
    known = next((d for d in record.dials if dest is not None and _is_of(d, row, dest)), None)
    if known is not None and dest is not None:
        _complete_attempt(record, known, dest, row)
        return
    if dest is not None and _is_optimized(record, row, dest):
        _prolong(record, dest, row)
        return
    if dest is None:
        snapshot = ChannelSnapshot(row.dstchannel, row.linkedid, row.dstchannel, caller_number=row.dst)
        dest = _channel(row.dstchannel, row.dstchannel, row, numbering)
        dest.extension = numbering.extension(snapshot)
        dest.account = row.peeraccount
        dest.ended = _end(row)
        record.channels[dest.uniqueid] = dest
    answered = row.answer if row.disposition == "ANSWERED" else None
    queue = row.lastdata.partition(",")[0] if row.lastapp == "Queue" else None
    attempt = Dial(
        caller=row.uniqueid,
        dest=dest.uniqueid,
        begin=_start(row),
        dial_string=row.lastdata if row.lastapp == "Dial" else "",
        ringing=_start(row),
        end=answered if answered is not None else _end(row),
        status=_STATUS.get(row.disposition, "NOANSWER"),
        queue=queue,
        called=row.dst if row.lastapp == "Dial" and numbering.is_extension(row.dst) else "",
    )
    record.dials.append(attempt)
    record.dials.sort(key=lambda dial: dial.begin)
    if queue is not None and not any(visit.queue == queue for visit in record.queue_visits):
        record.queue_visits.append(QueueVisit(row.uniqueid, queue, _start(row), _end(row)))
    if answered is not None and not _is_inside(record, attempt):
        _add_answer(record, dest, answered, row)


def _is_optimized(record: CallRecord, row: CdrRow, dest: Channel) -> bool:
    """Whether the row goes on with an attempt, the Local channel through which it was made being gone."""
    through = [d for d in record.dials if d.dest == dest.uniqueid and d.caller != row.uniqueid]
    local = [d for d in through if record.role_of(d.caller or "") is Role.LOCAL]
    return any(record.comes_from_outside(dial) for dial in local)


def _prolong(record: CallRecord, dest: Channel, row: CdrRow) -> None:
    """The attempt's channel, and its talk, last as long as the row."""
    if dest.ended is not None:
        dest.ended = max(dest.ended, _end(row))
    for talk in record.talks:
        if talk.channel == dest.uniqueid and talk.end is not None:
            talk.end = max(talk.end, _end(row))


def _name_queues(record: CallRecord) -> None:
    """A queue's member may be dialled behind a Local channel, which is what the queue's own row names."""
    by_dest = {dial.dest: dial for dial in record.dials}
    for dial in record.dials:
        behind: Dial | None = dial
        for _ in record.dials:
            if behind is None or behind.queue is not None:
                break
            caller = record.channels.get(behind.caller or "")
            twin = record.by_name(local_twin(caller.name) or "") if caller is not None else None
            behind = by_dest.get(twin.uniqueid) if twin is not None else None
        if behind is not None:
            dial.queue = behind.queue


def _is_inside(record: CallRecord, dial: Dial) -> bool:
    """Whether one extension dialled another: what these talk is not heard by the outside party."""
    origin, dest = record.origin(dial), record.channels[dial.dest]
    return origin is not None and origin.role is Role.EXTENSION and dest.role is Role.EXTENSION


def _is_of(dial: Dial, row: CdrRow, dest: Channel) -> bool:
    return dial.caller == row.uniqueid and dial.dest == dest.uniqueid


def _talk_was_missed(record: CallRecord, dial: Dial) -> bool:
    """Whether AMI was lost just after the answer: that the two talked is the row's to say."""
    if dial.status != "ANSWER" or not record.channels[dial.dest].end_is_estimate:
        return False
    talked = any(talk.channel == dial.dest for talk in record.talks)
    return not talked and not _is_inside(record, dial)


def _complete_attempt(record: CallRecord, dial: Dial, dest: Channel, row: CdrRow) -> None:
    """An attempt whose beginning was seen and whose end was missed: its row says how it ended."""
    if row.disposition != "ANSWERED" or row.answer is None:
        return
    if dial.status:
        if _talk_was_missed(record, dial):
            _add_answer(record, dest, dial.end if dial.end is not None else row.answer, row)
        return
    # Behind an IVR the row's answer is its start: the phone cannot have been picked up before it rang.
    answered = max(row.answer, dial.ringing if dial.ringing is not None else dial.begin)
    if dest.up is not None and row.answer == row.start:
        answered = dest.up
    dial.status, dial.end = "ANSWER", answered
    _add_answer(record, dest, answered, row)


def _add_answer(record: CallRecord, dest: Channel, answered: float, row: CdrRow) -> None:
    if dest.up is None or dest.up_is_estimate:
        dest.up, dest.up_is_estimate = answered, False
    if dest.role is not Role.EXTENSION:
        return
    talk = next((talk for talk in record.talks if talk.channel == dest.uniqueid), None)
    if talk is None:
        end = _end(row) if answered <= _end(row) else max(_end(row) + REST_OF_SECOND_S, answered)
        record.talks.append(Talk(dest.uniqueid, answered, end))
    elif talk.start_is_estimate:
        talk.start, talk.start_is_estimate = min(answered, talk.start), False


def _leave_to_rows(record: CallRecord, rows: Sequence[CdrRow]) -> None:
    """Drops the variables of which AMI may have missed a later value, or when they were set."""
    root = record.root()
    for name, column in _NOTES.items():
        values = [value for row in rows if (value := getattr(row, column))]
        saw_it_set = root is not None and root.seen_from_start
        if values and not (saw_it_set and record.note(name) == values[-1]):
            record.notes = [noted for noted in record.notes if noted.name != name]


def _add_notes(record: CallRecord, rows: Sequence[CdrRow]) -> None:
    for name, column in _NOTES.items():
        if record.note(name) is not None:
            continue
        last = ""
        for row in rows:
            value = getattr(row, column) or ""
            if value and value != last:
                record.notes.append(Noted(_start(row), row.uniqueid, name, value))
                last = value
    known = {_base(noted.value) for noted in record.notes if noted.name == "MIXMONITOR_FILENAME"}
    for row in rows:
        if row.recordingfile and _base(row.recordingfile) not in known:
            known.add(_base(row.recordingfile))
            dest = record.by_name(row.dstchannel)
            channel = dest.uniqueid if dest is not None else row.uniqueid
            at = row.answer if row.answer is not None else _start(row)
            record.notes.append(Noted(at, channel, "MIXMONITOR_FILENAME", row.recordingfile))
    record.notes.sort(key=lambda noted: noted.at)


def _base(path: str) -> str:
    return path.rpartition("/")[2]
