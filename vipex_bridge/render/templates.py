"""The operator's own formats: Jinja2 templates in a sandbox, each inserted value escaped for its place.

Guarded: attributes and calls that reach beyond the data (Jinja2's sandbox), changes to the data, loops
over `range` (100,000 steps each), repetition by `*` and `**`, and the size of what comes out. Not guarded:
the time and memory that one expression or nested loops take (`'%9999999999d' | format(1)`): templates are
the operator's, and `check` renders each once.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import TracebackType
from zoneinfo import ZoneInfo

from jinja2 import (
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    Undefined,
    meta,
    nodes,
    pass_context,
)
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vipex_bridge.config.settings import PARAMETERS, Client
from vipex_bridge.errors import RenderError
from vipex_bridge.render.escape import PLACES, escape
from vipex_bridge.render.fields import chosen_parts
from vipex_bridge.render.numbers import rewritten
from vipex_bridge.render.sample import samples, with_plus
from vipex_bridge.render.slots import Mark, Slots, dumps, marked

MAX_CHARACTERS = 1_048_576
"""The most that one template may give: 1 Mi characters, recordings not counted."""

NO_OTHER_CHARSET = "bodies are sent as UTF-8: name no other charset"
NO_DEFAULT_XML = "there is no default format for XML: write a `body` template"

_FILE = "<template>"
_SLOTS = "slots of this rendering"
"""No template can write this name."""

# Around what is inserted into a JSON body until its place is known: an escaped value holds none of them.
_VALUE, _LITERAL, _NOTHING = "\x01{}\x02", "\x03{}\x04", "\x01\x05\x02"
_PIECE = re.compile(r'"|\\.|\x01([^\x02]*)\x02|\x03([^\x04]*)\x04', re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_BARE = re.compile(r"[,\s]*|true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""What may stand outside the quotes of a JSON body: none of it can open, close or add a field."""

# Their text would be escaped twice, or not at all; or they need a loader, which there is none of.
_REFUSED_STATEMENTS = {
    nodes.Macro: "macro", nodes.CallBlock: "call", nodes.FilterBlock: "filter",
    nodes.AssignBlock: "set ... endset", nodes.Block: "block", nodes.Include: "include",
    nodes.Import: "import", nodes.FromImport: "from", nodes.Extends: "extends",
    nodes.ScopedEvalContextModifier: "autoescape",
}  # fmt: skip
# What is inserted is escaped already; `random` and `lipsum` would make two renderings differ.
_REFUSED_FILTERS = ("safe", "e", "escape", "forceescape", "urlencode", "xmlattr", "urlize", "random")


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, which repeats nothing: one `*` could fill the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" or not numbers:
            raise RenderError("`*` is for numbers only, and `**` is not to be used: write it otherwise")
        return super().call_binop(context, operator, left, right)


