"""Durations, sizes and the other single values mean what an integrator reads in them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config import patterns, values
from vipex_bridge.config.load import load_text
from vipex_bridge.errors import ConfigurationError

UNITS = {"ms": "0.001", "s": "1", "": "1", "m": "60", "h": "3600", "d": "86400"}
DECIMAL_SIZES = {"": 1, "B": 1, "kB": 1000, "KB": 1000, "MB": 10**6, "GB": 10**9}
SIZES = DECIMAL_SIZES | {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert values.duration(f"{number}{unit}") == float(number * Decimal(UNITS[unit]))


@given(st.integers(0, 10**6))
def test_a_plain_number_is_seconds(number: int) -> None:
    assert values.duration(number) == number


@pytest.mark.parametrize(("written", "seconds"), [("1.5s", 1.5), ("0.5m", 30.0), ("0", 0.0), ("500ms", 0.5)])
def test_parts_of_a_unit(written: str, seconds: float) -> None:
    assert values.duration(written) == seconds


@given(st.integers(1, 10**6), st.sampled_from(sorted(SIZES)))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert values.size(f"{number}{unit}") == number * SIZES[unit]


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.text(), max_size=2)))
def test_no_value_makes_a_parser_fail_in_another_way(value: object) -> None:
    """Whatever stands in the file, the message is one line."""
    for parse in (
        values.duration,
        values.size,
        values.listen,
        values.url,
        values.zone,
        patterns.pattern,
        patterns.extension_pattern,
        values.header_name,
        values.header_value,
        values.line,
        values.flag,
        values.choice("a", "b"),
        values.known("thing", ("a", "b")),
        values.database_url(("sqlite",), "refused"),
    ):
        try:
            parse(value)
        except ValueError as error:
            assert str(error)
            assert "\n" not in str(error).splitlines()[0]


@given(st.text())
def test_no_text_of_a_file_fails_in_another_way_than_with_faults(text: str) -> None:
    try:
        load_text(text, Path("/nowhere/c.yaml"), {})
    except ConfigurationError as error:
        assert error.faults
        assert all(str(fault).isprintable() for fault in error.faults)


KEYS = (
    "clients", "crm", "kind", "lookup", "notify", "call_end", "url", "https://x/", "on", "ringing",
    "asterisk", "ami", "cdr", "numbers", "users", "include", "api_key", "in", "body", "name", "value",
    "response", "set", "!env A", "!env B", "&a", "*a", "<<", "true", "5", "''", "~", "10s", "match",
    "headers", "retry", "store",
)  # fmt: skip
NODES = st.recursive(
    st.sampled_from(KEYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key} : {item}" for key, item in pairs) + "}"
        ),
    ),
    max_leaves=25,
)


@given(
    NODES, st.sampled_from(["{}", "clients: {{crm: {}}}", "clients: {{crm: {{kind: lookup, response: {}}}}}"])
)
def test_no_arrangement_of_keys_fails_in_another_way_than_with_faults(node: str, frame: str) -> None:
    try:
        load_text(frame.format(node), Path("/nowhere/c.yaml"), {"A": "a"})
    except ConfigurationError as error:
        lines = [fault.line for fault in error.faults]
        assert lines
        assert all(str(fault).isprintable() for fault in error.faults)


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:4573", "127.0.0.1", 4573),
        ("[::1]:80", "::1", 80),
        ("pbx.example.com:0", "pbx.example.com", 0),
    ],
)
def test_host_and_port(written: str, host: str, port: int) -> None:
    assert values.listen(written) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example.com",
        "http://192.168.1.10:8080/a/b?x=1&y=%20",
        "https://[2001:db8::1]:8443/",
        "https://árvíz.example/útvonal",
        "http://crm_test.lan",
    ],
)
def test_usual_urls_are_taken_as_they_are(url: str) -> None:
    assert values.url(url) == url


def test_text_of_a_tag_is_masked_in_messages() -> None:
    assert values.shown(values.Written("hunter2", hidden=True)) == "********"
