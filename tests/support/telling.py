"""A call while it is being made up, step by step, at random: phones that ring, answer, or do not.

Each step says what Asterisk would, in the words of `story`, and notes what is right to tell of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from story import CALLER, DID, Story

from vipex_bridge.calls import events as ev

START_S = 1795409343.0
EXTENSIONS = ["200", "221", "251", "252"]
_PAUSES_S = st.sampled_from([0.004, 0.4, 1.0, 2.6, 7.0, 61.3])
_LEAVES = st.sampled_from([False] * 12 + [True])


@dataclass(frozen=True)
class Ring:
    """A phone that is being called: by whom, through which Local pair (None: directly)."""

    caller: str | None
    dest: str
    exten: str
    pair: tuple[str, str] | None
    for_caller: bool


class CallerLeaves(Exception):
    """The outside party has had enough."""


class Telling:
    """A history while it is being made up; `talker` is the extension's channel that has the caller."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.story = Story(START_S, linkedid="1795409343.1")
        self.told: list[tuple[str, str | None]] = []
        self.legs: list[tuple[str, bool]] = []
        self.live: list[str] = []
        self.bridge_of: dict[str, str] = {}
        self.ringing: list[Ring] = []
        self.caller = ""
        self.talker = ""
        self.parked = False
        self.queue = ""
        self._count = 0

    # -- small words ------------------------------------------------------------------------

    def maybe(self) -> bool:
        return bool(self.draw(st.booleans()))

    def number(self) -> int:
        self._count += 1
        return self._count

    def someone(self) -> str:
        return str(self.draw(st.sampled_from(EXTENSIONS)))

    def tick(self) -> None:
        self.story.wait(0.001)

    def wait(self) -> None:
        """Time passes, and the caller may leave."""
        self.story.wait(self.draw(_PAUSES_S))
        if self.caller and self.draw(_LEAVES):
            raise CallerLeaves

    def appears(self, kind: str, of: str | None, ending: str = "", **known: Any) -> str:
        """A new channel: of the same call as channel `of`, or (None) the first of its own."""
        number = self.number()
        name = f"{kind}-{number:08x}{ending}"
        uniqueid = f"{int(self.story.at)}.{number}"
        linkedid = self.story.channels[of].linkedid if of is not None else uniqueid
        self.story.channel(name, uniqueid=uniqueid, linkedid=linkedid, **known)
        self.live.append(name)
        return name

    def phone(self, exten: str, of: str) -> str:
        """A phone that is called."""
        return self.appears(f"PJSIP/{exten}", of, number=exten)

    def calling(self, exten: str, dialled: str) -> str:
        """A phone that calls by itself."""
        return self.appears(f"PJSIP/{exten}", None, number=exten, exten=dialled, state=4)

    def local_pair(self, exten: str, of: str) -> tuple[str, str]:
        one = self.appears(f"Local/{exten}@from-queue", of, ";1", exten=exten)
        two = one[:-1] + "2"
        uniqueid = f"{int(self.story.at)}.{self.number()}"
        linkedid = self.story.channels[of].linkedid
        self.story.channel(two, uniqueid=uniqueid, linkedid=linkedid, exten=exten, state=4)
        self.live.append(two)
        halves = self.story.channels[one], self.story.channels[two]
        self.story.events.append(ev.LocalBridge(self.story.at, *halves))
        return one, two

    def goes(self, name: str) -> None:
        if name not in self.live:
            return
        self.parts(name)
        self.live.remove(name)
        self.story.hangs_up(name)

    def enters(self, bridge: str, *names: str, kind: str = "basic") -> None:
        technology = "holding_bridge" if kind == "parking" else "simple_bridge"
        for name in names:
            self.bridge_of[name] = bridge
            channel = self.story.channels[name]
            self.story.events.append(ev.BridgeEnter(self.story.at, channel, bridge, kind, technology))

    def parts(self, *names: str) -> None:
        for name in names:
            bridge = self.bridge_of.pop(name, None)
            if bridge is not None:
                channel = self.story.channels[name]
                self.story.events.append(ev.BridgeLeave(self.story.at, channel, bridge))

    def new_bridge(self) -> str:
        return f"bridge-{self.number()}"

    # -- ringing ----------------------------------------------------------------------------

    def calls(self, caller: str, exten: str, *, for_caller: bool = True, line: bool = False) -> Ring:
        pair = self.local_pair(exten, caller) if self.maybe() else None
        if pair is not None:
            self.story.dials(caller, pair[0])
        dest = (
            self.appears("PJSIP/trunk", caller, context="from-trunk") if line else self.phone(exten, caller)
        )
        dial_string = f"{exten}@trunk" if line else exten
        self.story.dials(pair[1] if pair else caller, dest, dial_string)
        ring = Ring(caller, dest, exten, pair, for_caller)
        self.ringing.append(ring)
        return ring

    def rings(self, ring: Ring) -> None:
        """Both signs of ringing, in either order; some phones give only one."""
        by = ring.pair[1] if ring.pair else ring.caller
        signs = self.draw(st.sampled_from([["dial", "state"], ["state", "dial"], ["dial"], ["state"]]))
        for sign in signs:
            if sign == "dial":
                self.dial_state(by, ring.dest)
            else:
                ringing = replace(self.story.channels[ring.dest], state=5)
                self.story.events.append(ev.ChannelChanged(self.story.at, ringing))
        if ring.pair:
            self.dial_state(ring.caller, ring.pair[0])
        if ring.for_caller:
            self.told.append(("ringing", ring.exten))

    def dial_state(self, caller: str | None, dest: str) -> None:
        by = self.story.channels[caller] if caller is not None else None
        self.story.events.append(ev.DialState(self.story.at, by, self.story.channels[dest], "RINGING"))

    def dial_end(self, caller: str | None, dest: str, status: str) -> None:
        by = self.story.channels[caller] if caller is not None else None
        self.story.events.append(ev.DialEnd(self.story.at, by, self.story.channels[dest], status))

    def stops(self, ring: Ring, status: str) -> None:
        self.ringing.remove(ring)
        self.dial_end(ring.pair[1] if ring.pair else ring.caller, ring.dest, status)
        self.goes(ring.dest)
        if ring.pair:
            self.dial_end(ring.caller, ring.pair[0], status)
            self.goes(ring.pair[1])
            self.goes(ring.pair[0])

    def answers(self, ring: Ring) -> None:
        """The phone is taken off the hook; all others stop ringing. Nobody talks yet."""
        self.story.up(ring.dest)
        self.ringing.remove(ring)
        for other in list(self.ringing):
            self.stops(other, "CANCEL")
        self.dial_end(ring.pair[1] if ring.pair else ring.caller, ring.dest, "ANSWER")
        if ring.pair:
            self.story.up(ring.pair[1]).up(ring.pair[0])
            self.dial_end(ring.caller, ring.pair[0], "ANSWER")
        if ring.caller is not None:
            self.story.up(ring.caller)
        self.tick()

    def meets(self, ring: Ring) -> None:
        """Caller and phone come together in a bridge; Local channels between them go away, or stay."""
        assert ring.caller is not None
        bridge = self.new_bridge()
        if ring.pair is None:
            self.enters(bridge, ring.dest, ring.caller)
            return
        self.enters(self.new_bridge(), ring.dest, ring.pair[1])
        self.enters(bridge, ring.pair[0], ring.caller)
        if self.maybe():
            self.tick()
            self.optimised(ring)

    def optimised(self, ring: Ring) -> None:
        """Asterisk takes the Local pair out of the middle."""
        assert ring.pair is not None
        bridge = self.bridge_of[ring.pair[0]]
        self.parts(ring.dest, ring.pair[0])
        self.enters(bridge, ring.dest)
        self.goes(ring.pair[1])
        self.goes(ring.pair[0])

    def connected(self, ring: Ring) -> None:
        """The caller has somebody to talk to."""
        self.answers(ring)
        self.leaves_queue()
        self.meets(ring)
        self.talker = ring.dest
        self.told.append(("answer", ring.exten))

    def leaves_queue(self) -> None:
        if self.queue:
            caller = self.story.channels[self.caller]
            self.story.events.append(ev.QueueLeft(self.story.at, caller, self.queue))
        self.queue = ""

    # -- an inbound call, in its steps ------------------------------------------------------

    def arrives(self) -> None:
        self.caller = self.appears(
            "PJSIP/trunk", None, number=CALLER, exten=DID, state=4, context="from-trunk"
        )
        keys = self.draw(st.sampled_from(["", "1", "1,2"]))
        for end in range(1, len(keys) + 1, 2):
            if end == 1:
                self.story.up(self.caller)
            self.wait()
            self.story.says(self.caller, "VIPEX_IVR_DIGITS", keys[:end])

    def is_offered(self) -> bool:
        """Offered once, or to somebody else after that; whether anybody takes the call."""
        return any(self.is_tried() for _ in range(self.draw(st.integers(1, 2))))

    def is_tried(self) -> bool:
        """Rings one extension, a group, or a queue's members in turn; whether one takes the call."""
        how = self.draw(st.sampled_from(["one", "group", "queue", "queue of all"]))
        if how.startswith("queue"):
            self.story.up(self.caller).joins(self.caller, "18")
            self.queue = "18"
        if how == "queue":
            tries = self.draw(st.integers(1, 3))
            taken = any(self.rings_all([self.someone()]) for _ in range(tries))
        else:
            size = 1 if how == "one" else 3
            extens = st.lists(st.sampled_from(EXTENSIONS), min_size=min(size, 2), max_size=size, unique=True)
            taken = self.rings_all(self.draw(extens))
        self.leaves_queue()
        return taken

    def rings_all(self, extens: list[str]) -> bool:
        """One try, of all of them at once; whether it is answered, or picked up by somebody else."""
        attempts = [self.calls(self.caller, exten) for exten in extens]
        self.legs.append((extens[0], False))
        if self.draw(st.sampled_from([False, False, False, True])):
            self.tick()
            for ring in attempts:
                self.stops(ring, "BUSY")
            return False
        self.tick()
        for ring in attempts:
            self.rings(ring)
        self.wait()
        end = self.draw(st.sampled_from(["answer", "answer", "nobody", "pickup"]))
        if end == "answer":
            taken = self.draw(st.sampled_from(attempts))
            self.connected(taken)
            self.legs[-1] = (taken.exten, True)
            return True
        if end == "pickup" and attempts[0].pair is None:
            self.is_picked_up(attempts)
            return True
        for ring in attempts:
            self.stops(ring, "NOANSWER")
        self.tick()
        return False

    def is_picked_up(self, attempts: list[Ring]) -> None:
        exten = self.someone()
        by, ring = self.calling(exten, "*8"), attempts[0]
        story = self.story.up(by)
        story.wait(0.1)
        story.events.append(ev.PickedUp(story.at, story.channels[by], story.channels[ring.dest]))
        self.ringing.remove(ring)
        self.goes(ring.dest)
        for other in attempts[1:]:
            self.stops(other, "CANCEL")
        story.ends(self.caller, by, "ANSWER").up(self.caller)
        self.leaves_queue()
        self.tick()
        self.enters(self.new_bridge(), by, self.caller)
        self.talker = by
        self.told.append(("answer", exten))
        self.legs.append((exten, True))

    # -- the end ----------------------------------------------------------------------------

    def ends(self) -> None:
        """Everybody hangs up, the caller first or last; phones that ring stop."""
        if self.queue:
            self.leaves_queue()
        if self.parked:
            self.story.events.append(ev.Unparked(self.story.at, self.story.channels[self.caller], None))
        for ring in [ring for ring in self.ringing if ring.caller == self.caller]:
            self.stops(ring, "CANCEL")
        caller_first = self.maybe()
        if caller_first:
            self.goes(self.caller)
            self.tick()
        for ring in list(self.ringing):
            self.stops(ring, "CANCEL")
        for name in self.draw(st.permutations([name for name in self.live if name != self.caller])):
            self.goes(name)
        self.goes(self.caller)
