"""How a value is written where it stands: one function, one rule for each place.

The rules keep what the contract promises (sections 2 and 3): a value never ends the place that it was
put into. What UTF-8 cannot hold (a lone surrogate) is written as U+FFFD everywhere.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote_plus

from vipex_bridge.errors import RenderError

PLACES = ("url", "form", "json", "xml", "text", "header")
"""Everything that `escape` knows as `where`."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 (fifth edition), section 2.2, production 2 `Char`."""
_NOT_HEADER = re.compile("[\r\n\0]")

_XML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
# As references, these outlive the parser's line-end and attribute-value normalisation.
_XML |= {"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_XML_TABLE = str.maketrans(_XML)


def escape(text: str, where: str) -> str:
    """Give `text` as it is written at `where`.

    `url` and `form`: form-encoded UTF-8 (a space is `+`). `json`: the content of a JSON string, without
    its quotes, other than ASCII kept as it is. `xml`: for element content and quoted attributes alike; a
    character that XML 1.0 cannot hold becomes U+FFFD. `text`: as it is. `header`: as it is, checked.

    Escaping works character by character: the pieces of a text may be escaped one by one.

    Raises RenderError for a header value with CR, LF, NUL or anything outside Latin-1, and for a place
    that does not exist.
    """
    if where == "header":
        return _header(text)
    text = sound(text)
    match where:
        case "url" | "form":
            return quote_plus(text)
        case "json":
            return json.dumps(text, ensure_ascii=False)[1:-1]
        case "xml":
            return _NOT_XML.sub(REPLACEMENT, text).translate(_XML_TABLE)
        case "text":
            return text
    raise RenderError(f"cannot escape for {where!r}: known are {', '.join(PLACES)}")


def sound(text: str) -> str:
    """Give `text` with every lone surrogate replaced, so that UTF-8 can hold it."""
    return _SURROGATE.sub(REPLACEMENT, text)


def _header(text: str) -> str:
    if _NOT_HEADER.search(text):
        raise RenderError("a header value cannot hold a line break or NUL: take it out of the value")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise RenderError("a header value cannot hold characters outside Latin-1: use others") from None
    return text
