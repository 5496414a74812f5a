"""How an inbound call begins, at random: keys in the IVR, extensions, ring groups, queues, a conference."""

from __future__ import annotations

from hypothesis import strategies as st
from story import CALLER, DID
from telling import EXTENSIONS, NUMBER, CallerLeaves, Ring, Telling, TrueLeg

from vipex_bridge.calls import events as ev


def arrives(call: Telling) -> None:
    """The caller is there, and may press keys."""
    call.caller = call.appears("PJSIP/trunk", None, number=CALLER, exten=DID, state=4, context="from-trunk")
    keys = call.draw(st.sampled_from(["", "1", "1,2"]))
    for end in range(1, len(keys) + 1, 2):
        if end == 1:
            call.story.up(call.caller)
        call.wait()
        call.story.says(call.caller, "VIPEX_IVR_DIGITS", keys[:end])


def is_offered(call: Telling) -> bool:
    """Offered once, or to somebody else after that; whether anybody takes the call."""
    return any(_is_tried(call) for _ in range(call.draw(st.integers(1, 2))))


def _is_tried(call: Telling) -> bool:
    """Rings one extension, a group, or a queue's members in turn; whether one takes the call."""
    how = call.draw(st.sampled_from(["one", "group", "queue", "queue of all", "forward", "conference"]))
    if how == "conference":
        _confers(call)
    if how == "forward":
        return _is_forwarded(call, call.someone())
    if how.startswith("queue"):
        call.story.up(call.caller).joins(call.caller, "18")
        call.queue = "18"
    if how == "queue":
        tries = call.draw(st.integers(1, 3))
        taken = any(_rings_all(call, [call.someone()]) for _ in range(tries))
    else:
        size = 1 if how == "one" else 3
        extens = st.lists(st.sampled_from(EXTENSIONS), min_size=min(size, 2), max_size=size, unique=True)
        taken = _rings_all(call, call.draw(extens))
    call.leaves_queue()
    return taken


def _rings_all(call: Telling, extens: list[str]) -> bool:
    """One try, of all of them at once; whether it is answered, or picked up by somebody else."""
    attempts = [call.calls(call.caller, exten) for exten in extens]
    call.legs.append(TrueLeg(extens[0]))
    if call.draw(st.sampled_from([False, False, False, True])):
        call.tick()
        for ring in attempts:
            call.stops(ring, "BUSY")
        return False
    call.tick()
    for ring in attempts:
        call.rings(ring)
    call.wait()
    end = call.draw(st.sampled_from(["answer", "answer", "nobody", "pickup"]))
    if end == "answer":
        taken = call.draw(st.sampled_from(attempts))
        call.connected(taken)
        return True
    if end == "pickup" and attempts[0].pair is None:
        _is_picked_up(call, attempts)
        return True
    for ring in attempts:
        call.stops(ring, "NOANSWER")
    call.tick()
    return False


def _is_picked_up(call: Telling, attempts: list[Ring]) -> None:
    exten = call.someone()
    by, ring = call.calling(exten, "*8"), attempts[0]
    story = call.story.up(by)
    story.wait(0.1)
    story.events.append(ev.PickedUp(story.at, story.channels[by], story.channels[ring.dest]))
    call.ringing.remove(ring)
    call.has_rung(ring)
    call.goes(ring.dest)
    for other in attempts[1:]:
        call.stops(other, "CANCEL")
    story.ends(call.caller, by, "ANSWER").up(call.caller)
    call.leaves_queue()
    call.tick()
    call.enters(call.new_bridge(), by, call.caller)
    call.talker = by
    call.comes_to_talk(exten)


def _is_forwarded(call: Telling, exten: str) -> bool:
    """The phone of `exten` does not ring, it says where to go instead (302); whether one takes it."""
    story, to_outside = call.story, call.maybe()
    to = NUMBER if to_outside else call.someone()
    asked = call.dialled(call.caller, None, exten)
    call.legs.append(TrueLeg(exten))
    call.wait()
    call.ringing.remove(asked)
    call.legs.append(TrueLeg(exten if to_outside else to))
    pair = call.local_pair(to, call.caller)
    caller = story.channels[call.caller]
    story.events.append(ev.DialEnd(story.at, caller, story.channels[asked.dest], "CANCEL", to))
    story.dials(call.caller, pair[0])
    call.goes(asked.dest)
    ring = call.dialled(call.caller, pair, to, line=to_outside)
    call.tick()
    if not to_outside:
        call.rings(ring)
    call.wait()
    if not call.maybe():
        call.stops(ring, "NOANSWER")
        return False
    if to_outside:
        call.talks_outside(ring)
    call.connected(ring)
    return True


def _confers(call: Telling) -> None:
    """The caller waits in a conference, others come and go."""
    room = call.new_bridge()
    call.story.up(call.caller)
    call.enters(room, call.caller, kind="base")
    there: list[str] = []
    for _ in range(call.draw(st.integers(0, 3))):
        call.wait()
        if there and call.maybe():
            call.goes(there.pop(0))
            continue
        exten = call.someone()
        phone = call.calling(exten, "800")
        call.story.up(phone)
        call.enters(room, phone, kind="base")
        call.comes_to_talk(exten)
        there.append(phone)
    call.wait()
    raise CallerLeaves
