"""Call histories as Asterisk might tell them, generated, each with the truth about it.

A caller is offered to somebody, then moved on up to twice; who answers, who does not, and when the
caller has had enough is left to chance. The generator knows what happened, and so what is right to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from telling import START_S, CallerLeaves, Ring, Telling

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.document import Kind

NUMBER = "36301234576"


@dataclass(frozen=True)
class History:
    """What Asterisk says, and the truth: what is right to tell, each leg as (extension, talked)."""

    kind: Kind
    events: list[ev.CallEvent]
    told: list[tuple[str, str | None]]
    legs: list[tuple[str, bool]]
    answered: bool

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """In short, for hypothesis to show."""
        lines = [f"{event.at - START_S:9.3f} {type(event).__name__} {_short(event)}" for event in self.events]
        printer.text("\n".join([f"{self.kind} told={self.told} legs={self.legs}", *lines]))


def _short(event: ev.CallEvent) -> str:
    values = [getattr(event, name) for name in event.__dataclass_fields__ if name != "at"]
    return " ".join(f"{v.name}/{v.linkedid}" if isinstance(v, ev.ChannelSnapshot) else str(v) for v in values)


@st.composite
def inbound(draw: Any) -> History:
    """A caller from outside."""
    call = Telling(draw)
    try:
        call.arrives()
        if call.is_offered():
            _is_moved(call)
    except CallerLeaves:
        pass
    call.ends()
    told = [("arrival", None), *call.told, ("hangup", None)]
    answered = any(talked for _, talked in call.legs)
    return History(Kind.INBOUND, call.story.events, told, call.legs, answered)


@st.composite
def outbound(draw: Any) -> History:
    """An extension that calls outside, over another trunk if the first refuses; who is then moved on."""
    call = Telling(draw)
    exten = call.someone()
    phone = call.caller = call.calling(exten, NUMBER)
    call.legs.append((exten, False))
    try:
        for _ in range(draw(st.integers(1, 2))):
            ring = call.calls(phone, NUMBER, for_caller=False, line=True)
            call.wait()
            if draw(st.booleans()):
                call.rings(ring)
                call.wait()
            if draw(st.booleans()):
                call.answers(ring)
                call.meets(ring)
                call.legs[0] = (exten, True)
                call.caller, call.talker = ring.dest, phone
                _is_moved(call)
                break
            call.stops(ring, draw(st.sampled_from(["BUSY", "CHANUNAVAIL"])))
    except CallerLeaves:
        pass
    call.ends()
    return History(Kind.OUTBOUND, call.story.events, [], call.legs, call.legs[0][1])


@st.composite
def internal(draw: Any) -> History:
    """Two extensions among themselves."""
    call = Telling(draw)
    call.caller = call.calling(call.someone(), "252")
    answered = False
    try:
        ring = call.calls(call.caller, "252", for_caller=False)
        call.rings(ring)
        call.wait()
        if draw(st.booleans()):
            call.answers(ring)
            call.meets(ring)
            answered = True
            call.wait()
    except CallerLeaves:
        pass
    call.ends()
    return History(Kind.INTERNAL, call.story.events, [], [], answered)


def histories() -> st.SearchStrategy[History]:
    """Any call; inbound ones, which have the most to go wrong, the most often."""
    return st.one_of(inbound(), inbound(), inbound(), outbound(), internal())


def _is_moved(call: Telling) -> None:
    """Up to twice, as long as somebody has the caller."""
    call.wait()
    for move in call.draw(st.lists(st.sampled_from(_MOVES), max_size=2)):
        if not move(call):
            return
        call.wait()


def _blind(call: Telling) -> bool:
    """The talker sends the caller on; nobody there may send him back. Whether he talks to somebody."""
    story, exten, by = call.story, call.someone(), call.talker
    caller = story.channels[call.caller]
    story.events.append(ev.BlindTransferred(story.at, "Success", story.channels[by], caller, exten))
    call.parts(call.caller)
    call.goes(by)
    call.tick()
    if _is_offered_to(call, exten):
        return True
    return call.maybe() and _is_offered_to(call, story.channels[by].caller_number)


def _blind_outside(call: Telling) -> bool:
    """The talker sends the caller on to an outside number: a leg of the talker's."""
    story, by = call.story, call.talker
    caller, exten = story.channels[call.caller], story.channels[by].caller_number
    story.events.append(ev.BlindTransferred(story.at, "Success", story.channels[by], caller, NUMBER))
    call.parts(call.caller)
    call.goes(by)
    call.tick()
    ring = call.calls(call.caller, NUMBER, for_caller=False, line=True)
    call.legs.append((exten, False))
    call.wait()
    if call.maybe():
        call.answers(ring)
        call.meets(ring)
        call.legs[-1] = (exten, True)
        call.wait()
    else:
        call.stops(ring, "BUSY")
    return False


def _is_offered_to(call: Telling, exten: str) -> bool:
    ring = call.calls(call.caller, exten)
    call.legs.append((exten, False))
    call.tick()
    outcome = call.draw(st.sampled_from(["answers", "answers", "nobody", "busy"]))
    if outcome == "busy":
        call.stops(ring, "BUSY")
        return False
    call.rings(ring)
    return _ends_ringing(call, ring, answers=outcome == "answers")


