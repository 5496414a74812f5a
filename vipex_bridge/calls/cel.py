"""What channel event logging testifies of one call: its rows as the events that AMI would have told.

The rows go through a `Tracker` of their own, so that one set of rules makes the tree, whoever testifies.
CEL has no ringing and does not say who dialled whom: a telephone is taken to ring from the creation of
its channel on, and to be rung by the channel of its call that was in `Dial()` or `Queue()` then.
Sources: Asterisk's CEL specification, `cel.c`; the rows of real calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.numbering import Numbering, Role, endpoint, local_twin
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.rows import CdrRow, CelRow
from vipex_bridge.calls.tracker import Tracker

_RING, _UP = 4, 6
_DIALLING = ("Dial", "Queue", "FollowMe", "Page")
_ORIGINATED = "AppDial2"
"""The application that Asterisk names on a channel made by `Originate`."""

_STATUS_OF_CAUSE = {1: "CHANUNAVAIL", 17: "BUSY", 34: "CONGESTION"}
_UNRUNG_OUTSIDE = frozenset({1, 3, 17, 18, 20, 27, 28, 34, 38, 41, 42})
"""Causes (Q.850) with which an outside line refuses without ringing: busy, no such number, no way there."""

_HANGUP_LAG_S = 0.1
"""How much later than the next attempt's beginning the hang-up of the one before may be logged."""

_ENDS = ("HANGUP", "CHAN_END")


def in_order(rows: Iterable[CelRow]) -> list[CelRow]:
    """The rows as they happened, each once."""
    return sorted(set(rows), key=lambda row: (row.at, row.number, row.event, row.uniqueid))


def keys(rows: Iterable[CelRow]) -> list[str]:
    """Every linkedid and uniqueid that rows belong to or speak of."""
    found: dict[str, None] = {}
    for row in rows:
        spoken = [value for name, value in _extra(row).items() if name.endswith("uniqueid")]
        found |= dict.fromkeys(key for key in (row.linkedid, row.uniqueid, *spoken) if key)
    return list(found)


def is_over(rows: Sequence[CelRow]) -> bool:
    """Whether the call has ended: each linkedid has its LINKEDID_END, or each channel its end."""
    over = {row.linkedid for row in rows if row.event == "LINKEDID_END"}
    ended = {row.uniqueid for row in rows if row.event in _ENDS}
    started = {row.uniqueid for row in rows}
    return bool(rows) and ({row.linkedid for row in rows} <= over or started <= ended)


def record_of(rows: Sequence[CelRow], cdr: Sequence[CdrRow], numbering: Numbering) -> CallRecord | None:
    """The call as its CEL rows testify it; the order of `rows` does not matter.

    `cdr` are the call's CDR rows: they know what was dialled where CEL does not say. None when the rows
    do not hold enough of the call: nothing of its channels' beginnings, or talks without bridges. The
    record is `partial` when it lacks the beginning or end of a channel.
    """
    ordered = in_order(rows)
    happened = {row.event for row in ordered}
    talked = any(row.disposition == "ANSWERED" and row.dstchannel for row in cdr)
    if "CHAN_START" not in happened or (talked and "BRIDGE_ENTER" not in happened):
        return None
    tracker = Tracker(numbering)
    translation = _Translation(ordered, cdr, numbering)
    for row in ordered:
        for event in translation.events(row):
            tracker.feed(event)
    records = sorted(tracker.calls(), key=lambda record: min(c.created for c in record.channels.values()))
    record = records[0]
    for other in records[1:]:
        record.absorb(other)
    whole = all(c.seen_from_start and c.ended is not None for c in record.channels.values())
    record.partial = not whole or any(row.uniqueid not in record.channels for row in cdr)
    return record


def _extra(row: CelRow) -> dict[str, str]:
    """What the event brings; another version's plain text, or a text cut off by its column, says nothing."""
    if not row.extra.startswith("{"):
        return {}
    try:
        found = json.loads(row.extra)
    except ValueError:
        return {}
    return {name: str(value) for name, value in found.items() if value is not None}


