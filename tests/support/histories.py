"""Call histories as Asterisk might tell them, generated, each with the truth about it.

A caller is offered to somebody, then moved on up to twice; who answers, who does not, and when the
caller has had enough is left to chance. The generator knows what happened, and so what is right to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from moves import is_moved
from offers import arrives, is_offered
from telling import NUMBER, START_S, CallerLeaves, Ring, Telling, TrueLeg

from vipex_bridge.calls import events as ev
from vipex_bridge.calls.document import Kind


@dataclass(frozen=True)
class History:
    """What Asterisk says, and the truth: what is right to tell, live and afterwards."""

    kind: Kind
    events: list[ev.CallEvent]
    told: list[tuple[str, str | None]]
    legs: list[TrueLeg]
    others: int = 0
    """Calls of their own that stay: consultations with somebody outside that came to nothing."""

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
        arrives(call)
        if is_offered(call):
            is_moved(call)
    except CallerLeaves:
        pass
    call.ends()
    told = [("arrival", None), *call.told, ("hangup", None)]
    return History(Kind.INBOUND, call.story.events, told, call.legs, call.others)


@st.composite
def outbound(draw: Any) -> History:
    """An extension that calls outside; who is then moved on."""
    call = Telling(draw)
    exten = call.someone()
    phone = call.caller = call.calling(exten, NUMBER)
    own = TrueLeg(exten)
    call.legs.append(own)
    try:
        ring = _tries(call, phone, own)
        if ring is not None:
            call.meets(ring)
            call.caller, call.talker = ring.dest, phone
            is_moved(call)
    except CallerLeaves:
        pass
    call.ends()
    return History(Kind.OUTBOUND, call.story.events, [], call.legs, call.others)


@st.composite
def clicked(draw: Any) -> History:
    """Asterisk rings an extension, directly or through a Local channel, and then calls outside for it."""
    call = Telling(draw)
    exten = call.someone()
    pair = call.local_pair(exten, None) if call.maybe() else None
    if pair is not None:
        call.dial_begin(pair[0], exten)
        ring = call.dialled(pair[1], None, exten, for_caller=False)
    else:
        phone = call.appears(f"PJSIP/{exten}", None, number=exten)
        call.dial_begin(phone, exten)
        ring = Ring(None, phone, exten, None, for_caller=False)
        call.ringing.append(ring)
    call.tick()
    call.rings(ring)
    call.wait()
    if draw(st.sampled_from([False, False, True])):
        call.stops(ring, "BUSY")
        call.ends()
        return History(Kind.INTERNAL, call.story.events, [], [])
    call.answers(ring)
    if pair is not None:
        call.story.up(pair[0])
        call.dial_end(None, pair[0], "ANSWER")
        call.enters(call.new_bridge(), ring.dest, pair[1])
    call.caller = ring.dest
    call.legs.append(TrueLeg(exten))
    try:
        far = _tries(call, pair[0] if pair is not None else ring.dest, call.legs[0])
        if far is not None:
            call.meets(far)
            call.wait()
    except CallerLeaves:
        pass
    call.ends()
    return History(Kind.OUTBOUND, call.story.events, [], call.legs)


def _tries(call: Telling, caller: str, own: TrueLeg) -> Ring | None:
    """Calls outside, over another trunk if the first refuses; the attempt that is answered, if one is."""
    for _ in range(call.draw(st.integers(1, 2))):
        ring = call.calls(caller, NUMBER, for_caller=False, line=True)
        call.wait()
        rings_from = call.story.at
        if call.maybe():
            call.rings(ring)
            try:
                call.wait()
            finally:
                own.ring_s += call.story.at - rings_from
        if call.maybe():
            own.answered = call.story.at
            call.answers(ring)
            return ring
        call.stops(ring, call.draw(st.sampled_from(["BUSY", "CHANUNAVAIL"])))
    return None


@st.composite
def internal(draw: Any) -> History:
    """Two extensions among themselves."""
    call = Telling(draw)
    call.caller = call.calling(call.someone(), "252")
    try:
        ring = call.calls(call.caller, "252", for_caller=False)
        call.rings(ring)
        call.wait()
        if draw(st.booleans()):
            call.answers(ring)
            call.meets(ring)
            call.wait()
    except CallerLeaves:
        pass
    call.ends()
    return History(Kind.INTERNAL, call.story.events, [], [])


def histories() -> st.SearchStrategy[History]:
    """Any call; inbound ones, which have the most to go wrong, the most often."""
    return st.one_of(inbound(), inbound(), inbound(), outbound(), clicked(), internal())
