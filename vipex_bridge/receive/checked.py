"""Whether a received request is what its kind of client is sent by default, in a receiver's words.

Its fields show which kind it is; a format of the operator's own cannot be checked, and is not called wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from vipex_bridge.config.settings import PARAMETERS
from vipex_bridge.receive.show import ReceivedRequest
from vipex_bridge.render.schema import TIME_EXAMPLE, schema_of

_VALIDATORS = {kind: Draft202012Validator(schema_of(kind)) for kind in PARAMETERS}
_ONLY_AT_THE_END = frozenset(PARAMETERS["call_end"]) - frozenset(PARAMETERS["notify"])
_LONGEST_SHOWN = 60
_ARTICLES = {"integer": "an integer", "array": "an array", "object": "an object", "null": "null"}


def checked(request: ReceivedRequest) -> Sequence[str]:
    """Give what the schema says of the request: one line, and one more for each fault."""
    if not request.body:
        return _of_pairs(request, request.query)
    media_type = (request.header("Content-Type") or "").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        text = request.body.decode("utf-8", "replace")
        return _of_pairs(request, parse_qsl(text, keep_blank_values=True))
    if not media_type.endswith("json"):
        return (f"not checked: a body of the type {media_type or 'nobody knows'} is a format of its own",)
    try:
        document = json.loads(request.body, parse_constant=_refuse, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        return ("wrong: the body is no valid JSON", f"{error}")
    if not isinstance(document, dict):
        return (f"wrong: the body must be one JSON object, it is {_shown(document)}",)
    return _verdict(request, document, as_text=False)


def _of_pairs(request: ReceivedRequest, pairs: Sequence[tuple[str, str]]) -> Sequence[str]:
    """A query or a form: everything is text in it, and what is not known is left out."""
    kind, _ = _kind_of(request, dict(pairs))
    return _verdict(request, {name: _value_of(kind, name, text) for name, text in pairs}, as_text=True)


def _verdict(request: ReceivedRequest, values: Mapping[str, Any], *, as_text: bool) -> Sequence[str]:
    kind, named = _kind_of(request, values)
    ours = [name for name in values if name in PARAMETERS[kind]]
    others = [name for name in values if name not in PARAMETERS[kind]]
    if not ours or len(others) > len(ours):
        return ("not checked: a format of its own, or not from the bridge",)
    faults: dict[str, str] = {}
    for error in _VALIDATORS[kind].iter_errors(values):
        for where, what in _faults(error, kind, as_text=as_text):
            # What is no integer is none of 0, 1, 2 either: the first word on each place will do.
            faults.setdefault(where, f"{where}: {what}")
    counted = "good" if not faults else "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    known = [f"{', '.join(others)}: no field of {named} (an own one, or an API key?)"] if others else []
    return (f"{named}, {counted}", *faults.values(), *known)


def _kind_of(request: ReceivedRequest, values: Mapping[str, Any]) -> tuple[str, str]:
    """The kind whose schema holds, and how it is named: lookups and notifications have the same fields."""
    if _ONLY_AT_THE_END.intersection(values):
        return "call_end", "call_end"
    if request.header("Idempotency-Key") is not None:
        return "notify", "notify"
    return "lookup", "lookup" if request.method == "GET" else "lookup or notify"


def _value_of(kind: str, name: str, text: str) -> object:
    """The value that a default query or form wrote as `text`: a number or a list where it would be one."""
    if not _types(kind, name).intersection(("integer", "number", "array")):
        return text
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float | list) and not isinstance(value, bool) else text


def _types(kind: str, name: str) -> frozenset[str]:
    schema: Any = _VALIDATORS[kind].schema
    types = schema["properties"].get(name, {}).get("type", ())
    return frozenset([types] if isinstance(types, str) else types)


def _faults(error: ValidationError, kind: str, *, as_text: bool) -> list[tuple[str, str]]:
    """Where and what, for each fault of this error; none for what a query may leave out."""
    where = error.json_path.removeprefix("$").removeprefix(".")
    instance: Any = error.instance
    wanted: Any = error.validator_value
    value = _shown(instance)
    match error.validator:
        case "required":
            missing = [name for name in wanted if name not in instance]
            if as_text and not where:
                missing = [name for name in missing if "null" not in _types(kind, name)]
            return [(f"{where}.{name}".removeprefix("."), "is missing") for name in missing]
        case "type":
            return [(where, f"must be {_alternatives(wanted)}, is {value}")]
        case "enum":
            return [(where, f"must be one of {', '.join(map(str, wanted))}, is {value}")]
        case "pattern" | "maxLength":
            return [(where, f'must be a time like "{TIME_EXAMPLE}", is {value}')]
        case "minimum":
            return [(where, f"must be at least {wanted}, is {value}")]
    return [(where, error.message)]


def _alternatives(types: str | list[str]) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_ARTICLES.get(name, f"a {name}") for name in names)


def _shown(value: object) -> str:
    """The value as JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} stands twice in one object")
    return dict(pairs)
