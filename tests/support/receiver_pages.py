"""What the receiver's guides hold of recorded calls. As a program: brings docs/receiver*.md up to date.

A part of a page between `<!-- made: NAME -->` and `<!-- end -->` is made here. In the tables of fields the
English meaning is the schema's; another language's meanings are its page's own, and stay.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from as_sent import CASES, Sent, question_about, sent_about

from vipex_bridge.render.schema import schema_of

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"en": DOCS / "receiver.md", "hu": DOCS / "receiver.hu.md"}
MADE = re.compile(r"(<!-- made: ([a-z_ ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {"integer": "integer", "string": "text", "number": "number", "array": "list", "null": "null",
           "or": " or ", "base64": "base64 text"},
    "hu": {"integer": "egész szám", "string": "szöveg", "number": "szám", "array": "lista", "null": "null",
           "or": " vagy ", "base64": "base64 szöveg"},
}  # fmt: skip
HEADS = {
    "en": "| field | type | meaning | example |",
    "hu": "| mező | típus | jelentése | példa |",
}
EXAMPLES = {
    "answered": ("b_inbound_simple", "billing"),
    "parts": ("a_inbound_ivr_queue", "billing-all"),
    "missed": ("c_inbound_missed", "billing"),
    "outgoing": ("h2_outbound_pin_answered", "billing"),
    "transfer": ("e1_blind_refer", "billing"),
}
WIDTH = 108


@dataclass(frozen=True)
class Later:
    """What a recorded call's ids and references are in a bridge that has run for a while.

    Those of a recording count from 1, and so every example would have the same.
    """

    case: str

    def id(self, number: int) -> int:
        order = [case for case, _ in EXAMPLES.values()]
        return 91000 + 10 * (order.index(self.case) if self.case in order else len(order)) + number

    def reference(self, name: str) -> str:
        return hashlib.sha256(f"{self.case} {name}".encode()).hexdigest()[:32]

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with these, and its recordings cut short."""
        moved = dict(document) | {"id": self.id(document["id"])}
        if document.get("monitor_file"):
            moved["monitor_file"] = f"{document['monitor_file'][:20]}…"
        if document.get("main_reference_id"):
            moved["main_reference_id"] = self.reference(document["main_reference_id"])
        if "sub_cdrs" in document:
            moved["sub_cdrs"] = [self.document(part) for part in document["sub_cdrs"]]
        return moved

    def query(self, query: str) -> str:
        """The query string with such an id."""
        pairs = parse_qsl(query.removeprefix("?"))
        return "?" + urlencode([(n, str(self.id(int(v))) if n == "id" else v) for n, v in pairs])


def page(language: str) -> str:
    """The page as it must be: all that is made of the recorded calls made anew."""

    def made(found: re.Match[str]) -> str:
        return f"{found[1]}{_block(found[2], found[3], language)}\n{found[4]}"

    return MADE.sub(made, PAGES[language].read_text("utf-8"))


def as_received(sent: Sent) -> Any:
    """The document as the page shows it."""
    return Later(sent.case).document(sent.document)


def _block(name: str, present: str, language: str) -> str:
    what, _, of = name.partition(" ")
    if what == "fields":
        return _table(of, present, language)
    case, _ = EXAMPLES["answered"]
    if of == "notifications":
        sent = [s for s in sent_about(case) if s.client.name == "crm-calls"]
        bodies = [f"{s.event + ':':10}{json.dumps(as_received(s), ensure_ascii=False)}" for s in sent]
        return _fenced("", bodies)
    if of == "query":
        sent = [s for s in sent_about(case) if s.client.name == "crm-calls-by-get"]
        return _fenced("", [f"{s.event + ':':10}GET /calls{Later(case).query(s.url)}" for s in sent])
    if of == "question":
        return _fenced("", [f"GET /route{Later(case).query(question_about(case).url)}"])
    return _fenced("json", _lines(as_received(_of(*EXAMPLES[of]))))


def _fenced(kind: str, lines: Iterable[str]) -> str:
    return "\n".join([f"```{kind}", *lines, "```"])


def _of(case: str, client: str) -> Sent:
    return next(s for s in sent_about(case) if s.client.name == client and s.event == "call_end")


def _table(kind: str, present: str, language: str) -> str:
    rules: Any = schema_of("call_end" if kind == "sub_cdrs" else kind)["properties"]
    if kind == "sub_cdrs":
        rules = rules["sub_cdrs"]["items"]["properties"]
    meanings = _meanings(present)
    rows = [HEADS[language], "| --- | --- | --- | --- |"]
    for name, rule in rules.items():
        meaning = rule["description"] if language == "en" else meanings.get(name, "")
        types = _types(rule, WORDS[language])
        rows.append(f"| `{name}` | {types} | {meaning} | {_example(kind, name, rule)} |")
    return "\n".join(rows)


def _meanings(table: str) -> dict[str, str]:
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {row[0].strip("|` "): row[2].strip() for row in rows}


def _types(rule: Mapping[str, Any], words: Mapping[str, str]) -> str:
    types = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    named = [words["base64" if name == "string" and "contentEncoding" in rule else name] for name in types]
    return words["or"].join(named)


def _example(kind: str, name: str, rule: Mapping[str, Any]) -> str:
    """The field in the first recorded call that has it, those of the examples before all others.

    Where none has it, the client documentation's own example.
    """
    if name == "sub_cdrs":
        return "`[]`, `[{…}, {…}]`"
    values = [*(document.get(name) for document in _documents(kind)), *rule.get("examples", [])]
    value = next((value for value in values if value is not None), None)
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _documents(kind: str) -> Iterable[Mapping[str, Any]]:
    shown = [case for case, _ in EXAMPLES.values()]
    for case in [*shown, *(case for case in CASES if case not in shown)]:
        for sent in sent_about(case):
            if sent.client.name == ("crm-calls" if kind in ("notify", "lookup") else "billing"):
                # A lookup is asked before anybody rings.
                if kind == "lookup" and sent.event != "arrival":
                    continue
                document = as_received(sent)
                yield from document["sub_cdrs"] if kind == "sub_cdrs" else [document]


def _lines(document: Mapping[str, Any]) -> list[str]:
    """One call as JSON that fits a page: several fields in a line, each part on its own."""
    parts = document["sub_cdrs"]
    pairs = [_pair(name, value) for name, value in document.items() if name != "sub_cdrs"]
    if not parts:
        return _wrapped([*pairs, '"sub_cdrs": []'], "{", " ", "}")
    lines = _wrapped([*pairs, '"sub_cdrs": ['], "{", " ", "")
    for number, part in enumerate(parts, 1):
        end = "}]}" if number == len(parts) else "},"
        lines += _wrapped([_pair(name, value) for name, value in part.items()], "  {", "   ", end)
    return lines


def _pair(name: str, value: object) -> str:
    return f'"{name}": {json.dumps(value, ensure_ascii=False)}'


def _wrapped(pairs: list[str], begin: str, indent: str, end: str) -> list[str]:
    lines, line = [], begin
    for number, pair in enumerate(pairs, 1):
        text = pair + (end if number == len(pairs) else ",")
        if len(line) + len(text) + 1 > WIDTH:
            lines.append(line.rstrip())
            line = indent
        line += text if line in (begin, indent) else f" {text}"
    return [*lines, line]


if __name__ == "__main__":
    for language, path in PAGES.items():
        path.write_text(page(language), encoding="utf-8")
