"""`explain ID`: one call in order of time: what the PBX said, what followed, what was sent and came back."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

from vipex_bridge.bridge.telling import numbering_of
from vipex_bridge.calls import cel, testimony
from vipex_bridge.calls.document import CallDocument, Direction, Part, from_json
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.rows import CdrRow, CelRow
from vipex_bridge.calls.timeline import came_by, timeline
from vipex_bridge.calls.view import kind_of
from vipex_bridge.cdr.sources import open_cel
from vipex_bridge.cli.arguments import is_id
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.cli.opened import local, opened, shown
from vipex_bridge.cli.telling import tell_line
from vipex_bridge.config.settings import Settings
from vipex_bridge.errors import BridgeError, SourceError
from vipex_bridge.store.calls import StoredCall
from vipex_bridge.store.store import Store

_RESULTS = {
    Direction.OUTBOUND: "outbound",
    Direction.INBOUND: "inbound, answered by an extension",
    Direction.MISSED: "inbound, answered by no extension",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which call."""
    parser.add_argument("id", metavar="ID", help="the call's id, or a linkedid or uniqueid of Asterisk's")


def run(arguments: argparse.Namespace) -> int:
    """Prints the call's story."""
    settings = load_working(arguments.config)
    with opened(settings) as store:
        call = _found(store, arguments.id)
        known = _known(call, store, settings)
        for line in _heading(call, known, settings):
            tell_line(line)
        print()
        lines = [*_said(known.record), *_concluded(call, known.record), *_sent(call, store)]
        for at, who, what in sorted(lines, key=lambda line: line[0]):
            moment = f"{local(at, settings.timezone)}.{int(at * 1000) % 1000:03d}"
            tell_line(f"{moment}  {who:<6}  {shown(what, settings)}")
    return 0


def _found(store: Store, name: str) -> StoredCall:
    call_id = store.call_id(name)
    if call_id is None and is_id(name):
        call_id = int(name)
    call = store.call(call_id) if call_id is not None else None
    while call is not None and call.merged_into is not None:
        call = store.call(call.merged_into)
    if call is None:
        raise BridgeError(f"there is no call {name}: `vipex-bridge calls` lists those there are")
    return call


@dataclass(frozen=True, slots=True)
class _Known:
    """All that testifies to the call: what AMI saw, and what CEL and the CDR add where it saw a part."""

    seen: CallRecord | None
    rows: list[CdrRow]
    logged: str
    """What came of asking CEL, for the heading."""
    record: CallRecord | None


def _known(call: StoredCall, store: Store, settings: Settings) -> _Known:
    """The same sources in the same order of trust as when the call is told."""
    seen = CallRecord.from_dict(json.loads(call.facts)) if call.facts is not None else None
    rows = store.rows_of(call.id)
    if (seen is not None and not seen.partial) or (seen is None and not rows):
        return _Known(seen, rows, "CEL is not needed", seen)
    numbering = numbering_of(settings.numbers)
    log, said = _logged(seen, rows, settings)
    logged = cel.record_of(log, rows, numbering) if log else None
    if logged is not None:
        record = testimony.merged(seen, logged, rows) if seen is not None else logged
        testimony.add_rows(record, rows, numbering)
    elif seen is not None:
        record = CallRecord.from_dict(seen.to_dict())
        testimony.add_rows(record, rows, numbering)
    else:
        record = testimony.from_rows(rows, numbering)
    return _Known(seen, rows, said, record)


def _logged(seen: CallRecord | None, rows: list[CdrRow], settings: Settings) -> tuple[list[CelRow], str]:
    if settings.cel is None:
        return [], "CEL is not configured"
    channels = seen.channels.values() if seen is not None else ()
    moments = [m for channel in channels for m in (channel.created, channel.ended) if m is not None]
    moments += [m for row in rows for m in (row.start, row.end) if m is not None]
    names = [*(seen.keys() if seen is not None else ()), *testimony.keys(rows)]
    try:
        log = open_cel(settings.cel, settings.timezone).rows_of(names, min(moments), max(moments))
    except SourceError as error:
        return [], f"CEL cannot be read now: {error}"
    return log, f"{len(log)} CEL row{'' if len(log) == 1 else 's'}"


