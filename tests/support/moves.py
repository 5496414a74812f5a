"""How a call moves on, at random: transfers, parking, hold, three who talk, numbers outside.

A move is made by whoever has the caller, and gives whether anybody can make another after it.
"""

from __future__ import annotations

from hypothesis import strategies as st
from telling import NUMBER, Ring, Telling, TrueLeg

from vipex_bridge.calls import events as ev


def is_moved(call: Telling) -> None:
    """Up to three times, as long as somebody has the caller."""
    call.wait()
    for move in call.draw(st.lists(st.sampled_from(_MOVES), min_size=1, max_size=3)):
        if not move(call):
            return
        call.wait()


def _blind(call: Telling) -> bool:
    """The talker sends the caller on; nobody there may send him back. Whether he talks to somebody."""
    story, exten, by = call.story, call.someone(), call.talker
    peer = call.peer()
    sent = story.channels[peer]
    story.events.append(ev.BlindTransferred(story.at, "Success", story.channels[by], sent, exten))
    call.parts(peer)
    call.lets_go(by)
    call.tick()
    if _is_offered_to(call, peer, exten):
        return True
    return call.maybe() and _is_offered_to(call, peer, story.channels[by].caller_number)


def _blind_outside(call: Telling) -> bool:
    """The talker sends the caller on to an outside number: a leg of the talker's."""
    story, by = call.story, call.talker
    peer = call.peer()
    sent, exten = story.channels[peer], story.channels[by].caller_number
    story.events.append(ev.BlindTransferred(story.at, "Success", story.channels[by], sent, NUMBER))
    call.parts(peer)
    call.lets_go(by)
    call.tick()
    ring = call.calls(peer, NUMBER, for_caller=False, line=True)
    call.legs.append(TrueLeg(exten))
    call.wait()
    if call.maybe():
        call.talks_outside(ring)
    call.stops(ring, "BUSY")
    return False


def _is_offered_to(call: Telling, peer: str, exten: str) -> bool:
    call.legs.append(TrueLeg(exten))
    ring = call.calls(peer, exten)
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
    else:
        call.stops(ring, "NOANSWER")
    return answers


def _attended_by_phone(call: Telling) -> bool:
    """The talker calls a colleague on a second line, then joins the two lines, or does not."""
    story, exten, by, peer = call.story, call.someone(), call.talker, call.peer()
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
        return _blonde_by_phone(call, ring, peer, second)
    call.answers(ring)
    call.meets(ring)
    call.wait()
    if how == "cancelled late":
        for name in (second, ring.dest, *(ring.pair or ())):
            call.goes(name)
        return True
    bridge = call.bridge_of[second]
    call.parts(peer, second)
    call.enters(bridge, peer)
    call.comes_to_talk(exten)
    _transferred(call, peer, second, call.with_(peer), "Bridge")
    call.goes(by)
    call.goes(second)
    call.talker = ring.dest
    return True


def _blonde_by_phone(call: Telling, ring: Ring, peer: str, second: str) -> bool:
    _transferred(call, peer, second, None, "App")
    call.goes(call.talker)
    call.parts(peer)
    call.goes(second)
    call.ringing.remove(ring)
    handed = Ring(peer, ring.dest, ring.exten, ring.pair, for_caller=True)
    call.ringing.append(handed)
    call.told.append(("ringing", ring.exten))
    call.legs.append(TrueLeg(ring.exten))
    call.ringing_since[ring.dest] = call.story.at
    return _ends_ringing(call, handed, answers=call.maybe())