class _Translation:
    """One call's rows, in order, to events; knows all of the rows beforehand."""

    def __init__(self, rows: list[CelRow], cdr: Sequence[CdrRow], numbering: Numbering) -> None:
        self._numbering = numbering
        self._cdr = sorted(cdr, key=lambda row: (row.start or 0.0, row.sequence or 0))
        self._of_channel: dict[str, list[CelRow]] = {}
        for row in rows:
            self._of_channel.setdefault(row.uniqueid, []).append(row)
        self._hung_up = {row.uniqueid for row in rows if row.event == "HANGUP"}
        self._says_apps = any(row.event == "APP_START" for row in rows)
        self._snapshots: dict[str, ev.ChannelSnapshot] = {}
        self._bridges: dict[str, str] = {}
        self._dials: dict[str, ev.DialBegin] = {}
        self._queues: set[tuple[str, str]] = set()
        self._queue_of: dict[str, str] = {}
        self._handlers: dict[str, Callable[[CelRow], list[ev.CallEvent]]] = {
            "CHAN_START": self._started,
            "ANSWER": self._answered,
            "APP_END": self._app_ended,
            "BRIDGE_ENTER": self._entered,
            "BRIDGE_EXIT": self._left,
            "PICKUP": self._picked_up,
            "BLINDTRANSFER": self._blind,
            "ATTENDEDTRANSFER": self._attended,
            "PARK_START": self._parked,
            "PARK_END": self._unparked,
            "LOCAL_OPTIMIZE": self._optimized,
            "HANGUP": self._ended,
            "CHAN_END": self._ended,
        }

    def events(self, row: CelRow) -> list[ev.CallEvent]:
        """What the row testifies."""
        snapshot = ev.ChannelSnapshot(
            uniqueid=row.uniqueid,
            linkedid=row.linkedid or row.uniqueid,
            name=row.channel,
            caller_number=row.caller_number,
            context=row.context,
            exten=row.exten if row.exten != "s" else "",
            account=row.account,
        )
        handler = self._handlers.get(row.event)
        if row.event != "LINKEDID_END":
            self._snapshots[row.uniqueid] = snapshot
        queued = self._queue_joined(row, snapshot)
        return [*queued, *(handler(row) if handler is not None else [])]

    # -- channels and attempts --------------------------------------------------------------

    def _started(self, row: CelRow) -> list[ev.CallEvent]:
        snapshot = self._snapshots[row.uniqueid]
        calls_in = snapshot.uniqueid == snapshot.linkedid and not self._is_originated(row.uniqueid)
        found: list[ev.CallEvent] = [ev.NewChannel(row.at, snapshot._replace(state=_RING if calls_in else 0))]
        twin = self._named(local_twin(row.channel) or "")
        if twin is not None:
            found.append(ev.LocalBridge(row.at, *sorted((snapshot, twin), key=lambda half: half.name)))
        is_second_half = row.channel.startswith("Local/") and row.channel.endswith(";2")
        consults = self._consults(row.uniqueid)
        if calls_in or is_second_half or consults or self._role(snapshot) is Role.NOBODY:
            return found
        return [*found, *self._dialled(row, snapshot)]

    def _dialled(self, row: CelRow, dest: ev.ChannelSnapshot) -> list[ev.CallEvent]:
        caller = None if self._is_originated(row.uniqueid) else self._caller_of(dest, row.at)
        if caller is None and not self._is_originated(row.uniqueid):
            return []
        before = self._given_up(row.at, caller, dest) if caller is not None else []
        began = ev.DialBegin(row.at, caller, dest, self._dial_string(caller, dest, row.at))
        self._dials[dest.uniqueid] = began
        if not self._rang(dest):
            return [*before, began]
        return [*before, began, ev.DialState(row.at, caller, dest, "RINGING")]

    def _given_up(
        self, at: float, caller: ev.ChannelSnapshot, dest: ev.ChannelSnapshot
    ) -> list[ev.CallEvent]:
        """Ends the caller's earlier attempts that are just being hung up: another thread logs that.

        Of telephones dialled together one may refuse at once, but not sooner than the next was dialled.
        """
        ended: list[ev.CallEvent] = []
        _, data = self._app_at(caller.uniqueid, at)
        for uniqueid, began in list(self._dials.items()):
            lag_s = min(_HANGUP_LAG_S, at - began.at)
            rows = self._of_channel[uniqueid]
            hangup = next((r for r in rows if r.event == "HANGUP" and r.at < at + lag_s), None)
            is_own = began.caller is not None and began.caller.uniqueid == caller.uniqueid
            is_together = _names(data, began.dest.name) and _names(data, dest.name)
            if hangup is not None and is_own and not is_together:
                ended += self._dial_ended(replace(hangup, at=at), _status(hangup))
        return ended

    def _rang(self, dest: ev.ChannelSnapshot) -> bool:
        answered = any(row.event == "ANSWER" for row in self._of_channel[dest.uniqueid])
        cause = next((_cause(r) for r in self._of_channel[dest.uniqueid] if r.event == "HANGUP"), 0)
        refused = self._role(dest) is Role.OUTSIDE and cause in _UNRUNG_OUTSIDE
        return answered or not refused

    def _caller_of(self, dest: ev.ChannelSnapshot, at: float) -> ev.ChannelSnapshot | None:
        """The channel of the same call that most likely dialled, None when there is none."""
        candidates = [
            snapshot
            for snapshot in self._snapshots.values()
            if snapshot.linkedid == dest.linkedid
            and snapshot.uniqueid != dest.uniqueid
            and not (snapshot.name.startswith("Local/") and snapshot.name.endswith(";1"))
        ]

        def likelihood(caller: ev.ChannelSnapshot) -> tuple[bool, bool, bool, float]:
            app, data = self._app_at(caller.uniqueid, at)
            began = self._of_channel[caller.uniqueid][0].at
            return (
                _names(data, dest.name) != "",
                caller.uniqueid not in self._bridges,
                app in _DIALLING,
                began,
            )

        return max(candidates, key=likelihood, default=None)

    def _app_at(self, uniqueid: str, at: float) -> tuple[str, str]:
        """The application that the channel was in; where CEL logs none, the next one that shows."""
        rows = self._of_channel[uniqueid]
        before = [row for row in rows if row.at <= at and (row.app or row.event == "APP_END")]
        if before and before[-1].event != "APP_END":
            return before[-1].app, before[-1].app_data
        after = [row for row in rows if row.at > at and row.app and not self._says_apps]
        return (after[0].app, after[0].app_data) if after else ("", "")

    def _dial_string(self, caller: ev.ChannelSnapshot | None, dest: ev.ChannelSnapshot, at: float) -> str:
        """What was dialled to reach `dest`, '' when nothing says so."""
        said = self._of_channel[caller.uniqueid] if caller is not None else []
        near = sorted(said, key=lambda row: (abs(row.at - at), row.number))
        texts = [row.app_data for row in near if row.app in _DIALLING]
        texts += [row.lastdata for row in self._cdr if row.lastapp == "Dial" and row.dstchannel == dest.name]
        return next((found for text in texts if (found := _names(text, dest.name))), "")

    def _consults(self, uniqueid: str) -> bool:
        """Whether it is the Local half by which a feature code consults: in a bridge before any answer."""
        rows = self._of_channel[uniqueid]
        if not rows[0].channel.startswith("Local/"):
            return False
        return next((r.event for r in rows if r.event in ("ANSWER", "BRIDGE_ENTER")), "") == "BRIDGE_ENTER"

    def _is_originated(self, uniqueid: str) -> bool:
        return any(row.app == _ORIGINATED for row in self._of_channel[uniqueid])

    def _answered(self, row: CelRow) -> list[ev.CallEvent]:
        snapshot = self._snapshots[row.uniqueid]._replace(state=_UP)
        return [ev.ChannelChanged(row.at, snapshot), *self._dial_ended(row, "ANSWER")]

    def _dial_ended(self, row: CelRow, status: str) -> list[ev.CallEvent]:
        began = self._dials.pop(row.uniqueid, None)
        if began is None:
            return []
        return [ev.DialEnd(row.at, began.caller, self._snapshots[row.uniqueid], status)]

    def _ended(self, row: CelRow) -> list[ev.CallEvent]:
        if row.event == "CHAN_END" and row.uniqueid in self._hung_up:
            return []
        self._bridges.pop(row.uniqueid, None)
        cause = _cause(row)
        ended = self._dial_ended(row, _status(row))
        snapshot = self._snapshots.pop(row.uniqueid)
        return [*ended, ev.HungUp(row.at, snapshot, cause)]

    # -- queues -----------------------------------------------------------------------------

    def _queue_joined(self, row: CelRow, snapshot: ev.ChannelSnapshot) -> list[ev.CallEvent]:
        """A caller enters a queue: logged as such, or first seen in it."""
        queue = row.app_data.partition(",")[0]
        is_new = row.event == "APP_START" or (row.uniqueid, row.app_data) not in self._queues
        if row.app != "Queue" or not queue or not is_new or row.event in ("APP_END", *_ENDS):
            return []
        self._queues.add((row.uniqueid, row.app_data))
        self._queue_of[row.uniqueid] = queue
        return [ev.QueueJoined(row.at, snapshot, queue)]

    def _queue_left(self, row: CelRow) -> list[ev.CallEvent]:
        queue = self._queue_of.pop(row.uniqueid, None)
        return [ev.QueueLeft(row.at, self._snapshots[row.uniqueid], queue)] if queue is not None else []

    def _app_ended(self, row: CelRow) -> list[ev.CallEvent]:
        return self._queue_left(row) if row.app == "Queue" else []

    # -- bridges ----------------------------------------------------------------------------

    def _entered(self, row: CelRow) -> list[ev.CallEvent]:
        extra = _extra(row)
        bridge, technology = extra.get("bridge_id", ""), extra.get("bridge_technology", "")
        if not bridge:
            return []
        self._bridges[row.uniqueid] = bridge
        entered = ev.BridgeEnter(row.at, self._snapshots[row.uniqueid], bridge, "", technology)
        return [*self._queue_left(row), entered]

    def _left(self, row: CelRow) -> list[ev.CallEvent]:
        bridge = self._bridges.pop(row.uniqueid, None)
        return [ev.BridgeLeave(row.at, self._snapshots[row.uniqueid], bridge)] if bridge is not None else []

    def _optimized(self, row: CelRow) -> list[ev.CallEvent]:
        two = self._of_uniqueid(_extra(row).get("local_two_uniqueid", ""))
        return [ev.LocalBridge(row.at, self._snapshots[row.uniqueid], two)] if two is not None else []

    # -- pickups, transfers, parking --------------------------------------------------------

    def _picked_up(self, row: CelRow) -> list[ev.CallEvent]:
        picker = self._of_uniqueid(_extra(row).get("pickup_channel_uniqueid", ""))
        return [ev.PickedUp(row.at, picker, self._snapshots[row.uniqueid])] if picker is not None else []

    def _blind(self, row: CelRow) -> list[ev.CallEvent]:
        extra = _extra(row)
        transferee = self._of_uniqueid(extra.get("transferee_channel_uniqueid", ""))
        transferer = self._snapshots[row.uniqueid]
        return [ev.BlindTransferred(row.at, "Success", transferer, transferee, extra.get("extension", ""))]

    def _attended(self, row: CelRow) -> list[ev.CallEvent]:
        extra = _extra(row)
        first = self._snapshots[row.uniqueid]
        return [
            ev.AttendedTransferred(
                row.at,
                "Success",
                original=first,
                second=self._of_uniqueid(extra.get("channel2_uniqueid", "")) or first,
                transferee=self._of_uniqueid(extra.get("transferee_channel_uniqueid", "")),
                target=self._of_uniqueid(extra.get("transfer_target_channel_uniqueid", "")),
                destination="Bridge",
            )
        ]

    def _parked(self, row: CelRow) -> list[ev.CallEvent]:
        return [ev.Parked(row.at, self._snapshots[row.uniqueid], _extra(row).get("parking_space", ""))]

    def _unparked(self, row: CelRow) -> list[ev.CallEvent]:
        retriever = self._named(_extra(row).get("retriever", ""))
        return [ev.Unparked(row.at, self._snapshots[row.uniqueid], retriever)]

    # -- finding ----------------------------------------------------------------------------

    def _of_uniqueid(self, uniqueid: str) -> ev.ChannelSnapshot | None:
        return self._snapshots.get(uniqueid)

    def _named(self, name: str) -> ev.ChannelSnapshot | None:
        return next((snapshot for snapshot in self._snapshots.values() if snapshot.name == name), None)

    def _role(self, snapshot: ev.ChannelSnapshot) -> Role:
        return self._numbering.role(snapshot.name, snapshot.context)


def _cause(row: CelRow) -> int:
    cause = _extra(row).get("hangupcause", "")
    return int(cause) if cause.isdecimal() else 0


def _status(hangup: CelRow) -> str:
    """How the attempt at an unanswered channel ended."""
    return _STATUS_OF_CAUSE.get(_cause(hangup), "NOANSWER")


def _names(app_data: str, channel_name: str) -> str:
    """The part of what `Dial()` was given that reaches this channel, '' when none does."""
    technology, _, peer = endpoint(channel_name).partition("/")
    for part in app_data.partition(",")[0].split("&"):
        asked, _, rest = part.partition("/")
        names = {rest, rest.removesuffix("/n"), rest.partition("/")[0], rest.rpartition("@")[2]}
        if asked == technology and peer in names:
            return part
    return ""
