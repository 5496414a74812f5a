"""Our own series say what prometheus-client's would, whatever is counted and whatever clients are called."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from vipex_bridge.series import Counts, Times, gauges

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from('\\"\n'), max_size=8
)
BUCKETS_S = (0.005, 0.5, 1.0, 60.0)
SECONDS = st.sampled_from(BUCKETS_S) | st.floats(0, 1e6, allow_nan=False)


def said(text: str) -> Mapping[object, float]:
    """Each sample of a text, but for when a series began."""
    return {
        (family.type, family.documentation, sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def theirs(registry: CollectorRegistry) -> Mapping[object, float]:
    return said(generate_latest(registry).decode())


@given(st.lists(st.tuples(NAMES, NAMES, st.integers(0, 10**17)), max_size=8))
def test_counts_are_told_as_prometheus_client_tells_them(counted: list[tuple[str, str, int]]) -> None:
    registry = CollectorRegistry()
    reference = Counter("vipex_x", "What it is", ["client", "outcome"], registry=registry)
    ours = Counts("vipex_x", "What it is", ["client", "outcome"])
    for client, outcome, count in counted:
        reference.labels(client, outcome).inc(count)
        ours.expect((client, outcome))
        ours.add((client, outcome), count)
    assert said(ours.text()) == theirs(registry)


@given(st.lists(st.tuples(NAMES, SECONDS), max_size=8))
def test_times_are_told_as_prometheus_client_tells_them(taken: list[tuple[str, float]]) -> None:
    registry = CollectorRegistry()
    reference = Histogram("vipex_x_seconds", "How long", ["client"], buckets=BUCKETS_S, registry=registry)
    ours = Times("vipex_x_seconds", "How long", ["client"], BUCKETS_S)
    for client, took_s in taken:
        reference.labels(client).observe(took_s)
        ours.observe((client,), took_s)
    assert said(ours.text()) == theirs(registry)


@given(st.dictionaries(NAMES, st.floats(0, 1e12, allow_nan=False), max_size=8))
def test_gauges_come_back_as_they_are(values: dict[str, float]) -> None:
    text = gauges("vipex_x", "What it is", "client", values)
    assert said(text) == {
        ("gauge", "What it is", "vipex_x", ("client", client)): value for client, value in values.items()
    }
