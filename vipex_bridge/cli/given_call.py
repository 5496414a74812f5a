"""The call of `--call FILE`: JSON in the documentation's fields, or what `calls ID` printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS
from vipex_bridge.config.values import suggestion
from vipex_bridge.errors import BridgeError
from vipex_bridge.render.sample import EXTEN_EVENTS

_TIME_LINE = re.compile(r"\s*(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  .*(?:\n|\Z))*\s*")
"""What `calls ID` prints behind the JSON."""
_RECORDING = "monitor_file"
_KNOWN = PARAMETERS["call_end"]
"""The fields of the other kinds are among them."""


def fields_in(path: Path, kind: str, event: str) -> Mapping[str, object]:
    """The call's fields for a client of that kind: null what the file does not say.

    Raises BridgeError for what is no call: the message names the field.
    """
    try:
        text = path.read_text("utf-8").lstrip()
        found, end = json.JSONDecoder().raw_decode(text)
    except OSError as error:
        raise BridgeError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BridgeError(f"{path}: is no JSON: {error}") from None
    if not _TIME_LINE.fullmatch(text, end):
        raise BridgeError(f"{path}: must hold one JSON object and nothing behind it, but a time line")
    if not isinstance(found, dict):
        raise BridgeError(f"{path}: must hold one JSON object, a call in the documentation's fields")
    _refuse_others(path, found, _KNOWN, "")
    # As a notification is: the documentation has an `exten` for these alone.
    named = [
        name for name in PARAMETERS[kind] if kind == "call_end" or name != "exten" or event in EXTEN_EVENTS
    ]
    fields: dict[str, Any] = dict.fromkeys(named) | _without_path(found)
    if "sub_cdrs" in fields:
        fields["sub_cdrs"] = _parts(path, found.get("sub_cdrs") or [])
    return fields


def _parts(path: Path, parts: object) -> list[dict[str, object]]:
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BridgeError(f"{path}: sub_cdrs must be a list of JSON objects")
    for index, part in enumerate(parts):
        _refuse_others(path, part, SUB_PARAMETERS, f"sub_cdrs[{index}].")
    return [dict.fromkeys(SUB_PARAMETERS) | _without_path(part) for part in parts]


def _without_path(found: dict[str, Any]) -> dict[str, Any]:
    """A recording of which `calls ID` shows where it is, instead of what is in it, is unknown."""
    shown = found.get(_RECORDING)
    is_path = isinstance(shown, str) and shown.startswith("<") and shown.endswith(">")
    return {**found, _RECORDING: None} if is_path else found


def _refuse_others(path: Path, found: Iterable[str], known: tuple[str, ...], inside: str) -> None:
    for name in found:
        if name not in known:
            hint = suggestion(name, list(known))
            raise BridgeError(f"{path}: {inside}{name} is no field of a call{hint}")
