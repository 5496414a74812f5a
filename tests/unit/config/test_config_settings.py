"""What a good configuration becomes: the contract's keys, and the defaults of those that are not given."""

from __future__ import annotations

import socket
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.config import presets
from vipex_bridge.config.convert import machine_timezone
from vipex_bridge.config.load import Loaded, load_text
from vipex_bridge.config.settings import (
    PARAMETERS,
    SUB_PARAMETERS,
    Client,
    Http,
    LookupOptions,
    Privacy,
    Secret,
    Settings,
    User,
)
from vipex_bridge.errors import ConfigurationError

CONTRACT = r"""
node: pbx1
timezone: Europe/Budapest
asterisk:
  ami:        {host: 127.0.0.1, port: 5038, username: vipex, secret: !env AMI_SECRET, tls: false}
  agi:        {listen: 127.0.0.1:4573, socket: /run/vipex-bridge/agi.sock}
  cdr:
    source:   sqlite:////var/log/asterisk/master.db
    preset:   sqlite3_custom
    poll:     1s
    settle:   3s
  cel:        {source: sqlite:////var/log/asterisk/master.db}
  recordings: {root: /var/spool/asterisk/monitor, wait: 30s, max_size: 100MB}
numbers:
  trunks:     [PJSIP/trunk*]
  extensions: '^\d{2,4}$'
  forward_is_answer: true
  devices: PJSIP/7??
store: sqlite:////var/lib/vipex-bridge/state.db
retention: 30d
http: {listen: 127.0.0.1:8080, tokens: [!env TOKEN], recordings_url: https://pbx.example.com}
clients:
  crm-route:
    kind: lookup
    url: https://crm.example.com/route
    method: GET
    parameters: [id, src, dst, ivr_digits]
    basic_auth: {username: vipex, password: !env CRM_PASSWORD}
    api_key: {in: header, name: X-Api-Key, value: !env CRM_KEY}
    headers: {X-Source: pbx1}
    timeout: 2s
    cache: 60s
    stale_if_error: 10m
    breaker: {failures: 5, pause: 30s}
    fallback_urls: [https://crm2.example.com/route]
    response:
      format: auto
      set:
        VIPEX_BRANCH: route.branch
        VIPEX_EXTEN: {path: agent.extension, pattern: '\d{2,4}', default: '200'}
  crm-ring:
    kind: notify
    on: [arrival, ringing, answer, hangup]
    url: https://crm.example.com/calls
    method: POST
    content_type: application/json
    body: '{"phone": "{{ src }}", "agent": {{ exten | tojson }}, "event": "{{ event }}"}'
    match: {dst: ['3642999*'], exten: ['2??'], queue: [sales], context: [in], account: [a]}
    retry: [1s, 5s]
    expires: 30s
  billing:
    kind: call_end
    url: https://billing.example.com/cdr
    parameters: [id, src, price, sub_cdrs, duration]
    directions: [0, 1]
    retry: [10s, 1m]
    cc_call: queue
    parallel_legs: all
    tls: {verify: true}
    signing_secret: !env SIGNING
    concurrency: 4
"""
ENVIRON = {"AMI_SECRET": "s1", "TOKEN": "s2", "CRM_PASSWORD": "s3", "CRM_KEY": "s4", "SIGNING": "s5"}


def loaded(text: str, environ: dict[str, str] | None = None) -> Loaded:
    return load_text(text, Path("/etc/vipex-bridge/config.yaml"), environ or {})


def settings(text: str) -> Settings:
    return loaded(text).settings


def client(text: str) -> Client:
    """The one client of `text`, whose lines are its keys."""
    body = "\n".join(f"    {line}" for line in text.splitlines())
    return settings(f"clients:\n  crm:\n    url: https://crm.example/x\n{body}\n").clients["crm"]


@pytest.fixture(scope="module")
def contract() -> Settings:
    return loaded(CONTRACT, ENVIRON).settings


def test_the_contracts_main_sections(contract: Settings) -> None:
    assert contract.node == "pbx1"
    assert contract.timezone.key == "Europe/Budapest"
    assert contract.ami is not None
    assert (contract.ami.host, contract.ami.port, contract.ami.username) == ("127.0.0.1", 5038, "vipex")
    assert contract.ami.secret.reveal() == "s1"
    assert contract.cdr is not None
    assert contract.cdr.source.reveal() == "sqlite:////var/log/asterisk/master.db"
    assert (contract.cdr.poll_s, contract.cdr.settle_s) == (1.0, 3.0)
    assert contract.cel is not None
    assert contract.cel.table == "cel"
    assert contract.recordings is not None
    assert contract.recordings.max_size_bytes == 100_000_000
    assert contract.numbers.trunks == ("PJSIP/trunk*",)
    assert contract.numbers.devices == ("PJSIP/7??",)
    assert contract.retention_s == 30 * 86400
    assert contract.http == Http("127.0.0.1", 8080, (Secret("s2"),), "https://pbx.example.com")


