"""A call while it is being made up, step by step, at random: phones that ring, answer, or do not.

Each step says what Asterisk would, in the words of `story`, and notes what is right to tell of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from story import Story

from vipex_bridge.calls import events as ev

NUMBER = "36301234576"
START_S = 1795409343.0
EXTENSIONS = ["200", "221", "251", "252"]
_PAUSES_S = st.sampled_from([0.004, 0.4, 1.0, 2.6, 7.0, 61.3])
_TECHNOLOGIES = {"basic": "simple_bridge", "parking": "holding_bridge", "base": "softmix"}
_LEAVES = st.sampled_from([False] * 24 + [True])


@dataclass(frozen=True)
class Ring:
    """A phone that is being called: by whom, through which Local pair (None: directly)."""

    caller: str | None
    dest: str
    exten: str
    pair: tuple[str, str] | None
    for_caller: bool


@dataclass
class TrueLeg:
    """What is right to tell of a leg: since when its extension talked, how long it really rang."""

    exten: str
    answered: float | None = None
    ring_s: float = 0.0


class CallerLeaves(Exception):
    """The outside party has had enough."""


def _age(linkedid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in linkedid.split("."))


class Telling:
    """A history while it is being made up; `talker` is the extension's channel that has the caller."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.story = Story(START_S, linkedid="1795409343.1")
        self.told: list[tuple[str, str | None]] = []
        self.legs: list[TrueLeg] = []
        self.ringing_since: dict[str, float] = {}
        self.lingering: list[str] = []
        self.live: list[str] = []
        self.bridge_of: dict[str, str] = {}
        self.ringing: list[Ring] = []
        self.caller = ""
        self.talker = ""
        self.parked = ""
        self.others = 0
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
        while self.lingering:
            self.goes(self.lingering.pop())
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

    def local_pair(self, exten: str, of: str | None) -> tuple[str, str]:
        """The two halves of a Local channel: of the same call as `of`, or (None) the first of their own."""
        one = self.appears(f"Local/{exten}@from-queue", of, ";1", exten=exten)
        two = one[:-1] + "2"
        uniqueid = f"{int(self.story.at)}.{self.number()}"
        linkedid = self.story.channels[one].linkedid
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

    def lets_go(self, name: str) -> None:
        """A phone that has transferred hangs up: at once, or a while later."""
        if self.maybe():
            self.goes(name)
        else:
            self.lingering.append(name)

    def enters(self, bridge: str, *names: str, kind: str = "basic") -> None:
        technology = _TECHNOLOGIES[kind]
        for name in names:
            self.bridge_of[name] = bridge
            if kind == "basic":
                self.shares_linkedid(bridge)
            channel = self.story.channels[name]
            self.story.events.append(ev.BridgeEnter(self.story.at, channel, bridge, kind, technology))

    def shares_linkedid(self, bridge: str) -> None:
        """Whoever meets in a basic bridge goes on under the oldest linkedid (CDR specification)."""
        channels = self.story.channels
        names = [name for name, where in self.bridge_of.items() if where == bridge]
        oldest = min((channels[name].linkedid for name in names), key=_age)
        for name in names:
            channels[name] = channels[name]._replace(linkedid=oldest)

    def parts(self, *names: str) -> None:
        for name in names:
            bridge = self.bridge_of.pop(name, None)
            if bridge is not None:
                channel = self.story.channels[name]
                self.story.events.append(ev.BridgeLeave(self.story.at, channel, bridge))

    def peer(self) -> str:
        """Whom the talker has in the bridge: the caller, or the Local channel that leads to him."""
        return self.with_(self.talker)

    def with_(self, name: str) -> str:
        """The other one in its bridge."""
        home = self.bridge_of[name]
        return next(other for other, where in self.bridge_of.items() if where == home and other != name)

    def new_bridge(self) -> str:
        return f"bridge-{self.number()}"

    # -- ringing ----------------------------------------------------------------------------

    def calls(self, caller: str, exten: str, *, for_caller: bool = True, line: bool = False) -> Ring:
        pair = self.local_pair(exten, caller) if self.maybe() else None
        if pair is not None:
            self.story.dials(caller, pair[0])
        return self.dialled(caller, pair, exten, for_caller=for_caller, line=line)

    def dialled(
        self,
        caller: str,
        pair: tuple[str, str] | None,
        exten: str,
        *,
        for_caller: bool = True,
        line: bool = False,
    ) -> Ring:
        """A phone or (`line`) an outside number, dialled for `caller`, through the pair if there is one."""
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
                ringing = self.story.channels[ring.dest]._replace(state=5)
                self.story.events.append(ev.ChannelChanged(self.story.at, ringing))
        if ring.pair:
            self.dial_state(ring.caller, ring.pair[0])
        if ring.for_caller:
            self.told.append(("ringing", ring.exten))
            self.ringing_since[ring.dest] = self.story.at

    def has_rung(self, ring: Ring) -> None:
        """No longer: the leg of the moment rang as long as the longest of its phones."""
        since = self.ringing_since.pop(ring.dest, None)
        if since is not None:
            self.legs[-1].ring_s = max(self.legs[-1].ring_s, self.story.at - since)

    def dial_state(self, caller: str | None, dest: str) -> None:
        by = self.story.channels[caller] if caller is not None else None
        self.story.events.append(ev.DialState(self.story.at, by, self.story.channels[dest], "RINGING"))

    def dial_begin(self, dest: str, exten: str) -> None:
        """Asterisk itself dials: it was asked to, as for click to call."""
        self.story.events.append(ev.DialBegin(self.story.at, None, self.story.channels[dest], exten))

    def dial_end(self, caller: str | None, dest: str, status: str) -> None:
        by = self.story.channels[caller] if caller is not None else None
        self.story.events.append(ev.DialEnd(self.story.at, by, self.story.channels[dest], status))

    def stops(self, ring: Ring, status: str) -> None:
        self.ringing.remove(ring)
        self.has_rung(ring)
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
        self.has_rung(ring)
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
        self.legs[-1].exten, self.legs[-1].answered = ring.exten, self.story.at
        self.meets(ring)
        self.talker = ring.dest
        self.told.append(("answer", ring.exten))

    def comes_to_talk(self, exten: str) -> None:
        """Somebody talks with the caller from now on without having rung for him."""
        self.told.append(("answer", exten))
        self.legs.append(TrueLeg(exten, answered=self.story.at))

    def leaves_queue(self) -> None:
        if self.queue:
            caller = self.story.channels[self.caller]
            self.story.events.append(ev.QueueLeft(self.story.at, caller, self.queue))
        self.queue = ""

    def talks_outside(self, ring: Ring) -> None:
        """The caller has been sent outside; he talks there, and that is the end of it."""
        if not any(leg.answered is not None for leg in self.legs):
            self.told.append(("answer", self.legs[-1].exten))
        self.legs[-1].answered = self.story.at
        self.answers(ring)
        self.leaves_queue()
        self.meets(ring)
        self.wait()
        raise CallerLeaves

    # -- the end ----------------------------------------------------------------------------

    def ends(self) -> None:
        """Everybody hangs up, the caller first or last; phones that ring stop."""
        if self.queue:
            self.leaves_queue()
        if self.parked:
            self.story.events.append(ev.Unparked(self.story.at, self.story.channels[self.parked], None))
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
