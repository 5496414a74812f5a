"""What Prometheus is told: each thing counted once, and first times that are seen as a rise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from looking_up import client
from prometheus_client.parser import text_string_to_metric_families
from stored import NOW, claimed, new, open_in, queued

from vipex_bridge.calls.document import Direction
from vipex_bridge.lookup.result import LookupResult
from vipex_bridge.metrics import Ami, Cdr, Metrics, Present, Queue
from vipex_bridge.store.outbox import NewAttempt


def samples(metrics: Metrics, present: Present | None = None) -> Mapping[str, float]:
    """Each sample as it is written: `name{label="value",...}`."""
    body, content_type = metrics.exposition(present or Present("pbx1"))
    assert content_type.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found, f"{key} is told twice"
            found[key] = sample.value
    return found


def test_tries_are_counted_by_client_and_outcome_and_their_times_kept(tmp_path: Path) -> None:
    metrics = Metrics()
    with open_in(tmp_path) as store:
        queued(store, new(at=NOW))
        [delivery] = claimed(store)
    metrics.tried(delivery, NewAttempt(NOW + 5, 0.3, 500, "retry", "the server answered 500", None))
    metrics.tried(delivery, NewAttempt(NOW + 50, 0.2, 200, "delivered", None, None))
    metrics.expired("crm", 3)
    told = samples(metrics)
    assert told['vipex_deliveries_total{client="billing",outcome="retry"}'] == 1
    assert told['vipex_deliveries_total{client="billing",outcome="delivered"}'] == 1
    assert told['vipex_deliveries_total{client="crm",outcome="expired"}'] == 3
    assert told['vipex_delivery_seconds_count{client="billing"}'] == 2
    assert told['vipex_delivery_seconds_sum{client="billing"}'] == 0.5
    assert told['vipex_delivery_seconds_bucket{client="billing",le="0.25"}'] == 1
    # Only what arrived has a delay, from the queueing to the end of the try that made it.
    assert told['vipex_delivery_delay_seconds_count{kind="call_end"}'] == 1
    assert round(told['vipex_delivery_delay_seconds_sum{kind="call_end"}'], 6) == 50.2


def test_what_has_not_happened_yet_is_there_as_0() -> None:
    metrics = Metrics()
    metrics.expects([client("http://127.0.0.1:9/route")])
    told = samples(metrics)
    statuses = [
        re.search('status="([A-Z]+)"', name) for name in told if name.startswith("vipex_lookups_total")
    ]
    assert {found[1] for found in statuses if found} == {
        "OK", "NOMATCH", "TIMEOUT", "HTTPERROR", "UNREACHABLE", "BADRESPONSE", "OPEN",
    }  # fmt: skip
    assert all(value == 0 for name, value in told.items() if name.startswith("vipex_lookups_total"))


def test_lookups_are_counted_by_status() -> None:
    metrics = Metrics()
    metrics.asked("route", LookupResult("OK", 200, (), 0.04))
    metrics.asked("route", LookupResult("TIMEOUT", None, (), 2.0))
    told = samples(metrics)
    assert told['vipex_lookups_total{client="route",status="OK"}'] == 1
    assert told['vipex_lookups_total{client="route",status="TIMEOUT"}'] == 1
    assert told['vipex_lookup_seconds_bucket{client="route",le="0.05"}'] == 1
    assert told['vipex_lookup_seconds_bucket{client="route",le="2.0"}'] == 2


def test_only_warnings_are_counted_and_a_librarys_words_make_no_labels() -> None:
    metrics = Metrics()
    metrics.logged("info", "call.told")
    metrics.logged("warning", "delivery.failed_try")
    metrics.logged("error", "Connection pool to 36709676052 is full")
    told = {
        name: value for name, value in samples(metrics).items() if name.startswith("vipex_log_lines_total")
    }
    assert told == {
        'vipex_log_lines_total{event="delivery.failed_try",level="warning"}': 1,
        'vipex_log_lines_total{event="library",level="error"}': 1,
    }


def test_the_bridge_is_read_off_as_it_is() -> None:
    present = Present(
        node="pbx1",
        ami=Ami(is_connected=True, reconnects=2, malformed=1),
        events={"Hangup": 7},
        calls_up=4,
        notices={"ringing": 3},
        told={Direction.MISSED: 5},
        cdr=Cdr(is_readable=False, bad_rows=1, late_rows=2, read_at=NOW),
        queues={"billing": Queue(12, 61.5, is_paused=True)},
        lookup_timeouts_s={"route": 2.0},
        store_bytes=4096,
    )
    told = samples(Metrics(), present)
    expected = {
        "vipex_ami_connected": 1,
        "vipex_ami_reconnects_total": 2,
        "vipex_ami_malformed_total": 1,
        'vipex_ami_events_total{event="Hangup"}': 7,
        "vipex_calls_up": 4,
        'vipex_notices_total{event="ringing"}': 3,
        'vipex_calls_told_total{direction="missed"}': 5,
        'vipex_calls_told_total{direction="outbound"}': 0,
        "vipex_cdr_readable": 0,
        "vipex_cdr_bad_rows_total": 1,
        "vipex_cdr_late_rows_total": 2,
        "vipex_cdr_read_timestamp_seconds": NOW,
        'vipex_queue_deliveries{client="billing"}': 12,
        'vipex_queue_oldest_seconds{client="billing"}': 61.5,
        'vipex_client_paused{client="billing"}': 1,
        'vipex_lookup_timeout_seconds{client="route"}': 2,
        "vipex_store_bytes": 4096,
    }
    assert {name: told[name] for name in expected} == expected
    without = samples(Metrics())
    assert not [name for name in without if name.startswith(("vipex_ami_connected", "vipex_cdr"))]


def test_two_bridges_in_one_process_count_for_themselves() -> None:
    first, second = Metrics(), Metrics()
    first.expired("crm", 1)
    assert 'vipex_deliveries_total{client="crm",outcome="expired"}' not in samples(second)