def test_the_contracts_lookup(contract: Settings) -> None:
    crm = contract.clients["crm-route"]
    assert (crm.kind, crm.method, crm.timeout_s) == ("lookup", "GET", 2.0)
    assert crm.parameters == ("id", "src", "dst", "ivr_digits")
    assert crm.basic_auth is not None
    assert crm.basic_auth.password.reveal() == "s3"
    assert crm.api_key is not None
    assert (crm.api_key.place, crm.api_key.name, crm.api_key.value.reveal()) == ("header", "X-Api-Key", "s4")
    assert crm.headers == (("X-Source", "pbx1"),)
    assert crm.lookup.cache_s == 60
    assert crm.lookup.stale_if_error_s == 600
    assert crm.lookup.fallback_urls == ("https://crm2.example.com/route",)
    branch, exten = crm.lookup.set
    assert (branch.variable, branch.path, branch.pattern, branch.default) == (
        "VIPEX_BRANCH",
        "route.branch",
        None,
        None,
    )
    assert exten.pattern is not None
    assert (exten.pattern.pattern, exten.default) == (r"\d{2,4}", "200")


def test_the_contracts_notification(contract: Settings) -> None:
    """The key `on` is no boolean here, though YAML 1.1 says so."""
    ring = contract.clients["crm-ring"]
    assert ring.on == {"arrival", "ringing", "answer", "hangup"}
    assert ring.match.dst == ("3642999*",)
    assert ring.match.account == ("a",)
    assert (ring.retry_s, ring.expires_s) == ((1.0, 5.0), 30.0)
    assert ring.body is not None
    assert ring.body.startswith('{"phone": "{{ src }}"')


def test_the_contracts_end_of_call(contract: Settings) -> None:
    billing = contract.clients["billing"]
    assert billing.parameters == ("id", "src", "price", "sub_cdrs", "duration")
    assert billing.sub_parameters == ("id", "src", "duration")
    assert billing.directions == {0, 1}
    assert billing.retry_s == (10.0, 60.0)
    assert (billing.cc_call, billing.parallel_legs) == ("queue", "all")
    assert [secret.reveal() for secret in billing.signing_secrets] == ["s5"]


def test_no_secret_shows_in_the_settings(contract: Settings) -> None:
    for secret in ENVIRON.values():
        assert f"'{secret}'" not in repr(contract)


def test_an_empty_file_is_a_configuration_of_defaults() -> None:
    empty = settings("")
    assert empty.node == socket.gethostname()
    assert (empty.ami, empty.cdr, empty.cel, empty.recordings, empty.http) == (None, None, None, None, None)
    assert (empty.agi.listen_host, empty.agi.listen_port) == ("127.0.0.1", 4573)
    assert empty.agi.socket == Path("/run/vipex-bridge/agi.sock")
    assert empty.store.reveal() == "sqlite:////var/lib/vipex-bridge/state.db"
    assert empty.retention_s == 30 * 86400
    assert empty.numbers.extensions.pattern == r"^\d{2,4}$"
    assert empty.numbers.forward_is_answer
    assert empty.numbers.devices == ()
    assert empty.privacy == Privacy(False, False, None)
    assert empty.clients == {}
    assert empty.files == (Path("/etc/vipex-bridge/config.yaml"),)


@pytest.mark.parametrize(
    ("written", "privacy", "said"),
    [
        ("{mask_digits: true}", Privacy(mask_digits=True), "dropped (privacy"),
        ("{mask_numbers_in_logs: true, drop_payload_after: 7d}", Privacy(False, True, 604_800.0), "after 7d"),
        ("{drop_payload_after: 36h}", Privacy(drop_payload_after_s=129_600.0), "after 36h"),
        ("{drop_payload_after: 90}", Privacy(drop_payload_after_s=90.0), "after 90s"),
        ("", Privacy(), "dropped (privacy"),
    ],
)
def test_privacy(written: str, privacy: Privacy, said: str) -> None:
    found = settings(f"privacy: {written}").privacy
    assert found == privacy
    assert said in found.dropped


def test_sections_whose_lines_are_commented_out() -> None:
    assert settings("asterisk:\nnumbers:\nclients:\nhttp:\n") == settings("")


