"""Whom the dialplan meant by an attempt, where the channel that it reached does not say so.

A dialplan such as FreePBX's dials extensions by Local channels, devices by names of their own, and an
outside number for an extension that has its calls forwarded. Whom it means stands in the Local channels'
names, and in the number that the dialling side shows as its other party.
"""

from __future__ import annotations

from collections.abc import Iterator

from vipex_bridge.calls.numbering import Numbering, Role
from vipex_bridge.calls.record import CallRecord, Dial


def note_called(record: CallRecord, dial: Dial, shown: str, numbering: Numbering) -> None:
    """Notes whom the dialling side shows, and who is at a device that is dialled."""
    dial.called = shown if numbering.is_extension(shown) else ""
    dest = record.channels[dial.dest]
    if dest.role is Role.EXTENSION and not numbering.is_named(dest.name):
        dest.extension = dial.called or local_extension(record, dial) or dest.extension


def local_extension(record: CallRecord, dial: Dial) -> str:
    """The extension that the nearest Local channel before the attempt stands for, '' when none does."""
    callers = (record.channels.get(step.caller or "") for step in path(record, dial))
    stands_for = (caller.extension for caller in callers if caller is not None and caller.role is Role.LOCAL)
    return next((extension for extension in stands_for if extension), "")


def forwarder(record: CallRecord, dial: Dial) -> str:
    """The extension that the dialplan forwards, '' when none: it was called, and not itself rung."""
    called = next((step.called for step in path(record, dial) if step.called), "")
    rung = {record.channels[other.dest].extension for other in record.dials if other is not dial}
    return called if called not in rung else ""


def is_put_through(record: CallRecord, dial: Dial) -> bool:
    """Whether every Local channel between the attempt and who had it made was answered."""
    return all(step.status in ("ANSWER", "") for step in path(record, dial))


def path(record: CallRecord, dial: Dial) -> Iterator[Dial]:
    """The attempt, then those that rang the Local channels through which it was made, back to the first."""
    seen: set[str] = set()
    step: Dial | None = dial
    while step is not None and step.dest not in seen:
        seen.add(step.dest)
        yield step
        caller = record.channels.get(step.caller or "")
        if caller is None or caller.role is not Role.LOCAL:
            return
        twin = record.by_name(caller.name[:-1] + "1") if caller.name.endswith(";2") else caller
        step = next((d for d in record.dials if twin is not None and d.dest == twin.uniqueid), None)
