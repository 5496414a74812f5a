"""From the body of an answer to channel variables. No I/O; knows jmespath and lxml alone.

What a server answers is not trusted (contract, section 3): whatever it is, the outcome is values that
match their patterns, or BadAnswer.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from lxml import etree

from vipex_bridge.config.settings import Client, LookupOptions, Mapped
from vipex_bridge.errors import BadAnswer
from vipex_bridge.lookup.matching import UNHURRIED_S, NotMatched, fault, search
from vipex_bridge.lookup.values import Mismatch, accepts, scalar_text

MAX_BODY_BYTES = 1024 * 1024
MAX_SEARCHED_CHARS = 8192
"""Of a text answer; a regular expression sees no more."""
MAX_XML_NODES = 10_000
"""Elements and attributes: an XPath that compares each with all others has no time limit but this."""

_MAX_FORM_FIELDS = 1000
_CHARSET = re.compile(
    r"utf-8(-sig)?|utf-(16|32)(-[lb]e)?|ascii|iso8859-\d+|cp\d+|koi8-[a-z]|shift_jis\w*|euc_\w+|big5\w*|gb\w+"
)
"""Python's names of encodings in use on the web; some of its others are no character sets at all."""
_DECLARATION = re.compile(
    rb"^(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})"
)

_LIBRARY_FAILS = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""Where JMESPath's parser and functions meet what they were not written for, a huge number for one."""

Finder = Callable[[str], object]
"""Expression -> the value that the answer holds there, None without one. Raises _Unusable, NotMatched."""


class _Unusable(Exception):
    """An expression cannot be evaluated on this answer; the message says why."""


@dataclass(frozen=True, slots=True)
class MappedAnswer:
    """Every variable in the configuration's order, how many came from the answer, and what was refused."""

    variables: tuple[tuple[str, str], ...]
    mapped: int
    mismatches: tuple[Mismatch, ...]