def _heading(call: StoredCall, known: _Known, settings: Settings) -> list[str]:
    record = known.record
    if known.seen is None and settings.ami is None:
        seen = "AMI is not configured"
    elif known.seen is None:
        seen = "AMI saw nothing of it (the bridge was away)"
    elif known.seen.partial:
        seen = "AMI saw a part of it (the bridge or its connection was away for a while)"
    else:
        seen = "AMI saw all of it"
    rows = len(known.rows)
    state = {
        "live": "it is still going on, as far as is known",
        "ended": "it is over and not told yet: its rows or its recording are waited for",
        "told": "it has been told",
        "ignored": "it is told to nobody: no line to the outside had part in it",
    }[call.state]
    if call.dropped_at is not None:
        return [
            f"call {call.id}  ({call.key} in Asterisk)",
            f"state:   {call.state}: {state}",
            f"sources: {settings.privacy.dropped}",
        ]
    kind = kind_of(record) if record is not None else None
    lines = [
        f"call {call.id}  ({call.key} in Asterisk)",
        f"state:   {call.state}: {state}",
        f"sources: {seen}; {rows} CDR row{'' if rows == 1 else 's'}; {known.logged}",
        f"kind:    {kind.name.lower() if kind is not None else 'not known: its beginning was not seen'}"
        + _root(record),
    ]
    if call.document is not None:
        main = from_json(call.document).main
        lines.append(f"result:  direction {int(main.direction)}: {_RESULTS[main.direction]}")
    return lines


def _root(record: CallRecord | None) -> str:
    root = record.root() if record is not None else None
    if root is None:
        return ""
    return f", since {root.name} ({root.role.value}) began it"


def _said(record: CallRecord | None) -> list[tuple[float, str, str]]:
    return [(at, "pbx", what) for at, what in timeline(record)] if record is not None else []


def _concluded(call: StoredCall, record: CallRecord | None) -> list[tuple[float, str, str]]:
    if call.document is None:
        return []
    document = from_json(call.document)
    parts = document.legs or ((document.main,) if document.main.exten is not None else ())
    lines = [
        (part.start_time, "leg", f"{number}: {_leg(part, document, record)}")
        for number, part in enumerate(parts, 1)
    ]
    if not parts:
        lines.append((document.main.start_time, "leg", "none: no extension was tried"))
    if call.told_at is not None:
        what = f"the call is told: {len(document.legs)} sub CDRs, {document.main.billsec} s of talk"
        lines.append((call.told_at, "told", what))
    return lines


def _leg(part: Part, document: CallDocument, record: CallRecord | None) -> str:
    """One leg in a sentence; of the main document where it is the only one."""
    whose = f"extension {part.exten}"
    if part.direction is Direction.OUTBOUND:
        whose += f" to {part.dst}"
    through = f", through queue {part.queue}" if part.queue else ""
    how = came_by(record, part) if record is not None else ""
    through += f", {how}" if how else ""
    rang = f"rang {part.ringtime} s" if part.ringtime else "did not ring for the other party"
    if part.answer_time is None:
        return f"{whose}{through}: {rang}, was not answered"
    ends = " (overlapping the next)" if _overlaps(part, document) else ""
    return f"{whose}{through}: {rang}, then {part.billsec} s of talk{ends}"


def _overlaps(part: Part, document: CallDocument) -> bool:
    later = [leg for leg in document.legs if leg.start_time > part.start_time]
    return bool(later) and later[0].start_time < part.hangup_time


def _sent(call: StoredCall, store: Store) -> list[tuple[float, str, str]]:
    lines = []
    for delivery in store.deliveries(call_id=call.id, limit=10_000):
        why = f": {delivery.error}" if delivery.error and delivery.attempts == 0 else ""
        state = "" if delivery.status == "delivered" else f" ({delivery.status}{why})"
        lines.append((delivery.created_at, "queued", f"{delivery.event} for {delivery.client}{state}"))
        for attempt in store.attempts(delivery.id):
            answer = str(attempt.status_code) if attempt.status_code is not None else "no answer"
            said = f", {attempt.error}" if attempt.error else ""
            what = (
                f"{delivery.event} to {delivery.client}: {answer} in {attempt.elapsed_s * 1000:.0f} ms{said}"
            )
            lines.append((attempt.started_at, "sent", what))
    return lines
