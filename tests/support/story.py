"""Call histories in a few words, as the events Asterisk would send: for tests of the domain."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from vipex_bridge.calls import events as ev


@dataclass
class Story:
    """Events of one call, built in order; `at` is the present moment of the story."""

    at: float
    linkedid: str = "100.1"
    events: list[ev.CallEvent] = field(default_factory=list)
    channels: dict[str, ev.ChannelSnapshot] = field(default_factory=dict)
    bridge: str = "bridge-1"

    def wait(self, seconds: float) -> Story:
        self.at += seconds
        return self

    def channel(
        self,
        name: str,
        *,
        number: str = "",
        exten: str = "s",
        state: int = 0,
        context: str = "from-internal",
        uniqueid: str = "",
        linkedid: str = "",
    ) -> Story:
        following = self.linkedid if not self.channels else f"{self.linkedid}{len(self.channels)}"
        snapshot = ev.ChannelSnapshot(
            uniqueid or following, linkedid or self.linkedid, name, number, number, context, exten, "", state
        )
        self.channels[name] = snapshot
        self.events.append(ev.NewChannel(self.at, snapshot))
        return self

    def arrives(self, name: str, number: str, did: str) -> Story:
        return self.channel(name, number=number, exten=did, state=4, context="from-trunk")

    def dials(self, caller: str, dest: str, dial_string: str = "") -> Story:
        self.events.append(
            ev.DialBegin(self.at, self.channels[caller], self.channels[dest], dial_string or dest)
        )
        return self

    def rings(self, caller: str, dest: str) -> Story:
        self.events.append(ev.DialState(self.at, self.channels[caller], self.channels[dest], "RINGING"))
        return self

    def ends(self, caller: str, dest: str, status: str) -> Story:
        self.events.append(ev.DialEnd(self.at, self.channels[caller], self.channels[dest], status))
        return self

    def up(self, name: str) -> Story:
        self.channels[name] = self.channels[name]._replace(state=6)
        self.events.append(ev.ChannelChanged(self.at, self.channels[name]))
        return self

    def talks(self, *names: str) -> Story:
        for name in names:
            self.events.append(ev.BridgeEnter(self.at, self.channels[name], self.bridge, "basic"))
        return self

    def leaves(self, *names: str) -> Story:
        for name in names:
            self.events.append(ev.BridgeLeave(self.at, self.channels[name], self.bridge))
        return self

    def says(self, name: str, variable: str, value: str) -> Story:
        self.events.append(ev.VariableSet(self.at, self.channels[name], variable, value))
        return self

    def joins(self, name: str, queue: str) -> Story:
        self.events.append(ev.QueueJoined(self.at, self.channels[name], queue))
        return self

    def hangs_up(self, *names: str, cause: int = 16) -> Story:
        for name in names:
            self.events.append(ev.HungUp(self.at, self.channels[name], cause))
        return self


def retold(events: list[ev.CallEvent], number: int) -> list[ev.CallEvent]:
    """The same story on other channels, so that several can be told at once."""

    def moved(value: Any) -> Any:
        if not isinstance(value, ev.ChannelSnapshot):
            return value
        return value._replace(
            uniqueid=f"{number}{value.uniqueid}",
            linkedid=f"{number}{value.linkedid}",
            name=value.name.replace("-0", f"-{number + 1}"),
        )

    def told(event: Any) -> Any:
        fields = {name: moved(getattr(event, name)) for name in event.__dataclass_fields__}
        if "bridge" in fields:
            fields["bridge"] = f"{fields['bridge']}-{number}"
        return replace(event, **fields)

    return [told(event) for event in events]


TRUNK = "PJSIP/trunk-00000001"
CALLER, DID = "3642999425", "3642999408"


def inbound_example(start: float) -> Story:
    """The client documentation's inbound example: IVR 1,2; 200 for 4 s; queue 18: 221, then 251."""
    story = Story(start).arrives(TRUNK, CALLER, DID).up(TRUNK)
    story.says(TRUNK, "VIPEX_IVR_DIGITS", "1").says(TRUNK, "VIPEX_IVR_DIGITS", "1,2")
    story.channel("PJSIP/200-00000002").dials(TRUNK, "PJSIP/200-00000002").rings(TRUNK, "PJSIP/200-00000002")
    story.wait(4).ends(TRUNK, "PJSIP/200-00000002", "NOANSWER").hangs_up("PJSIP/200-00000002")
    story.joins(TRUNK, "18")
    story.channel("PJSIP/221-00000003").dials(TRUNK, "PJSIP/221-00000003")
    story.wait(0.03).ends(TRUNK, "PJSIP/221-00000003", "NOANSWER").hangs_up("PJSIP/221-00000003", cause=17)
    ringer = "PJSIP/251-00000004"
    story.channel(ringer).dials(TRUNK, ringer).rings(TRUNK, ringer)
    story.wait(8).up(ringer).says(ringer, "MIXMONITOR_FILENAME", "/var/spool/asterisk/monitor/91064.wav")
    story.ends(TRUNK, ringer, "ANSWER").talks(ringer, TRUNK)
    return story.wait(4).leaves(ringer, TRUNK).hangs_up(ringer, TRUNK)


def outgoing_example(start: float) -> Story:
    """The client documentation's outgoing example: 5 s of set-up, 2 s of ringing, 3 s of talk."""
    phone, line = "PJSIP/1102-00000001", "PJSIP/trunk-00000002"
    story = Story(start).channel(phone, number="1102", exten="*936301234576", state=4)
    story.up(phone).says(phone, "VIPEX_PINCODE", "private").says(phone, "VIPEX_COST_LOCATION", "12")
    story.channel(line, context="from-trunk").dials(phone, line, "36301234576@trunk")
    story.wait(5).rings(phone, line).wait(2).up(line)
    story.says(line, "MIXMONITOR_FILENAME", "/var/spool/asterisk/monitor/76355.wav")
    story.ends(phone, line, "ANSWER").talks(line, phone)
    return story.wait(3).leaves(phone, line).hangs_up(phone, line)
