"""`/metrics` of a real bridge; and the documentation, dashboard and alerts, which know what it tells."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path

import pytest
import yaml
from agi_call import agi
from api_bench import TOKEN, Server
from bridge_process import BridgeProcess
from captured_rows import CAPTURES
from cdr_file import COLUMNS, make_table, write_row
from delivering import wait_until
from fake_ami import FakeAmi
from faulty_server import FaultyServer, running
from free_ports import free_port
from pages import ROOT
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from stored import NOW, new, open_in, queued, url_of

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  ami: {{host: 127.0.0.1, port: {ami}, username: vipex, secret: planted-secret-of-ami}}
  agi: {{listen: '127.0.0.1:{agi}', socket: null}}
  cdr: {{source: 'sqlite:///{folder}/master.db', preset: sqlite3_custom, poll: 100ms, settle: 100ms}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: '{store}'
http: {{listen: '127.0.0.1:0', tokens: [{token}]}}
clients:
  billing: {{kind: call_end, url: '{url}/cdr', headers: {{X-Secret: planted-secret-of-billing}}, retry: [1h]}}
  crm: {{kind: notify, on: [ringing], url: '{url}/ring'}}
  route: {{kind: lookup, url: '{url}/route', timeout: 2s, response: {{set: {{VIPEX_BRANCH: branch}}}}}}
"""
SECRETS = ("planted-secret-of-ami", "planted-secret-of-billing")
PAGE = ROOT / "docs/metrics.md"
DOCUMENTED = re.compile(r"^\| `(vipex_[a-z_]+)` \| (\w+) \|([^|]*)\|", re.M)


async def test_a_running_bridge_tells_what_happened_and_every_metric_is_documented(tmp_path: Path) -> None:
    make_table(tmp_path / "master.db")
    with open_in(tmp_path) as store:
        queued(store, new("crm", event="ringing", expires_at=NOW + 1))
    port = free_port()
    with running() as receiver:
        receiver.answer = lambda sock, request: receiver.replies(
            500 if "/cdr" in request.target else 200, b'{"branch": "vip"}'
        )(sock, request)
        async with FakeAmi() as ami:
            ami.secret = SECRETS[0]
            text = CONFIGURATION.format(
                ami=ami.port, agi=port, folder=tmp_path, store=url_of(tmp_path), token=TOKEN, url=receiver.url
            )
            bridge = BridgeProcess(tmp_path, text)
            await asyncio.to_thread(bridge.start)
            try:
                await ami.play(gzip.decompress((CAPTURES / "b_inbound_simple" / "ami.log.gz").read_bytes()))
                body = await asyncio.to_thread(_told, bridge, port, receiver, tmp_path / "master.db")
            finally:
                await asyncio.to_thread(bridge.stop)
    told = {
        f"{s.name}{dict(sorted(s.labels.items())) or ''}": s.value
        for family in parsed(body)
        for s in family.samples
    }
    expected = {
        "vipex_ami_connected": 1,
        "vipex_cdr_readable": 1,
        "vipex_ami_reconnects_total": 0,
        "vipex_calls_failed_total": 0,
        "vipex_looks_failed_total": 0,
        "vipex_notices_total{'event': 'hangup'}": 1,
        "vipex_calls_told_total{'direction': 'inbound'}": 1,
        "vipex_deliveries_total{'client': 'billing', 'outcome': 'retry'}": 1,
        "vipex_deliveries_total{'client': 'billing', 'outcome': 'failed'}": 0,
        "vipex_deliveries_total{'client': 'crm', 'outcome': 'expired'}": 1,
        "vipex_delivery_seconds_count{'client': 'billing'}": 1,
        "vipex_lookups_total{'client': 'route', 'status': 'OK'}": 1,
        "vipex_lookup_seconds_count{'client': 'route'}": 1,
        "vipex_lookup_timeout_seconds{'client': 'route'}": 2,
        "vipex_queue_deliveries{'client': 'billing'}": 1,
        "vipex_client_paused{'client': 'billing'}": 0,
        "vipex_log_lines_total{'event': 'delivery.failed_try', 'level': 'warning'}": 1,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert told["vipex_cdr_read_timestamp_seconds"] > NOW and told["vipex_store_bytes"] > 0
    names = {s.name for family in parsed(body) for s in family.samples if family.name.startswith("vipex_")}
    plain = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names}
    assert plain == set(documented()), "docs/metrics.md has what is told, and nothing else"
    labels: dict[str, set[str]] = {name: set() for name in documented()}
    for family in parsed(body):
        for s in family.samples:
            name = re.sub(r"_(bucket|count|sum|created)$", "", s.name)
            if name in labels:
                labels[name] |= s.labels.keys() - {"le"}
    said = {name: set(re.findall(r"`(\w+)`", row)) for name, row in documented().items()}
    assert {n: found for n, found in labels.items() if found} == {n: row for n, row in said.items() if row}
    for secret in (*SECRETS, TOKEN, "3642999425", "36709676052"):
        assert secret not in body.decode(), "no secret, and nothing of a caller"


