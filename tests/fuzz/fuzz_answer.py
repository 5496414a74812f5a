"""Answers of lookup servers: whatever they are, only permitted values or defaults become variables."""

from __future__ import annotations

import re

from asterisk_agi import received_commands

from vipex_bridge.agi.conversation import encode_set_variable
from vipex_bridge.config.settings import LookupOptions, Mapped
from vipex_bridge.errors import BadAnswer
from vipex_bridge.lookup.mapping import map_answer

FORMATS = ("auto", "json", "xml", "form", "text")
TYPES = (
    "application/json", "text/xml", "application/x-www-form-urlencoded", "text/plain", "",
    "application/json; charset=utf-16", "text/plain; charset=shift_jis", "application/xml; charset=cp037",
)  # fmt: skip
PATHS = ("a", "a.b", "a[0].b", "to_string(@)", "sum(a)", "sort(@)", "//a", "//a/@b", r"a=(\w+)", "string(/*)")
DEFAULT = "200"
OWN = re.compile(r"[a-z]{1,5}")


def one_input(data: bytes) -> None:
    """The first two bytes say what the answer claims to be, the rest is its body."""
    if len(data) < 2:
        return
    wanted = tuple(Mapped(f"VIPEX_{number}", path, None, DEFAULT) for number, path in enumerate(PATHS))
    wanted += (Mapped("VIPEX_OWN", "a", OWN, DEFAULT), Mapped("VIPEX_NONE", "a.b.c.d"))
    options = LookupOptions(format=FORMATS[data[0] % len(FORMATS)], set=wanted)
    try:
        answer = map_answer(options, TYPES[data[1] % len(TYPES)], data[2:])
    except BadAnswer as error:
        assert "\n" not in str(error)
        return
    assert [name for name, _ in answer.variables] == [mapped.variable for mapped in wanted]
    for name, value in answer.variables:
        assert len(value) <= 255
        assert not set(value) & set("\"\\$&|;{}[]()<>=!?'`^%\r\n\0")
        assert name != "VIPEX_OWN" or value == DEFAULT or OWN.fullmatch(value)
        assert received_commands(encode_set_variable(name, value)) == [
            [b"SET", b"VARIABLE", name.encode(), value.encode()]
        ]