def test_defaults_of_the_three_kinds() -> None:
    lookup, notify, call_end = (client(f"kind: {kind}") for kind in ("lookup", "notify", "call_end"))
    assert (lookup.method, lookup.timeout_s, lookup.lookup) == ("GET", 2.0, LookupOptions())
    assert (notify.method, notify.timeout_s, notify.retry_s) == ("POST", 5.0, (1.0, 5.0))
    assert (notify.expires_s, notify.concurrency, notify.on) == (60.0, 2, frozenset())
    assert (call_end.method, call_end.timeout_s, call_end.concurrency) == ("POST", 30.0, 4)
    assert sum(call_end.retry_s) / 3600 == pytest.approx(75.6, abs=0.01)
    assert (call_end.cc_call, call_end.parallel_legs) == ("flag", "answerer")
    assert call_end.directions == {0, 1, 2}
    for one in (lookup, notify, call_end):
        assert one.parameters == PARAMETERS[one.kind]
        assert one.content_type == "application/json"
        assert one.tls.verify
    assert call_end.sub_parameters == SUB_PARAMETERS


def test_sub_parameters_given_or_the_same_selection() -> None:
    given = client("kind: call_end\nparameters: [id]\nsub_parameters: [exten, src]")
    assert given.sub_parameters == ("exten", "src")
    followed = client("kind: call_end\nparameters: [price, exten, sub_cdrs, id]")
    assert followed.sub_parameters == ("exten", "id")


def test_one_value_stands_for_a_list_of_one() -> None:
    ring = client("kind: notify\non: ringing\nmatch: {dst: 3612*}\nretry: 2s\nsigning_secret: x")
    assert ring.on == {"ringing"}
    assert (ring.match.dst, ring.retry_s) == (("3612*",), (2.0,))
    assert len(ring.signing_secrets) == 1


def test_numbers_that_are_names_keep_their_digits() -> None:
    """Neither an octal nor a base-60 number: 0620 and 12:30 are what was dialled."""
    crm = client("kind: notify\nmatch: {dst: [0620, 36301234567, 12:30, 1_000], exten: 200}")
    assert crm.match.dst == ("0620", "36301234567", "12:30", "1_000")
    assert crm.match.exten == ("200",)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "n"])
def test_words_that_yaml_1_1_takes_for_booleans_are_text(word: str) -> None:
    assert settings(f"node: {word}").node == word


def test_null_switches_off() -> None:
    agi = settings("asterisk: {agi: {listen: null, socket: ~}}").agi
    assert (agi.listen_host, agi.socket) == (None, None)
    assert settings("asterisk: {agi: null}").agi == agi
    assert client("kind: notify\nexpires: null").expires_s is None


def test_an_empty_retry_list_means_no_second_try() -> None:
    assert client("kind: call_end\nretry: []").retry_s == ()


def test_an_empty_password_is_allowed_in_place() -> None:
    """Some servers take a key as the user name, with no password."""
    auth = client("kind: lookup\nbasic_auth: {username: key, password: ''}").basic_auth
    assert auth is not None
    assert auth.password.reveal() == ""


def test_a_client_can_take_over_what_another_has() -> None:
    text = (
        "clients:\n"
        "  a: &a {kind: notify, url: https://x/a, timeout: 7s}\n"
        "  b: {<<: *a, url: https://x/b}\n"
        "  c: {<<: [*a], on: [answer]}\n"
    )
    clients = settings(text).clients
    assert (clients["b"].url, clients["b"].timeout_s) == ("https://x/b", 7.0)
    assert clients["c"].url == "https://x/a"
    assert clients["c"].on == {"answer"}


@pytest.mark.parametrize(
    ("source", "preset"),
    [
        ("sqlite:////m.db", "sqlite3_custom"),
        ("mysql://a:b@h/asteriskcdrdb", "adaptive_odbc"),
        ("mysql+pymysql://a:b@h/asteriskcdrdb", "adaptive_odbc"),
        ("postgresql://a:b@h/cdr", "pgsql"),
        ("csv:///var/log/asterisk/cdr-csv/Master.csv", "csv"),
    ],
)
def test_the_source_suggests_the_preset(source: str, preset: str) -> None:
    cdr = settings(f"asterisk: {{cdr: {{source: '{source}'}}}}").cdr
    assert cdr is not None
    assert cdr.preset == preset


def test_a_preset_can_be_overridden() -> None:
    text = (
        "asterisk:\n  cdr:\n    source: mysql://h/asteriskcdrdb\n    preset: freepbx\n"
        "    table: old_cdr\n    columns: {pincode: pin, cc_call: null}\n    time_format: epoch\n"
    )
    cdr = settings(text).cdr
    assert cdr is not None
    assert (cdr.table, cdr.time_format) == ("old_cdr", "epoch")
    assert (cdr.columns["start"], cdr.columns["pincode"]) == ("calldate", "pin")
    assert "cc_call" not in cdr.columns
    assert "answer" not in cdr.columns