def _told(bridge: BridgeProcess, port: int, receiver: FaultyServer, master: Path) -> bytes:
    """What is told after a lookup, a finished call that its client refuses, and an expired notification."""
    bridge.wait_for("reconcile.done")
    agi(port, "lookup", "route")
    for line in (CAPTURES / "b_inbound_simple" / "cdr.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        times = {"start": row["calldate"], "answer": row["answerdate"], "end": row["enddate"]}
        write_row(master, {name: value for name, value in row.items() if name in COLUMNS.split(", ")} | times)
    bridge.wait_for("delivery.failed_try", client="billing")
    server = Server(bridge.wait_for("http.listening")["port"], receiver)
    assert server.ask("/metrics", token=None).status == 401
    waiting = b'vipex_queue_deliveries{client="billing"} 1.0'
    wait_until(lambda: waiting in _asked(server), 20)
    return _asked(server)


def _asked(server: Server) -> bytes:
    answer = server.ask("/metrics")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    return answer.body


def parsed(body: bytes) -> list[Metric]:
    return list(text_string_to_metric_families(body.decode()))


def documented() -> dict[str, str]:
    """Each metric of docs/metrics.md, and what its row says of labels."""
    return {name: labels for name, _, labels in DOCUMENTED.findall(PAGE.read_text("utf-8"))}


def _expressions() -> dict[str, str]:
    """Every expression of the dashboard and of the alerts, by its title."""
    board = json.loads((ROOT / "etc/grafana/vipex-bridge.json").read_text("utf-8"))
    found = {f"{p['title']} {t['refId']}": t["expr"] for p in board["panels"] for t in p["targets"]}
    rules = yaml.safe_load((ROOT / "etc/prometheus/vipex-bridge.rules.yml").read_text("utf-8"))
    return found | {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}


@pytest.mark.parametrize("title", _expressions())
def test_dashboard_and_alerts_ask_for_metrics_that_there_are(title: str) -> None:
    expression = _expressions()[title]
    kinds = {name: kind for name, kind, _ in DOCUMENTED.findall(PAGE.read_text("utf-8"))}
    asked = re.findall(r"\b(vipex_\w+)(?:\{([^}]*)\})?", expression)
    asked = [(name, labels) for name, labels in asked if name != "vipex_bridge"]
    assert asked or "up{" in expression or "process_" in expression
    for name, selected in asked:
        plain = name.removesuffix("_bucket")
        assert plain in kinds, name
        assert (kinds[plain] == "histogram") == name.endswith("_bucket"), name
        known = set(re.findall(r"`(\w+)`", documented()[plain])) | {"instance", "job"}
        assert set(re.findall(r"(\w+)=", selected)) <= known, name
    grouped = {
        label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")
    }
    offered = set().union(
        *(re.findall(r"`(\w+)`", documented()[name.removesuffix("_bucket")]) for name, _ in asked)
    )
    assert grouped <= offered | {"instance", "le"}


def test_the_alerts_of_the_readers_night_are_there() -> None:
    alerts = {title for title in _expressions() if title.startswith("Vipex")}
    wanted = {
        "VipexPbxNotConnected",
        "VipexDeliveriesFailing",
        "VipexUndeliveredTooLong",
        "VipexLookupNearDeadline",
    }
    assert wanted <= alerts
