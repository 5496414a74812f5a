"""What is wrong, in an integrator's words: pydantic's errors as key paths and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from vipex_bridge.config.schema import Nested
from vipex_bridge.config.tables import TableError
from vipex_bridge.config.values import suggestion, type_of
from vipex_bridge.config.yaml_reader import KeyPath
from vipex_bridge.errors import Fault

_MANY_KEYS = 10


def faults_of(
    error: ValidationError, model: Any, without: frozenset[str] = frozenset()
) -> Iterator[tuple[KeyPath, str | list[Fault]]]:
    """Key path and what is wrong there; a list of faults when they stand in a file of their own.

    `model` is what was validated against: a model, or a list of one. `without` are keys of it that are
    not to be suggested.
    """
    for detail in error.errors(include_url=False):
        path = tuple(detail["loc"])
        if path and path[-1] == "[key]":
            path = path[:-1]
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, TableError):
            yield path, cause.faults
        elif isinstance(cause, Nested):
            for inner, what in faults_of(cause.error, cause.model):
                yield (*path, *inner), what
        elif cause is not None:
            yield path, str(cause)
        elif detail["type"] == "extra_forbidden":
            yield path, _unknown_key(str(path[-1]), _keys_at(model, path[:-1], without))
        else:
            yield path, _structure(detail["type"], detail["input"])


def _structure(kind: str, value: object) -> str:
    """pydantic's own checks that are left: those of the structure."""
    if kind == "missing":
        return "is missing"
    wanted = "a list" if kind in ("list_type", "tuple_type") else "a mapping (`key: value` lines)"
    if value is None:
        return f"has no value: it must be {wanted}"
    return f"must be {wanted}, not {type_of(value)}"


def _unknown_key(key: str, known: list[str]) -> str:
    hint = suggestion(key, known)
    if not hint and 0 < len(known) <= _MANY_KEYS:
        hint = f": there are {', '.join(known)}"
    return f"unknown key{hint}"


def _keys_at(model: Any, path: KeyPath, without: frozenset[str]) -> list[str]:
    """The keys that the section at `path` inside `model` has."""
    here: Any = model
    for part in path:
        here = _inside(here, part)
    section = _section(here)
    if section is None:
        return []
    keys = [field.alias or name for name, field in section.model_fields.items()]
    return keys if path else [key for key in keys if key not in without]


def _inside(annotation: Any, part: str | int) -> Any:
    """What stands at one part of a path inside an annotation such as `Ami | None` or `dict[str, Mapped]`."""
    section = _section(annotation)
    if section is not None:
        fields = section.model_fields.items()
        return next((field.annotation for name, field in fields if part in (name, field.alias)), None)
    if get_origin(annotation) in (dict, list, tuple):
        key, *item = get_args(annotation)
        return item[0] if get_origin(annotation) is dict else key
    return next((found for inner in get_args(annotation) if (found := _inside(inner, part))), None)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `Ami | None` names itself, not inside a mapping or a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (dict, list, tuple):
        return None
    return next((found for inner in get_args(annotation) if (found := _section(inner))), None)