def test_a_csv_source_has_column_numbers() -> None:
    cdr = settings("asterisk: {cdr: {source: 'csv:///m.csv', columns: {linkedid: 18}}}").cdr
    assert cdr is not None
    assert (cdr.columns["accountcode"], cdr.columns["uniqueid"], cdr.columns["linkedid"]) == ("1", "17", "18")


def test_a_cel_file_has_the_columns_of_the_shipped_mapping() -> None:
    cel = settings("asterisk: {cel: {source: 'csv:///m.csv', columns: {peer: null}}}").cel
    assert cel is not None
    shipped = (Path(__file__).parents[3] / "etc/asterisk/cel_custom.conf").read_text("utf-8")
    fields = shipped.partition("=> ")[2].split(",")
    held = {"channame": "CHANNEL(channame)", "cidnum": "CALLERID(num)", "eventextra": "eventextra"}
    for ours, theirs in held.items():
        assert fields[int(cel.columns[ours]) - 1].strip() == f"${{CSV_QUOTE(${{{theirs}}})}}"
    assert "peer" not in cel.columns


def test_the_presets_know_every_column_of_a_row() -> None:
    assert {*presets.CDR_COLUMNS, "occurrence"} == {field.name for field in fields(CdrRow)}


def test_users_in_place() -> None:
    users = settings("numbers: {users: [{extension: 200, user_id: 6}, {extension: '007', user_id: '007'}]}")
    assert users.numbers.users == {"200": User("200", 6), "007": User("007", "007")}


def test_places_for_faults_that_are_found_later() -> None:
    config = loaded(CONTRACT, ENVIRON)
    lines = CONTRACT.splitlines()
    file, line = config.place("clients.crm-ring.body")
    assert file == "/etc/vipex-bridge/config.yaml"
    assert lines[line - 1].strip().startswith("body:")
    assert (
        lines[config.place("clients.crm-route.response.set.VIPEX_EXTEN.path")[1] - 1]
        .strip()
        .startswith("VIPEX_EXTEN")
    )
    assert lines[config.place("clients.billing.retry[1]")[1] - 1].strip().startswith("retry")
    assert lines[config.place("clients.billing.body")[1] - 1].strip() == "billing:"
    assert config.place("nothing.there[0].at.all") == (file, 1)
    assert config.place("clients.billing.x[y") == config.place("clients.billing")


def test_the_machines_time_zone(tmp_path: Path) -> None:
    assert machine_timezone(tmp_path).key == "UTC"
    (tmp_path / "timezone").write_text("America/New_York\n")
    assert machine_timezone(tmp_path).key == "America/New_York"
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Budapest")
    assert machine_timezone(tmp_path).key == "Europe/Budapest"


def test_money_is_exact(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("prefix,per_minute\n36,0.1\n")
    (line,) = load_text("numbers: {tariff: t.csv}", tmp_path / "c.yaml", {}).settings.numbers.tariff
    assert line.per_minute == Decimal("0.1")


def test_urls_and_headers_that_came_by_a_tag_are_secrets_and_so_are_headers_named_like_one() -> None:
    text = (
        "clients:\n  a:\n    kind: lookup\n    url: !env URL\n    fallback_urls: [!env URL, https://b/]\n"
        "    headers: {X-A: !env VALUE, X-B: plain, Authorization: Bearer s3cret, X-Auth-Token: s3cret}\n"
    )
    made = loaded(text, {"URL": "https://crm.example/hook/s3cret", "VALUE": "s3cret"}).settings.clients["a"]
    assert "s3cret" not in repr(made)
    assert isinstance(made.url, Secret) and made.url.reveal() == "https://crm.example/hook/s3cret"
    assert [isinstance(url, Secret) for url in made.lookup.fallback_urls] == [True, False]
    assert [isinstance(value, Secret) for _, value in made.headers] == [True, False, True, True]


def test_a_url_by_a_tag_is_refused_without_being_shown() -> None:
    text = "clients:\n  a:\n    kind: notify\n    url: !env URL\n"
    for url in ("https://u:s3cret@h/", "https://h/s3cret#x", "ftp://s3cret", "http://169.254.169.254/s3cret"):
        with pytest.raises(ConfigurationError) as caught:
            loaded(text, {"URL": url})
        assert "s3cret" not in str(caught.value)
