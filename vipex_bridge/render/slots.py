"""Slots: where a secret or a recording is put in at each try, and JSON text that may hold some.

A slot's token stands in the rendered text exactly once; nothing else equals it, as it is drawn afresh.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from vipex_bridge.errors import RenderError
from vipex_bridge.render.escape import sound
from vipex_bridge.render.fields import RecordingMark
from vipex_bridge.render.request import Slot


class Slots:
    """The slots of one request, collected while it is rendered."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token
        self._slots: list[Slot] = []

    def take(self, source: str, place: str, *, literal: bool = False, reference: str = "") -> str:
        """Open a slot and give its token; the arguments are those of `Slot`."""
        slot = Slot(self._token(), source, place, literal, reference)
        self._slots.append(slot)
        return slot.token

    def has_api_key(self) -> bool:
        """Whether the API key stands somewhere already."""
        return any(slot.source == "api_key" for slot in self._slots)

    def settled(self, *texts: str) -> tuple[Slot, ...]:
        """Give every slot. Raises RenderError unless each token stands in `texts` exactly once."""
        for slot in self._slots:
            if sum(text.count(slot.token) for text in texts) != 1:
                what = "api_key" if slot.source == "api_key" else "monitor_file"
                raise RenderError(f"{what} can only be inserted as it is: take off what changes or copies it")
        return tuple(self._slots)


class Mark:
    """A secret or a recording as a place sees it: writing it opens a slot there."""

    __slots__ = ("_place", "_reference", "_slots", "_source")

    def __init__(self, slots: Slots, source: str, place: str, reference: str = "") -> None:
        self._slots = slots
        self._source = source
        self._place = place
        self._reference = reference

    def __str__(self) -> str:
        return self._slots.take(self._source, self._place, reference=self._reference)

    def __repr__(self) -> str:
        return f"<{self._source}>"


def marked(value: object, slots: Slots, place: str) -> object:
    """Give `value` with each RecordingMark in it, however deep, made a Mark of this place."""
    match value:
        case RecordingMark(path):
            return Mark(slots, "recording", place, path)
        case Mapping():
            return {key: marked(item, slots, place) for key, item in value.items()}
        case list() | tuple():
            return [marked(item, slots, place) for item in value]
    return value


def dumps(value: object, slots: Slots, place: str) -> str:
    """Give `value` as JSON text, each Mark in it as a slot that stands for a whole literal at `place`.

    The text itself is not yet escaped for `place`: no escaping changes a token. Separators are ", " and
    ": ", other than ASCII stays as it is. Raises RenderError for what JSON cannot hold.
    """
    tokens: list[str] = []

    def open_slot(item: object) -> str:
        if not isinstance(item, Mark):
            raise TypeError(f"a value of type {type(item).__name__} is not JSON")
        tokens.append(slots.take(item._source, place, literal=True, reference=item._reference))
        return tokens[-1]

    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=open_slot)
    except (TypeError, ValueError, RecursionError) as error:
        raise RenderError(f"cannot be written as JSON: {error}") from None
    for token in tokens:
        text = text.replace(f'"{token}"', token)
    return sound(text)