def _attended_by_code(call: Telling) -> bool:
    """The talker dials the feature code: Asterisk makes a Local channel that calls the colleague."""
    story, exten, by, peer = call.story, call.someone(), call.talker, call.peer()
    home = call.bridge_of[by]
    one, two = call.local_pair(exten, by)
    aside = call.new_bridge()
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
    how = call.draw(st.sampled_from(["completed", "blonde", "cancelled", "cancelled late", "three"]))
    if how in ("completed", "cancelled late", "three"):
        call.answers(ring)
        call.enters(call.new_bridge(), dest, two)
        call.wait()
    if how.startswith("cancelled"):
        call.parts(by)
        call.enters(home, by)
        if ring in call.ringing:
            call.stops(ring, "CANCEL")
        for name in (one, two, dest):
            call.goes(name)
        return True
    call.parts(one)
    call.enters(home, one)
    if how == "three":
        return _talk_as_three(call, ring, peer, one)
    _transferred(call, peer, by, one, "Bridge")
    call.parts(by)
    call.lets_go(by)
    if how == "blonde":
        call.told.append(("ringing", exten))
        call.legs.append(TrueLeg(exten))
        call.ringing_since[ring.dest] = story.at
        call.wait()
        if call.maybe():
            call.stops(ring, "NOANSWER")
            return False
        call.answers(ring)
        call.enters(call.new_bridge(), dest, two)
        call.told.append(("answer", exten))
        call.legs[-1].answered = story.at
    else:
        call.comes_to_talk(exten)
    call.tick()
    if call.maybe():
        call.optimised(ring)
    call.talker = dest
    return True


def _talk_as_three(call: Telling, ring: Ring, peer: str, one: str) -> bool:
    """The talker takes his colleague in; then either of them may go."""
    by = call.talker
    home = call.bridge_of[one]
    call.parts(by)
    call.enters(home, by)
    _transferred(call, peer, by, one, "Threeway")
    call.comes_to_talk(ring.exten)
    call.tick()
    if call.maybe():
        call.optimised(ring)
    call.wait()
    if call.maybe():
        call.goes(by)
        call.talker = ring.dest
        return True
    if call.maybe():
        for name in (ring.dest, *(ring.pair or ())):
            call.goes(name)
        return True
    return False


def _transferred(call: Telling, peer: str, second: str, target: str | None, destination: str) -> None:
    channels = call.story.channels
    to = channels[target] if target is not None else None
    parties = channels[call.talker], channels[second], channels[peer], to
    call.story.events.append(ev.AttendedTransferred(call.story.at, "Success", *parties, destination))


def _attended_outside(call: Telling) -> bool:
    """The talker calls outside on a second line, and joins the two: a leg of the talker's."""
    story, by, peer = call.story, call.talker, call.peer()
    exten = story.channels[by].caller_number
    second = call.calling(exten, NUMBER)
    call.others += 1
    ring = call.calls(second, NUMBER, for_caller=False, line=True)
    call.wait()
    if call.maybe():
        call.stops(ring, "BUSY")
        call.goes(second)
        return True
    call.answers(ring)
    call.meets(ring)
    call.wait()
    bridge = call.bridge_of[second]
    call.parts(peer, second)
    call.enters(bridge, peer)
    call.others -= 1
    call.legs.append(TrueLeg(exten, answered=story.at))
    _transferred(call, peer, second, call.with_(peer), "Bridge")
    call.goes(by)
    call.goes(second)
    call.wait()
    return False


def _parked(call: Telling) -> bool:
    """The talker parks the caller; somebody takes him out of there, or in the end the talker rings again."""
    story, by = call.story, call.talker
    peer = call.peer()
    parked, parker = story.channels[peer], story.channels[by].caller_number
    said = [
        ev.Parked(story.at, parked, "701"),
        ev.BlindTransferred(story.at, "Success", story.channels[by], parked, "700"),
    ]
    story.events += call.draw(st.permutations(said))
    call.parts(peer)
    call.enters(call.new_bridge(), peer, kind="parking")
    call.parked = peer
    call.lets_go(by)
    call.wait()
    call.parked = ""
    if call.maybe():
        story.events.append(ev.Unparked(story.at, parked, None))
        call.parts(peer)
        return _is_offered_to(call, peer, parker)
    exten = call.someone()
    taker = call.calling(exten, "701")
    story.up(taker)
    call.parts(peer)
    unparked = ev.Unparked(story.at, parked, story.channels[taker])
    late = call.maybe()
    if not late:
        story.events.append(unparked)
    call.enters(call.new_bridge(), peer, taker)
    if late:
        story.events.append(unparked)
    call.comes_to_talk(exten)
    call.talker = taker
    return True


def _held(call: Telling) -> bool:
    """The talker lets the caller wait: that is talk."""
    story = call.story
    story.events.append(ev.Held(story.at, story.channels[call.talker], True))
    call.wait()
    story.events.append(ev.Held(story.at, story.channels[call.talker], False))
    return True


_MOVES = [_blind, _blind_outside, _attended_by_phone, _attended_by_code, _attended_outside, _parked, _held]
