"""What a call looks like at a moment: its kind, and the view that lookups and notifications tell."""

from __future__ import annotations

from vipex_bridge.calls.document import CallView, Kind
from vipex_bridge.calls.numbering import Role, dialled_number, endpoint, shown_number
from vipex_bridge.calls.record import CallRecord, Channel, Dial


def kind_of(record: CallRecord) -> Kind | None:
    """The kind by the root channel (call trees, section 4); None while the root was not seen."""
    return kind_by(record, record.root())


def kind_by(record: CallRecord, root: Channel | None) -> Kind | None:
    """The kind of a call that has this root."""
    if root is None or record.channels.keys().isdisjoint(record.linkedids):
        return None
    if root.role is Role.OUTSIDE and not root.originated:
        return Kind.INBOUND
    outside = any(channel.role is Role.OUTSIDE for channel in record.channels.values())
    return Kind.OUTBOUND if outside else Kind.INTERNAL


def outside_dials(record: CallRecord) -> list[Dial]:
    """The attempts that went to an outside line, in order."""
    return [d for d in record.dials if record.role_of(d.dest) is Role.OUTSIDE]


def own_tries(record: CallRecord) -> list[Dial]:
    """The attempts at an outside line that the calling side made, without those that came by transfer."""
    lines = {dial.dest for dial in outside_dials(record)}
    origins = ((d, record.origin(d)) for d in outside_dials(record) if d.handed_over is None)
    return [d for d, origin in origins if origin is None or origin.uniqueid not in lines]


def outbound_number(record: CallRecord, root: Channel) -> str | None:
    """The number as dialled to the outside, else as the extension dialled it."""
    for dial in reversed(own_tries(record)):
        number = dialled_number(dial.dial_string)
        if number is not None:
            return number
    return root.dialled or None


def calling_side(record: CallRecord, root: Channel) -> Channel:
    """Whose outbound call it is: the extension that had the outside dialled, else the root.

    Of a call back, where Asterisk rang the outside first: the extension that was then put through.
    """
    if root.role is Role.OUTSIDE:
        extensions = {c.uniqueid: c for c in record.channels.values() if c.role is Role.EXTENSION}
        talked = [extensions[talk.channel] for talk in record.talks if talk.channel in extensions]
        return next(iter([*talked, *extensions.values()]), root)
    origins = (record.origin(dial) for dial in outside_dials(record))
    first = next((channel for channel in origins if channel is not None), root)
    return first if first.role is Role.EXTENSION else root


def calling_extension(record: CallRecord, root: Channel) -> str | None:
    """The extension at the calling side; None for a call back that reached none."""
    side = calling_side(record, root)
    return side.extension if side.role is Role.EXTENSION else None


def own_queue(record: CallRecord) -> str | None:
    """The queue that the caller was in last, None when in none."""
    return record.queue_visits[-1].queue if record.queue_visits else None


def view_of(record: CallRecord, kind: Kind) -> CallView:
    """The call as it is told at this moment."""
    root = record.root()
    if root is None:
        raise ValueError("a call with a kind has a root")
    return view_by(record, kind, root)


def view_by(record: CallRecord, kind: Kind, root: Channel) -> CallView:
    """The same, of a call that has this root."""
    inbound = kind is Kind.INBOUND
    return CallView(
        key=record.key,
        kind=kind,
        start_time=root.created,
        src=shown_number(root.number) if inbound else calling_extension(record, root),
        dst=(root.dialled or None) if inbound else outbound_number(record, root),
        ivr_digits=record.note("VIPEX_IVR_DIGITS") or None,
        queue=own_queue(record),
        cc_call=record.note("VIPEX_CC_CALL"),
        custom_field=record.note("VIPEX_CUSTOM_FIELD") or None,
        context=root.context,
        account=root.account,
        trunks=outside_lines(record),
    )


def outside_lines(record: CallRecord) -> tuple[str, ...]:
    """The call's outside lines in the order in which they came, without their channels' own tails."""
    lines = (endpoint(c.name) for c in record.channels.values() if c.role is Role.OUTSIDE)
    return tuple(dict.fromkeys(lines))
