"""A received request as a person reads it: one block of text, nothing in it can move the terminal."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from vipex_bridge.printable import printable

_UNTOLD_HEADERS = frozenset({"host", "connection", "accept", "accept-encoding", "content-length"})
"""Headers that every HTTP client sends and nobody asks about."""
_MAX_TEXT = 4000
_SHOWN_OF_RECORDING = 5
_WIDTH = 78


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came. `at` is seconds since the epoch; names of headers are as they were sent."""

    at: float
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes
    answered: str = "200"
    """What the answer is: an HTTP status, or the fault that stands in for one."""

    def header(self, name: str) -> str | None:
        """The first header of this name in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def show(request: ReceivedRequest, signature: str = "", schema: Sequence[str] = ()) -> str:
    """Give the request as a block of lines, the last one ended; the time is local.

    `signature` and `schema` are what was found of it: a verdict, and of the schema a line for each fault;
    empty where nobody looked.
    """
    moment = datetime.fromtimestamp(request.at).astimezone().strftime("%H:%M:%S.%f")[:-3]
    heading = f"── {moment}  {request.method} {request.path}  → {request.answered} "
    lines = [heading.ljust(_WIDTH, "─")]
    if request.query:
        lines += _pairs("query", request.query)
    told = [(name, _credential(name, value)) for name, value in request.headers]
    lines += [f"  {name}: {value}" for name, value in told if name.lower() not in _UNTOLD_HEADERS]
    lines += [f"  signature: {signature}"] if signature else []
    lines += [f"  schema: {schema[0]}", *(f"    {fault}" for fault in schema[1:])] if schema else []
    lines += _body(request.header("Content-Type") or "", request.body)
    return "".join(f"{printable(line)}\n" for line in lines)


def _body(content_type: str, body: bytes) -> list[str]:
    if not body:
        return []
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return [f"({len(body):,} bytes that are no UTF-8)"]
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return _pairs("form", tuple(parse_qsl(text, keep_blank_values=True)))
    if media_type.endswith("json"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return [f"(no valid JSON: {error})", *_cut(text)]
        return json.dumps(_shortened(value), ensure_ascii=False, indent=2).split("\n")
    return _cut(text)


def _pairs(title: str, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    width = max((len(name) for name, _ in pairs), default=0)
    shown = [(name, _recording(value) if name == "monitor_file" else value) for name, value in pairs]
    return [f"  {title}  {name.ljust(width)}  {value}".rstrip() for name, value in shown]


def _cut(text: str) -> list[str]:
    rest = len(text) - _MAX_TEXT
    lines = text[:_MAX_TEXT].splitlines()
    return [*lines, f"… ({rest:,} more characters)"] if rest > 0 else lines


def _shortened(value: object) -> object:
    """JSON with its recordings cut short."""
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _recording(item) if name == "monitor_file" and isinstance(item, str) else _shortened(item)
        for name, item in value.items()
    }


def _recording(text: str) -> str:
    """The first characters of a recording in base64, and how many bytes it holds."""
    padding = len(text) - len(text.rstrip("="))
    return f"{text[:_SHOWN_OF_RECORDING]}… ({max(len(text) * 3 // 4 - padding, 0):,} bytes)"


def _credential(name: str, value: str) -> str:
    """Basic authentication as user name and a hidden password; anything else as it is."""
    scheme, _, token = value.partition(" ")
    if name.lower() != "authorization" or scheme.lower() != "basic":
        return value
    try:
        username, colon, _ = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return f"{scheme} (not decodable)"
    return f"{scheme} {username}{colon}********"
