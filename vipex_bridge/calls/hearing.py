"""Who hears whom: bridge membership, followed through the two halves of Local channels."""

from __future__ import annotations

from dataclasses import dataclass, field

from vipex_bridge.calls.numbering import local_twin

_SILENT_BRIDGES = frozenset({"holding", "parking", "holding_bridge"})
"""Bridges in which nobody talks: parking lots, music, waiting for a conference's leader."""


@dataclass(slots=True)
class Hearing:
    """The bridges that are up, and who is in which. Channels are known by uniqueid."""

    _members: dict[str, set[str]] = field(default_factory=dict)
    _bridge_of: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _uniqueids: dict[str, str] = field(default_factory=dict)

    def name(self, uniqueid: str, channel_name: str) -> None:
        """Learns a channel's present name: masquerades rename channels."""
        old = self._names.get(uniqueid)
        if old == channel_name:
            return
        if old is not None and self._uniqueids.get(old) == uniqueid:
            del self._uniqueids[old]
        self._names[uniqueid] = channel_name
        self._uniqueids[channel_name] = uniqueid

    def enter(self, uniqueid: str, bridge: str, bridge_type: str, technology: str) -> None:
        """The channel is in this bridge now, and in no other."""
        self.leave(uniqueid)
        if bridge_type in _SILENT_BRIDGES or technology in _SILENT_BRIDGES:
            return
        self._members.setdefault(bridge, set()).add(uniqueid)
        self._bridge_of[uniqueid] = bridge

    def leave(self, uniqueid: str) -> None:
        """The channel is in no bridge now."""
        bridge = self._bridge_of.pop(uniqueid, None)
        if bridge is not None:
            members = self._members[bridge]
            members.discard(uniqueid)
            if not members:
                del self._members[bridge]

    def gone(self, uniqueid: str) -> None:
        """The channel has hung up."""
        self.leave(uniqueid)
        name = self._names.pop(uniqueid, None)
        if name is not None and self._uniqueids.get(name) == uniqueid:
            del self._uniqueids[name]

    def together(self, uniqueid: str) -> set[str]:
        """The others in the same bridge."""
        bridge = self._bridge_of.get(uniqueid)
        return self._members[bridge] - {uniqueid} if bridge is not None else set()

    def company(self, uniqueid: str) -> set[str]:
        """Everyone who hears this channel, itself included."""
        if uniqueid not in self._bridge_of and not self._names.get(uniqueid, "").startswith("Local/"):
            return {uniqueid}
        found = {uniqueid}
        to_visit = [uniqueid]
        while to_visit:
            current = to_visit.pop()
            near = self.together(current)
            twin = local_twin(self._names.get(current, ""))
            if twin is not None and twin in self._uniqueids:
                near = near | {self._uniqueids[twin]}
            for other in near - found:
                found.add(other)
                to_visit.append(other)
        return found
