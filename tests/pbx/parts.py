"""The parts of a document in a few words, so that a test can name a whole tree in one line."""

from __future__ import annotations

from typing import Any


def tree(document: dict[str, Any]) -> list[tuple[int, str, int, int]]:
    """Each part of `sub_cdrs` as (direction, exten, seconds of ringing, seconds of talk)."""
    return [
        (part["direction"], part["exten"], part["ringtime"], part["billsec"]) for part in document["sub_cdrs"]
    ]


def lengths(document: dict[str, Any]) -> tuple[int, int, int]:
    """The whole call's (duration, ringtime, billsec), seconds."""
    return document["duration"], document["ringtime"], document["billsec"]