def map_answer(
    options: LookupOptions, content_type: str, body: bytes, *, ends_at: float | None = None
) -> MappedAnswer:
    """Map the body of a 2xx answer to the variables of `options.set`.

    A variable gets the value found by its expression. Nothing found (absent, null, empty text), or a
    value that is refused (a mismatch: no single value, or not within the pattern) gives its default,
    else ''. Defaults are the operator's own and are not held against the pattern.

    Format auto: by Content-Type; a media type that names no format and is not text/* is decided by the
    first character: `{` or `[` JSON, `<` XML, else text. Charset: that of Content-Type, else (XML) the
    declared one, else UTF-8. In XML namespaces are ignored: elements go by their local names.

    `ends_at` (of the monotonic clock): a regular expression that is not done by then is a mismatch.

    Raises BadAnswer when the body is too large or is not what its format says.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BadAnswer(f"the answer is larger than {MAX_BODY_BYTES} bytes")
    media_type, charset = _parsed(content_type)
    kind = options.format if options.format != "auto" else _kind(media_type, body)
    if ends_at is None:
        ends_at = time.monotonic() + UNHURRIED_S
    find = _FINDERS[kind](_decoded(body, charset, kind), ends_at)
    variables: list[tuple[str, str]] = []
    mismatches: list[Mismatch] = []
    count = 0
    for wanted in options.set:
        text = _taken(wanted, find, mismatches, ends_at)
        count += text is not None
        variables.append((wanted.variable, text if text is not None else wanted.default or ""))
    return MappedAnswer(tuple(variables), count, tuple(mismatches))


def faults(client: Client) -> list[tuple[str, str]]:
    """Give (key path inside the client, what is wrong) for each expression that does not compile.

    With format auto an expression is wrong when it is in none of the languages.
    """
    found = []
    formats = ("json", "xml", "text") if client.lookup.format == "auto" else (client.lookup.format,)
    for wanted in client.lookup.set:
        reasons = [_COMPILERS[kind](wanted.path) for kind in formats]
        unfit = fault(wanted.pattern.pattern) if wanted.pattern is not None else ""
        if unfit:
            found.append((f"response.set.{wanted.variable}.pattern", unfit))
        if all(reasons):
            found.append((f"response.set.{wanted.variable}", "; ".join(filter(None, reasons))))
    return found


def _taken(wanted: Mapped, find: Finder, mismatches: list[Mismatch], ends_at: float) -> str | None:
    try:
        value = find(wanted.path)
    except (_Unusable, NotMatched) as error:
        mismatches.append(Mismatch(wanted.variable, str(error)))
        return None
    if value is None or value == "":
        return None
    text = scalar_text(value)
    if text is None:
        mismatches.append(Mismatch(wanted.variable, f"a {type(value).__name__} is no single value"))
        return None
    try:
        why = "" if accepts(wanted, text, ends_at) else "the value is not within the pattern"
    except NotMatched as error:
        why = str(error)
    if why:
        mismatches.append(Mismatch(wanted.variable, why, len(text)))
        return None
    return text


def _parsed(content_type: str) -> tuple[str, str]:
    """Media type in lower case, and charset, each '' when not given."""
    media_type, *parameters = content_type.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media_type.strip().lower(), value.strip().strip("\"'")
    return media_type.strip().lower(), ""


def _kind(media_type: str, body: bytes) -> str:
    subtype = media_type.partition("/")[2]
    if subtype == "json" or subtype.endswith("+json"):
        return "json"
    if subtype == "xml" or subtype.endswith("+xml"):
        return "xml"
    if media_type == "application/x-www-form-urlencoded":
        return "form"
    if media_type.startswith("text/"):
        return "text"
    return {b"{": "json", b"[": "json", b"<": "xml"}.get(body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1], "text")


def _decoded(body: bytes, charset: str, kind: str) -> str:
    if not charset and kind == "xml":
        declared = _DECLARATION.match(body)
        utf16 = body.startswith((b"\xff\xfe", b"\xfe\xff"))
        charset = "utf-16" if utf16 else declared[1].decode() if declared else ""
    try:
        codec = (
            codecs.lookup(charset or "utf-8").name if re.fullmatch(r"[\w.:-]{0,40}", charset, re.A) else ""
        )
    except LookupError:
        codec = ""
    if not _CHARSET.fullmatch(codec):
        raise BadAnswer("the answer is in an unknown character set")
    try:
        return body.decode(codec).removeprefix("\ufeff")
    except UnicodeError:
        raise BadAnswer(f"the answer is not valid {codec}") from None


def _json_finder(text: str, ends_at: float) -> Finder:
    def refused(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    def finite(number: str) -> float:
        # 1e400 is JSON, but what it would become here is not.
        return value if math.isfinite(value := float(number)) else refused(number)

    try:
        document = json.loads(text, parse_constant=refused, parse_float=finite)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else "not valid"
        raise BadAnswer(f"the answer's JSON is {why}") from None

    def find(expression: str) -> object:
        try:
            return _jmespath(expression).search(document)
        except JMESPathError as error:
            raise _Unusable(f"the JMESPath cannot be used here: {type(error).__name__}") from None
        except (*_LIBRARY_FAILS, RecursionError) as error:
            raise _Unusable(f"the JMESPath fails on this answer: {type(error).__name__}") from None

    return find


def _xml_finder(text: str, ends_at: float) -> Finder:
    # Refused before any parser sees it: a document type is where entities are declared.
    if "<!DOCTYPE" in text:
        raise BadAnswer("the answer's XML has a document type declaration, which is refused")
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadAnswer("the answer's XML is not valid") from None
    count = 0
    for element in root.iter("{*}*"):
        count += 1 + len(element.attrib)
        if count > MAX_XML_NODES:
            raise BadAnswer(f"the answer's XML has more than {MAX_XML_NODES} elements and attributes")
        element.tag = etree.QName(element).localname

    def find(expression: str) -> object:
        try:
            return _xpath_value(_xpath(expression)(root))
        except (etree.XPathError, ValueError) as error:
            raise _Unusable(f"the XPath cannot be used here: {type(error).__name__}") from None

    return find


def _xpath_value(found: object) -> object:
    """The first node's text without the white space around it; NaN is what is not there."""
    if isinstance(found, list):
        found = found[0] if found else None
    if isinstance(found, etree._Element):
        found = found.xpath("string()")
    if isinstance(found, float) and found != found:
        return None
    return str(found).strip() if isinstance(found, str) else found


def _form_finder(text: str, ends_at: float) -> Finder:
    try:
        fields = parse_qs(
            text.strip(), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadAnswer("the answer's form is not valid") from None
    return lambda key: fields.get(key, [None])[0]


def _text_finder(text: str, ends_at: float) -> Finder:
    searched = text[:MAX_SEARCHED_CHARS]

    def find(expression: str) -> object:
        match = search(expression, searched, ends_at)
        if match is None:
            return None
        return match[1] if match.re.groups else match[0]

    return find


_FINDERS: dict[str, Callable[[str, float], Finder]] = {
    "json": _json_finder,
    "xml": _xml_finder,
    "form": _form_finder,
    "text": _text_finder,
}

_jmespath = lru_cache(1024)(jmespath.compile)
_xpath = lru_cache(1024)(lambda expression: etree.XPath(expression, smart_strings=False))


def _jmespath_fault(expression: str) -> str:
    try:
        _jmespath(expression).search({})
    except JMESPathTypeError:
        return ""
    except JMESPathError as error:
        return f"not JMESPath: {str(error).splitlines()[0]}"
    except RecursionError:
        return "not JMESPath that can be used: it is nested too deeply"
    except _LIBRARY_FAILS as error:
        return f"not JMESPath that can be used: {' '.join(str(error).split())}"
    return ""


def _xpath_fault(expression: str) -> str:
    try:
        _xpath(expression)(etree.Element("answer"))
    except (etree.XPathError, ValueError) as error:
        return f"not XPath: {error}"
    return ""


def _form_fault(expression: str) -> str:
    return "" if expression else "the key of a form field is missing"


_COMPILERS: dict[str, Callable[[str], str]] = {
    "json": _jmespath_fault,
    "xml": _xpath_fault,
    "form": _form_fault,
    "text": fault,
}
