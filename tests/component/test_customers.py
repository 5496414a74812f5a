"""Many customers on one PBX: a file for each, a fault in one is its own, a token shows its own calls."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_bench import SOUND, TOKEN, Server
from bridge_process import BridgeProcess
from cdr_file import make_table, write_ended_call
from delivering import wait_until
from faulty_server import FaultyServer, running

from vipex_bridge.config.load import load
from vipex_bridge.errors import ConfigurationError

CONFIGURATION = """
node: pbx1
timezone: UTC
include: clients.d/*.yaml
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', preset: sqlite3_custom, poll: 100ms}}
  recordings: {{root: {folder}/monitor, wait: 1s}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
http: {{listen: '127.0.0.1:0', tokens: [{token}]}}
clients:
  everything: {{kind: call_end, url: '{url}/everything', retry: [1h]}}
"""
CUSTOMER = """
tokens: [token-of-{name}, another-token-of-{name}]
clients:
  {name}-billing:
    kind: call_end
    url: '{url}/{name}'
    retry: [1h]
    match: {{did: ['{did}']}}
"""
CUSTOMERS = {"acme": "3642999401", "bolt": "3642999402", "csepel": "3642999403"}


def write_customer(folder: Path, name: str, url: str) -> Path:
    file = folder / "clients.d" / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(CUSTOMER.format(name=name, url=url, did=CUSTOMERS[name]), "utf-8")
    return file


def bridge_in(folder: Path, receiver: FaultyServer) -> BridgeProcess:
    (folder / "monitor").mkdir()
    make_table(folder / "master.db")
    for name in CUSTOMERS:
        write_customer(folder, name, receiver.url)
    return BridgeProcess(folder, CONFIGURATION.format(folder=folder, token=TOKEN, url=receiver.url))


def told(receiver: FaultyServer) -> list[str]:
    return sorted(request.target.removeprefix("/api") for request in receiver.received)


def main_and_faults(folder: Path, files: dict[str, str]) -> tuple[Path, list[str]]:
    """A configuration that includes these files, and what `check` says of them."""
    (folder / "config.yaml").write_text("include: '*.d.yaml'\nhttp: {tokens: [every]}\n", "utf-8")
    for name, text in files.items():
        (folder / f"{name}.d.yaml").write_text(text, "utf-8")
    try:
        load(folder / "config.yaml", {})
    except ConfigurationError as error:
        return folder / "config.yaml", [str(fault).replace(f"{folder}/", "") for fault in error.faults]
    return folder / "config.yaml", []


WELL = "clients: {{{name}: {{kind: notify, url: 'https://{name}.example/'}}}}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("clients: [\n", "b.d.yaml:2: (syntax): while parsing a flow node, expected the node content, but "
         "found '<stream end>'"),
        ("clients: {b: {kind: notify}}\n", "b.d.yaml:1: clients.b.url: is missing"),
        ("clients: {a: {kind: notify, url: 'https://b.example/'}}\n",
         "b.d.yaml:1: clients.a: this client is there already, at a.d.yaml:2"),
        ("clients: {b: {kind: notify, url: !env NOT_THERE}}\n",
         "b.d.yaml:1: clients.b.url: !env: the environment variable NOT_THERE is not set"),
        ("tokens: [every]\n" + WELL.format(name="b"),
         "b.d.yaml:1: tokens: holds a token of http.tokens, which shows every call: give this customer "
         "another"),
        ("tokens: [of-a]\n" + WELL.format(name="b"),
         "b.d.yaml:1: tokens[0]: is the token of another customer already: give each one of its own"),
        ("tokens: ['']\n" + WELL.format(name="b"), "b.d.yaml:1: tokens[0]: is empty"),
        ("tokens: {x: y}\n" + WELL.format(name="b"), "b.d.yaml:1: tokens: must be text, not a mapping"),
    ],
)  # fmt: skip
def test_a_file_at_fault_is_left_out_alone_and_check_names_the_fault(
    tmp_path: Path, text: str, fault: str
) -> None:
    files = {"a": "tokens: [of-a]\n" + WELL.format(name="a"), "b": text, "c": WELL.format(name="c")}
    main, faults = main_and_faults(tmp_path, files)
    assert faults == [fault]
    settings = load(main, {}, each_customer=True).settings
    assert list(settings.clients) == ["a", "c"]
    assert [customer.name for customer in settings.customers] == ["a.d", "c.d"]
    [disabled] = settings.disabled
    assert (disabled.file.name, len(disabled.faults)) == ("b.d.yaml", 1)


def test_a_fault_in_the_main_file_is_one_of_everybody(tmp_path: Path) -> None:
    main, _ = main_and_faults(tmp_path, {"a": WELL.format(name="a"), "b": "clients: [\n"})
    main.write_text("include: '*.d.yaml'\nnodes: x\n", "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(main, {}, each_customer=True)
    assert [fault.path for fault in caught.value.faults] == ["nodes", "(syntax)"]


def test_a_template_at_fault_disables_its_customer_alone(tmp_path: Path, faulty_server: FaultyServer) -> None:
    with bridge_in(tmp_path, faulty_server) as bridge:
        bridge.wait_for("reconcile.done")
        file = tmp_path / "clients.d" / "bolt.yaml"
        assert bridge.command("check").returncode == 0
        file.write_text(file.read_text("utf-8") + "    body: '{{ src '\n", "utf-8")
        checked = bridge.command("check")
        assert checked.returncode == 2
        assert checked.stderr.startswith(f"{file}:9: clients.bolt-billing.body: ")
        shown = bridge.command("render", "acme-billing")
        assert (shown.returncode, "POST" in shown.stdout) == (0, True), shown.stderr
        refused = bridge.command("render", "bolt-billing")
        assert refused.returncode == 2
        assert f"{file} is left out: it is at fault" in refused.stderr


def test_a_customer_at_fault_misses_its_own_calls_alone_and_is_told_again_once_mended(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    bridge = bridge_in(tmp_path, faulty_server)
    file = tmp_path / "clients.d" / "bolt.yaml"
    file.write_text("clients: {bolt-billing: {kind: call_end}}\n", "utf-8")
    with bridge:
        log = bridge.wait_for("configuration.customer_disabled", file=str(file))
        assert log["fault"] == f"{file}:1: clients.bolt-billing.url: is missing"
        bridge.wait_for("reconcile.done")
        master = tmp_path / "master.db"
        write_ended_call(master, 1, dst=CUSTOMERS["acme"])
        write_ended_call(master, 2, dst=CUSTOMERS["bolt"])
        wait_until(lambda: len(told(faulty_server)) == 3, within_s=60)
        assert told(faulty_server) == ["/acme", "/everything", "/everything"]
        server = Server(bridge.wait_for("http.listening")["port"], faulty_server)
        assert b"vipex_customers_at_fault 1.0" in server.ask("/metrics").body
        understood = {key["value"] for key in server.ask("/api/v1/clients").json["bridge"]}
        assert f"at fault: {log['fault']}" in understood

        write_customer(tmp_path, "bolt", faulty_server.url)
        mark = bridge.mark()
        bridge.signal(signal.SIGHUP)
        bridge.wait_for("configuration.reloaded", after=mark)
        write_ended_call(master, 3, dst=CUSTOMERS["bolt"])
        wait_until(lambda: "/bolt" in told(faulty_server), within_s=60)
        assert b"vipex_customers_at_fault 0.0" in server.ask("/metrics").body


def test_a_customer_whose_file_is_broken_while_the_bridge_runs_goes_on_as_it_was(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    with bridge_in(tmp_path, faulty_server) as bridge:
        bridge.wait_for("reconcile.done")
        file = tmp_path / "clients.d" / "bolt.yaml"
        file.write_text("clients: [\n", "utf-8")
        (tmp_path / "clients.d" / "acme.yaml").unlink()
        mark = bridge.mark()
        bridge.signal(signal.SIGHUP)
        bridge.wait_for("configuration.customer_kept_as_before", after=mark, file=str(file))
        bridge.wait_for("configuration.reloaded", after=mark)
        write_ended_call(tmp_path / "master.db", 1, dst=CUSTOMERS["acme"])
        write_ended_call(tmp_path / "master.db", 2, dst=CUSTOMERS["bolt"])
        wait_until(lambda: len(told(faulty_server)) == 3, within_s=60)
        assert told(faulty_server) == ["/bolt", "/everything", "/everything"]


UNUSUAL = {
    "a JMESPath of a huge index": "kind: lookup, response: {format: json, set: {VIPEX_A: 'a[%s]'}}"
    % ("1" * 5000),
    "a slice by 0": "kind: lookup, response: {format: json, set: {VIPEX_A: '`[1]`[::0]'}}",
    "a JMESPath nested deeply": "kind: lookup, response: {format: json, set: {VIPEX_A: '%s'}}" % ("(" * 3000),
    "a template of a huge number": "kind: notify, body: '{{ %s }}'" % ("1" * 5000),
    "a template of many loops": "kind: notify, body: '%s'"
    % ("{% for i in [1] %}" * 25 + "x" + "{% endfor %}" * 25),
}
"""Expressions that the libraries' own compilers do not survive."""


def left_out(bridge: BridgeProcess, since: int) -> int:
    """How many customers' files the log has named since then."""
    lines = bridge.lines[since:]
    return len({str(line["file"]) for line in lines if line["event"] == "configuration.customer_disabled"})


def test_expressions_that_break_their_compilers_are_faults_of_their_files(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    with bridge_in(tmp_path, faulty_server) as bridge:
        bridge.wait_for("reconcile.done")
        mark = bridge.mark()
        for number, client in enumerate(UNUSUAL.values()):
            text = f"clients: {{unusual-{number}: {{url: 'http://127.0.0.1:9/', {client}}}}}\n"
            (tmp_path / "clients.d" / f"unusual-{number}.yaml").write_text(text, "utf-8")
        bridge.signal(signal.SIGHUP)
        bridge.wait_for("configuration.reloaded", after=mark)
        assert left_out(bridge, mark) == len(UNUSUAL), bridge.log()
        bridge.stop()
        mark = bridge.mark()
        bridge.start()
        assert left_out(bridge, mark) == len(UNUSUAL), bridge.log()
        write_ended_call(tmp_path / "master.db", 1, dst=CUSTOMERS["acme"])
        wait_until(lambda: told(faulty_server) == ["/acme", "/everything"], within_s=60)


READS_ONCE = """
import asyncio, pathlib, sys
from vipex_bridge.cli import logs
from vipex_bridge.cli.configuration import load_working
from vipex_bridge.daemon import Daemon
from vipex_bridge.metrics import Metrics

metrics = Metrics()
logs.configure(metrics.logged)

def read():
    if pathlib.Path("FOLDER/broken").exists():
        raise RuntimeError("nobody thought of this")
    return load_working("FOLDER/config.yaml")

async def main():
    await Daemon(read(), read, metrics).run()

asyncio.run(main())
"""


def test_a_fault_that_nobody_thought_of_refuses_the_configuration_and_is_told(
    tmp_path: Path, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = bridge_in(tmp_path, faulty_server)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        bridge.launch("-c", READS_ONCE.replace("FOLDER", str(tmp_path)))
        try:
            bridge.wait_for("bridge.started")
            (tmp_path / "broken").touch()
            bridge.signal(signal.SIGHUP)
            said = bridge.wait_for("configuration.refused")
            assert said["fault"] == "RuntimeError: nobody thought of this"
            told_systemd = [systemd.recv(4096).split(b"\n")[0] for _ in range(3)]
            assert told_systemd == [b"READY=1", b"RELOADING=1", b"READY=1"]
            (tmp_path / "broken").unlink()
            bridge.signal(signal.SIGHUP)
            bridge.wait_for("configuration.reloaded")
        finally:
            bridge.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A bridge that told acme and bolt of a call each, with its recording; nothing arrived."""
    folder = tmp_path_factory.mktemp("customers")
    with running() as receiver:
        receiver.answer = receiver.replies(500)
        with bridge_in(folder, receiver) as bridge:
            bridge.wait_for("reconcile.done")
            for number, name in enumerate(("acme", "bolt"), start=1):
                (folder / "monitor" / f"{name}.wav").write_bytes(SOUND)
                write_ended_call(
                    folder / "master.db", number, dst=CUSTOMERS[name], recordingfile=f"{name}.wav"
                )
            made = Server(bridge.wait_for("http.listening")["port"], receiver)
            wait_until(lambda: len(made.ask("/api/v1/deliveries").json["deliveries"]) == 4, within_s=60)
            wait_until(lambda: len(receiver.received) == 4, within_s=60)
            yield made


def ids(server: Server, token: str = TOKEN) -> dict[str, int]:
    """The calls that a token shows, by the number that was called."""
    return {call["dst"]: call["id"] for call in server.ask("/api/v1/calls", token=token).json["calls"]}


ACME, BOLT = "token-of-acme", "another-token-of-bolt"


def test_a_customers_token_shows_its_own_calls(server: Server) -> None:
    every = ids(server)
    assert set(every) == {CUSTOMERS["acme"], CUSTOMERS["bolt"]}
    for token, name in ((ACME, "acme"), (BOLT, "bolt")):
        assert set(ids(server, token)) == {CUSTOMERS[name]}
    assert ids(server, "token-of-csepel") == {}
    for path in ("?client=everything", f"?number={CUSTOMERS['bolt']}", "?outcome=queued&client=bolt-billing"):
        shown = server.ask(f"/api/v1/calls{path}", token=ACME).json["calls"]
        assert {call["dst"] for call in shown} <= {CUSTOMERS["acme"]}, path
    own, other = every[CUSTOMERS["acme"]], every[CUSTOMERS["bolt"]]
    assert server.ask(f"/api/v1/calls/{own}", token=ACME).json["dst"] == CUSTOMERS["acme"]
    refused = server.ask(f"/api/v1/calls/{other}", token=ACME)
    assert (refused.status, refused.json) == (404, {"detail": f"there is no call {other}"})


def test_and_its_own_deliveries(server: Server) -> None:
    every = server.ask("/api/v1/deliveries").json["deliveries"]
    shown = server.ask("/api/v1/deliveries", token=ACME).json["deliveries"]
    assert [one["client"] for one in shown] == ["acme-billing"]
    assert server.ask("/api/v1/deliveries?client=everything", token=ACME).json["deliveries"] == []
    for one in every:
        status = 200 if one["client"] == "acme-billing" else 404
        assert server.ask(f"/api/v1/deliveries/{one['id']}", token=ACME).status == status
        again = server.ask(f"/api/v1/deliveries/{one['id']}/resend", "POST", token=ACME)
        assert again.status == (409 if status == 200 else 404)


def test_and_its_own_clients(server: Server) -> None:
    shown = server.ask("/api/v1/clients", token=ACME).json
    assert ([client["name"] for client in shown["clients"]], shown["bridge"]) == (["acme-billing"], [])
    for name, status in (("acme-billing", 200), ("bolt-billing", 404), ("everything", 404)):
        assert server.ask(f"/api/v1/clients/{name}", token=ACME).status == status
        for action in ("pause", "resume", "test"):
            asked = server.ask(f"/api/v1/clients/{name}/{action}", "POST", token=ACME)
            assert asked.status == status, (name, action)
    assert server.ask("/api/v1/clients/bolt-billing").json["deliveries"]["paused_since"] is None


def test_and_its_own_recordings(server: Server) -> None:
    calls = ids(server)
    for name, status in (("acme", 200), ("bolt", 404)):
        call = server.ask(f"/api/v1/calls/{calls[CUSTOMERS[name]]}").json
        path = f"/api/v1/recordings/{call['main_reference_id']}"
        sound = server.ask(path, token=ACME)
        assert (sound.status, sound.body == SOUND) == (status, status == 200)
        linked = server.ask(f"{path}/link", "POST", token=ACME, body={"valid_s": 60})
        assert linked.status == status
        if status == 200:
            assert server.ask(linked.json["url"], token=None).body == SOUND


def test_a_failed_delivery_is_sent_again_for_its_own_customer_alone(server: Server) -> None:
    asked = server.ask("/api/v1/deliveries/resend", "POST", token="token-of-csepel", body={"failed_since": 0})
    assert asked.json == {"queued": 0}


def test_it_opens_nothing_else(server: Server) -> None:
    for path in ("/metrics", "/", "/calls", "/deliveries", "/clients"):
        refused = server.ask(path, token=ACME)
        assert (refused.status, ACME in refused.body.decode()) == (403, False), path
    form = f"token={ACME}"
    headers = {"Content_Type": "application/x-www-form-urlencoded"}
    assert server.ask("/login", "POST", token=None, body=form, **headers).status == 401