def place_of(content_type: str) -> str:
    """Give the place (`render.escape`) of a body of this content type: json, xml, form or text."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith(("/json", "+json")):
        return "json"
    if media_type.endswith(("/xml", "+xml")) or media_type == "text/html":
        return "xml"
    return "form" if media_type == "application/x-www-form-urlencoded" else "text"


def sends_utf8(content_type: str) -> bool:
    """Whether a content type names no other charset than the one that bodies are sent in."""
    parameters = content_type.lower().partition(";")[2].replace(" ", "").replace('"', "")
    return "charset=" not in parameters or "charset=utf-8" in parameters


def fill_in(
    source: str, place: str, kind: str, fields: Mapping[str, object], event: str | None,
    args: Mapping[str, str], slots: Slots,
) -> str:  # fmt: skip
    """Render a template at `place` (url, json, xml, form or text) and give its text.

    It sees every parameter of its `kind` by name (None when unknown), `event`, `call` (all of these in one
    mapping), `args` (None for one that was not given) and `api_key`. Plainly inserted, None is empty text,
    outside the quotes of a JSON body `null`; `| tojson` gives a whole JSON literal, escaped like any other
    value where the place is not JSON.

    Raises RenderError, with the template's line where there is one.
    """
    template = _compiled(source, place, kind)
    known = {name: marked(fields.get(name), slots, place) for name in PARAMETERS[kind]} | {"event": event}
    given: defaultdict[str, str | None] = defaultdict(lambda: None, args)
    api_key = Mark(slots, "api_key", place)
    names = known | {"call": known, "args": given, "api_key": api_key, _SLOTS: slots}
    pieces, length = [], 0
    try:
        for piece in template.generate(names):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                raise RenderError(f"gives more than {MAX_CHARACTERS} characters: insert less")
    except Exception as error:  # noqa: BLE001 - whatever an expression of the template raises
        raise RenderError(f"{_line(error.__traceback__)}{_reason(error)}") from None
    text = "".join(pieces)
    return _joined_json(text) if place == "json" else text


def faults(client: Client) -> list[tuple[str, str]]:
    """Give what is wrong with the client's templates: (key inside the client, what).

    Each is compiled and rendered on sample data, for every event that the client can be asked for, with
    telephone numbers as the client wants them; a JSON body must then parse.
    """
    found: list[tuple[str, str]] = []
    if client.method == "POST" and not sends_utf8(client.content_type):
        found.append(("content_type", NO_OTHER_CHARSET))
    if client.method == "POST" and client.body is None and place_of(client.content_type) == "xml":
        found.append(("body", NO_DEFAULT_XML))
    return found + _found(client, lambda fields: fields)


def warnings(client: Client) -> list[tuple[str, str]]:
    """Give what fails, of a client without `faults`, for telephone numbers that begin with a `+`.

    Such a number is none of JSON. Whether any comes depends on the trunk, and on what the client is told of.
    """
    return [(key, f"for a number with a `+`: {what}") for key, what in _found(client, with_plus)]


def _found(
    client: Client, changed: Callable[[Mapping[str, object]], Mapping[str, object]]
) -> list[tuple[str, str]]:
    """What fails on the samples, `changed` before."""
    found: list[tuple[str, str]] = []
    events = sorted(client.on | {"dialplan"}) if client.kind == "notify" else [client.kind]
    for key, source, place in (
        ("query", client.query, "url"),
        ("body", client.body, place_of(client.content_type)),
    ):
        for event in events if source is not None else ():
            what = None
            for fields in samples(client, event, ZoneInfo("UTC")):
                what = _fault(client, source or "", place, event, changed(fields))
                if what is None:
                    break
            if what and (key, what) not in found:
                found.append((key, what))
    return found


def _fault(client: Client, source: str, place: str, event: str, fields: Mapping[str, object]) -> str | None:
    numbers = iter(range(1_000_000))
    slots = Slots(lambda: f"vipex{next(numbers):032x}")
    fields = rewritten(chosen_parts(fields, client), client.numbers)
    try:
        text = fill_in(source, place, client.kind, fields, event, {}, slots)
        taken = slots.settled(text)
    except RenderError as error:
        return str(error)
    if slots.has_api_key() and client.api_key is None:
        return "api_key is inserted, but the client has none: add `api_key`"
    if place != "json":
        return None
    for slot in taken:
        text = text.replace(slot.token, '""' if slot.literal else "")
    try:
        json.loads(text)
    except ValueError as error:
        return f"gives no valid JSON for event {event}: {error}"
    except RecursionError:
        return f"gives JSON nested too deeply for event {event}: write it flatter"
    return None


class _Literal(str):
    """A whole JSON literal: not to be escaped again. What any other filter makes of it is plain text."""

    __slots__ = ()


@lru_cache(maxsize=512)
def _compiled(source: str, place: str, kind: str) -> Template:
    """Compile a template. Raises RenderError with the line for anything that could not work at all."""
    environment = _environment(place)
    if place == "json" and (control := _CONTROL.search(source)):
        line = source.count("\n", 0, control.start()) + 1
        raise RenderError(f"line {line}: a JSON body cannot hold the control character {control[0]!r}")
    try:
        tree = environment.parse(source)
        _refuse(tree, {*PARAMETERS[kind], "call", "event", "args", "api_key"})
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise RenderError(f"line {error.lineno}: {_reason(error)}") from None
    except (RecursionError, MemoryError):
        raise RenderError("is nested too deeply: write it flatter") from None
    except SyntaxError as error:
        # Of the Python that Jinja2 makes of it: the line is none of the template.
        raise RenderError(f"cannot be compiled: {error.msg}: write it flatter") from None
    except ValueError as error:
        raise RenderError(f"cannot be compiled: {' '.join(str(error).split())}") from None


def _refuse(tree: nodes.Template, known: set[str]) -> None:
    """Raise RenderError for a statement that escaping rules out, and for a name that nothing has."""
    for statement in tree.find_all(tuple(_REFUSED_STATEMENTS)):
        word = _REFUSED_STATEMENTS[type(statement)]
        raise RenderError(f"line {statement.lineno}: `{word}` cannot be used here: write its text in place")
    unknown = meta.find_undeclared_variables(tree) - known
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            raise RenderError(
                f"line {name.lineno}: unknown name {name.name!r}: known are {', '.join(sorted(known))}"
            )


@lru_cache(maxsize=len(PLACES))
def _environment(place: str) -> _Sandbox:
    environment = _Sandbox(undefined=StrictUndefined, finalize=_finalize(place), autoescape=False)
    for name in _REFUSED_FILTERS:
        del environment.filters[name]
    del environment.globals["lipsum"]
    environment.filters["tojson"] = _tojson(place)
    return environment


def _finalize(place: str) -> Callable[[object], str]:
    """What each `{{ ... }}` becomes at `place`."""

    def finalize(value: object) -> str:
        if isinstance(value, _Literal):
            return _LITERAL.format(value)
        if value is None:
            return _NOTHING if place == "json" else ""
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str | int | float | Mark | Undefined):
            raise RenderError(
                f"a {type(value).__name__} cannot be inserted as it is: write | tojson after it"
            )
        text = escape(str(value), place)
        return _VALUE.format(text) if place == "json" else text

    return finalize


def _tojson(place: str) -> Callable[[Context, object], str]:
    """The `tojson` filter of `place`."""

    @pass_context
    def tojson(context: Context, value: object) -> str:
        if isinstance(value, Undefined):
            str(value)  # raises, naming what is undefined
            value = None
        text = dumps(value, context[_SLOTS], place)
        return _Literal(text) if place == "json" else text

    return tojson


def _joined_json(text: str) -> str:
    """Take the wrappings off a JSON body, with a look at where each value came to stand.

    Text outside quotes could open a field of its own, and a literal inside quotes would end them.
    """
    quoted = False

    def piece(found: re.Match[str]) -> str:
        nonlocal quoted
        value, literal = found[1], found[2]
        if literal is not None:
            if quoted:
                raise RenderError("`| tojson` brings its own quotes: take away those around it")
            return literal
        if value is None:
            quoted ^= found[0] == '"'
            return found[0]
        if value == "\x05":
            return "" if quoted else "null"
        if not quoted and not _BARE.fullmatch(value):
            raise RenderError(
                "text is inserted outside quotes: write `| tojson` after it, or quotes around it"
            )
        return value

    return _PIECE.sub(piece, text)


def _line(trace: TracebackType | None) -> str:
    """`line N: ` of the innermost template frame, or ''."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: " if line else ""


def _reason(error: Exception) -> str:
    """One line for the operator."""
    text = " ".join((getattr(error, "message", None) or str(error)).split())
    ours = isinstance(error, RenderError | TemplateError)
    return text if ours and text else f"{type(error).__name__}: {text}"
