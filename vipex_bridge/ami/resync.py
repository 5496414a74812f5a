"""After a log-in: what Asterisk answers about itself, put among its events in stream order. No I/O.

One `Resync` lives as long as one connection. The session asks for CoreStatus, BridgeList and
CoreShowChannels and names the actions to `expect`; every message that is received goes through `take`.

1. Events are held until CoreStatus is answered, so that `ServerStarted` comes before any of them.
2. `LiveChannels` stands where the list is complete, and is exact for that place in the stream: the rows
   Asterisk listed, and the channels created meanwhile, without those hung up meanwhile. So whoever
   follows the events may end every channel that is not in it and adopt every one that is, whatever
   the clocks say. Its `at` is the list's end by Asterisk's clock. Who is in which bridge is exact in
   the same way; what kind of bridge it is, BridgeList or the bridge's own events say.
3. Asterisk answers in order: what a Pong after `expect` overtakes will not be answered any more.
4. A Pong counts by its ActionID: a caller whose number holds line breaks can write the rest of one.
"""

from __future__ import annotations

from dataclasses import dataclass

from vipex_bridge.ami import layouts
from vipex_bridge.ami.framing import Message
from vipex_bridge.ami.translate import snapshot, time_of, translate
from vipex_bridge.calls import events as ev
from vipex_bridge.errors import AmiError

_BOOTING = ("1969-", "1970-")
"""CoreStartupDate of an Asterisk that has not fully booted yet: the epoch, in its time zone."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that Asterisk did not carry out, and what it said."""

    action: str
    reason: str


