"""A channel with every header that Asterisk gives it in an event, for messages made in tests."""

from __future__ import annotations


def whole_channel(name: str, uniqueid: str, linkedid: str = "", prefix: str = "") -> dict[str, str]:
    """The headers (lower-case, each with the prefix) of a channel of which nothing else is known."""
    headers = {
        "channel": name, "channelstate": "0", "channelstatedesc": "Down", "calleridnum": "<unknown>",
        "calleridname": "<unknown>", "connectedlinenum": "<unknown>", "connectedlinename": "<unknown>",
        "accountcode": "", "context": "", "exten": "", "priority": "1", "uniqueid": uniqueid,
        "linkedid": linkedid or uniqueid,
    }  # fmt: skip
    return {prefix + header: value for header, value in headers.items()}