def _ends_ringing(call: Telling, ring: Ring, *, answers: bool) -> bool:
    call.wait()
    if answers:
        call.connected(ring)
        call.legs[-1] = (ring.exten, True)
    else:
        call.stops(ring, "NOANSWER")
    return answers


def _attended_by_phone(call: Telling) -> bool:
    """The talker calls a colleague on a second line, then joins the two lines, or does not."""
    story, exten, by = call.story, call.someone(), call.talker
    second = call.calling(story.channels[by].caller_number, exten)
    ring = call.calls(second, exten, for_caller=False)
    call.tick()
    call.rings(ring)
    call.wait()
    how = call.draw(st.sampled_from(["completed", "blonde", "cancelled", "cancelled late"]))
    if how == "cancelled":
        call.stops(ring, "CANCEL")
        call.goes(second)
        return True
    if how == "blonde":
        return _blonde_by_phone(call, ring, by, second)
    call.answers(ring)
    call.meets(ring)
    call.wait()
    if how == "cancelled late":
        for name in (second, ring.dest, *(ring.pair or ())):
            call.goes(name)
        return True
    bridge = call.bridge_of[second]
    call.parts(call.caller, second)
    call.enters(bridge, call.caller)
    call.told.append(("answer", exten))
    call.legs.append((exten, True))
    target = next(name for name, where in call.bridge_of.items() if where == bridge and name != call.caller)
    _transferred(call, by, second, target, "Bridge")
    call.goes(by)
    call.goes(second)
    call.talker = ring.dest
    return True


def _blonde_by_phone(call: Telling, ring: Ring, by: str, second: str) -> bool:
    _transferred(call, by, second, None, "App")
    call.goes(by)
    call.parts(call.caller)
    call.goes(second)
    call.ringing.remove(ring)
    handed = Ring(call.caller, ring.dest, ring.exten, ring.pair, for_caller=True)
    call.ringing.append(handed)
    call.told.append(("ringing", ring.exten))
    call.legs.append((ring.exten, False))
    return _ends_ringing(call, handed, answers=call.maybe())


def _attended_by_code(call: Telling) -> bool:
    """The talker dials the feature code: Asterisk makes a Local channel that calls the colleague."""
    story, exten, by = call.story, call.someone(), call.talker
    home = call.bridge_of[call.caller]
    one, two = call.local_pair(exten, by)
    aside = call.new_bridge()
    was_in = call.bridge_of[by]
    call.enters(aside, one)
    call.parts(by)
    call.enters(aside, by)
    dest = call.phone(exten, by)
    story.dials(two, dest, exten)
    ring = Ring(None, dest, exten, (one, two), for_caller=False)
    call.ringing.append(ring)
    call.tick()
    call.rings(ring)
    call.wait()
    how = call.draw(st.sampled_from(["completed", "blonde", "cancelled", "cancelled late"]))
    if how in ("completed", "cancelled late"):
        call.answers(ring)
        call.enters(call.new_bridge(), dest, two)
        call.wait()
    if how.startswith("cancelled"):
        call.parts(by)
        call.enters(was_in, by)
        if ring in call.ringing:
            call.stops(ring, "CANCEL")
        for name in (one, two, dest):
            call.goes(name)
        return True
    call.parts(one)
    call.enters(home, one)
    _transferred(call, by, by, one, "Bridge")
    call.goes(by)
    call.told.append(("answer" if how == "completed" else "ringing", exten))
    call.legs.append((exten, how == "completed"))
    if how == "blonde":
        call.wait()
        if call.maybe():
            call.stops(ring, "NOANSWER")
            return False
        call.answers(ring)
        call.enters(call.new_bridge(), dest, two)
        call.told.append(("answer", exten))
        call.legs[-1] = (exten, True)
    call.tick()
    if call.maybe():
        call.optimised(ring)
    call.talker = dest
    return True


def _transferred(call: Telling, by: str, second: str, target: str | None, destination: str) -> None:
    channels = call.story.channels
    to = channels[target] if target is not None else None
    caller = channels[call.caller]
    event = ev.AttendedTransferred(
        call.story.at, "Success", channels[by], channels[second], caller, to, destination
    )
    call.story.events.append(event)


def _parked(call: Telling) -> bool:
    """The talker parks the caller; somebody, perhaps the same, takes him out of there."""
    story, by = call.story, call.talker
    caller = story.channels[call.caller]
    story.events.append(ev.Parked(story.at, caller, "701"))
    story.events.append(ev.BlindTransferred(story.at, "Success", story.channels[by], caller, "700"))
    call.parts(call.caller)
    call.enters(call.new_bridge(), call.caller, kind="parking")
    call.parked = True
    call.goes(by)
    call.wait()
    exten = call.someone()
    taker = call.calling(exten, "701")
    story.up(taker)
    call.parts(call.caller)
    call.enters(call.new_bridge(), call.caller, taker)
    story.events.append(ev.Unparked(story.at, caller, story.channels[taker]))
    call.parked = False
    call.told.append(("answer", exten))
    call.legs.append((exten, True))
    call.talker = taker
    return True


_MOVES = [_blind, _blind_outside, _attended_by_phone, _attended_by_code, _parked]