class Resync:
    """`started` is when Asterisk had started as last seen ('' if unknown), in its own words.

    After a CoreStatus answer `started` is the present one.
    """

    def __init__(self, started: str) -> None:
        self.started = started
        self.clock_offset_s = 0.0
        """Asterisk's clock minus ours, from its last Pong; it times what has no `Timestamp`."""
        self.is_open = False
        """Events flow: nothing is held any more."""
        self.lacks_timestamps = False
        """An event of a call came without `Timestamp`: `timestampevents` is off in manager.conf."""
        self.refusals: list[Refusal] = []
        self.malformed: list[str] = []
        """What was wrong with messages that were skipped; the session takes and clears these lists."""
        self._status_id = self._channels_id = self._bridges_id = self._ping_id = ""
        self._held: list[ev.CallEvent] = []
        self._listed: dict[str, ev.ChannelSnapshot] | None = {}
        self._hung_up: set[str] = set()
        self._bridge_of: dict[str, str] = {}
        self._moved: dict[str, str] = {}
        """Where channels went while the list was on its way; '' is into no bridge."""
        self._kinds: dict[str, tuple[str, str]] = {}
        """The type and technology of each bridge."""
        self._has_refused = False
        self.is_booting = False
        """CoreStatus does not know yet when Asterisk started: it wants asking again (`ask_again`)."""

    def expect(self, status_id: str, channels_id: str, bridges_id: str = "") -> None:
        """Names CoreStatus, CoreShowChannels and BridgeList by their ActionID, before any answer."""
        self._status_id, self._channels_id, self._bridges_id = status_id, channels_id, bridges_id

    def expect_pong(self, ping_id: str) -> None:
        """Names the Ping that is sent now by its ActionID; no other Pong is believed."""
        self._ping_id = ping_id

    @property
    def wants_list(self) -> bool:
        """A message was refused since the last list: only a new one tells which channels are gone."""
        return self._has_refused and self._listed is None

    def list_again(self, channels_id: str) -> None:
        """Names a further CoreShowChannels by its ActionID."""
        self._channels_id = channels_id
        self._has_refused = False
        self._listed, self._hung_up, self._bridge_of, self._moved = {}, set(), {}, {}

    def ask_again(self, status_id: str) -> None:
        """Names a further CoreStatus by its ActionID."""
        self._status_id = status_id

    def take(self, message: Message, arrival: float) -> list[ev.CallEvent]:
        """The events that this message releases, in order; `arrival` is by our clock. Never raises."""
        event = layouts.event_of(message)
        if event is not None:
            return self._pass_on(event)
        at = arrival + self.clock_offset_s
        action_id = message.get("actionid", "")
        try:
            if action_id and action_id == self._ping_id and message.get("ping") == "Pong":
                return self._pong(message, arrival)
            if action_id and action_id == self._status_id:
                return self._status(message, at)
            if action_id and action_id == self._channels_id:
                return self._channels(message, at)
            if action_id and action_id == self._bridges_id:
                return self._bridges(message)
            return self._event(message, at)
        except AmiError as error:
            self.malformed.append(str(error))
            self._has_refused = True
            return []

    def _event(self, message: Message, at: float) -> list[ev.CallEvent]:
        event = translate(message, at)
        if event is None:
            return []
        if "timestamp" not in message:
            self.lacks_timestamps = True
        return self._pass_on(event)

    def _pass_on(self, event: ev.CallEvent) -> list[ev.CallEvent]:
        """The event, or nothing yet while events are held."""
        if self._listed is not None:
            self._follow(event)
        if self.is_open:
            return [event]
        self._held.append(event)
        return []

    def _follow(self, event: ev.CallEvent) -> None:
        """Keeps the list true while it is being received."""
        if self._listed is None:
            return
        if isinstance(event, ev.NewChannel):
            self._listed[event.channel.uniqueid] = event.channel
        elif isinstance(event, ev.HungUp):
            self._hung_up.add(event.channel.uniqueid)
        elif isinstance(event, ev.BridgeEnter):
            self._moved[event.channel.uniqueid] = event.bridge
            self._kinds[event.bridge] = (event.bridge_type, event.technology)
        elif isinstance(event, ev.BridgeLeave):
            self._moved[event.channel.uniqueid] = ""

    def _pong(self, message: Message, arrival: float) -> list[ev.CallEvent]:
        self.clock_offset_s = time_of(message, arrival) - arrival
        if not self._status_id:
            return []
        if not self.is_open:
            self.refusals.append(Refusal("CoreStatus", "no answer"))
        if self._listed is not None:
            self.refusals.append(Refusal("CoreShowChannels", "no answer"))
            self._listed = None
        return self._open()

    def _status(self, message: Message, at: float) -> list[ev.CallEvent]:
        if message.get("response") != "Success":
            self.refusals.append(Refusal("CoreStatus", message.get("message", "")))
            return self._open()
        date = message.get("corestartupdate", "")
        if not date:
            return self._open()
        before = self.started
        # While it boots the time is not known yet: not comparable with what it will say later.
        self.is_booting = date.startswith(_BOOTING)
        self.started = "" if self.is_booting else f"{date} {message.get('corestartuptime', '')}"
        has_restarted = bool(before) and self.started != before
        return [ev.ServerStarted(at), *self._open()] if has_restarted else self._open()

    def _channels(self, message: Message, at: float) -> list[ev.CallEvent]:
        if self._listed is None:
            return []
        match message.get("event"), message.get("response"):
            case "CoreShowChannel", _:
                channel = snapshot(message)
                self._listed[channel.uniqueid] = channel
                self._bridge_of[channel.uniqueid] = message.get("bridgeid", "")
            case "CoreShowChannelsComplete", _:
                up = [self._listed[uniqueid] for uniqueid in self._listed if uniqueid not in self._hung_up]
                self._listed = None
                if self._has_refused:
                    # A row may be missing, and so nobody can be said to be gone.
                    return self._open()
                return [*self._open(), ev.LiveChannels(at, tuple(up), self._live_bridges(up))]
            case None, response if response != "Success":
                self.refusals.append(Refusal("CoreShowChannels", message.get("message", "")))
                self._listed = None
        return []

    def _bridges(self, message: Message) -> list[ev.CallEvent]:
        if message.get("event") == "BridgeListItem":
            kind = (message.get("bridgetype", ""), message.get("bridgetechnology", ""))
            self._kinds.setdefault(message.get("bridgeuniqueid", ""), kind)
        elif message.get("response") == "Error":
            self.refusals.append(Refusal("BridgeList", message.get("message", "")))
        return []

    def _live_bridges(self, up: list[ev.ChannelSnapshot]) -> tuple[ev.LiveBridge, ...]:
        members: dict[str, list[str]] = {}
        for channel in up:
            bridge = self._moved.get(channel.uniqueid, self._bridge_of.get(channel.uniqueid, ""))
            if bridge:
                members.setdefault(bridge, []).append(channel.uniqueid)
        # Of a bridge that nothing is known of, nobody can say whether there is talk in it.
        return tuple(
            ev.LiveBridge(bridge, *self._kinds[bridge], tuple(channels))
            for bridge, channels in members.items()
            if bridge in self._kinds
        )

    def _open(self) -> list[ev.CallEvent]:
        self.is_open = True
        held, self._held = self._held, []
        return held
