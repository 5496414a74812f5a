"""The operator's commands, as an operator runs them, beside a running bridge."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agi_call import agi
from bridge_process import BridgeProcess
from free_ports import free_port

from vipex_bridge.cli.main import main
from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS
from vipex_bridge.receive.faults import parse_faults
from vipex_bridge.receive.server import Receiver, parse_answer

EXAMPLE = Path(__file__).parents[2] / "etc/vipex-bridge/config.yaml"

CONFIGURATION = """
timezone: Europe/Budapest
asterisk:
  agi: {{listen: '127.0.0.1:{agi}', socket: null}}
store: sqlite:///{folder}/state.db
clients:
  route:
    kind: lookup
    url: {url}/route
    basic_auth: {{username: vipex, password: planted-password}}
    response: {{set: {{VIPEX_BRANCH: route.branch}}}}
  crm:
    kind: notify
    url: {url}/calls
    retry: []
    api_key: {{in: query, name: key, value: planted-key}}
  billing:
    kind: call_end
    url: {url}/cdr
"""


class Beside:
    """A bridge that is running, and the receiver it tells."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        self.agi_port = free_port()
        text = CONFIGURATION.format(agi=self.agi_port, folder=folder, url=receiver.url)
        self.bridge = BridgeProcess(folder, text)

    def run(self, *arguments: str) -> str:
        """What a command prints; it must end well."""
        done = self.bridge.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    path, answer = parse_answer('/route={"route": {"branch": "vip"}}')
    faults = parse_faults("500,ok,ok,ok,ok,ok,ok,ok")
    with Receiver(answers={path: answer}, faults=faults) as receiver:
        beside = Beside(tmp_path, receiver)
        with beside.bridge:
            yield beside


def test_a_failed_delivery_is_shown_and_sent_again_as_it_was(beside: Beside) -> None:
    assert agi(beside.agi_port, "notify", "crm", "point=menu") == {"VIPEX_STATUS": "OK"}
    beside.bridge.wait_for("delivery.parked")
    shown = beside.run("deliveries", "--status", "failed", "--client", "crm")
    assert "failed" in shown
    assert "500 in" in shown
    delivery = shown.split()[0]
    assert beside.run("resend", delivery) == "1 queued again\n"
    beside.bridge.wait_for("delivery.sent")
    first, second = beside.receiver.requests_received()
    assert first.body == second.body
    assert first.query == second.query == (("key", "planted-key"),)
    assert first.header("Idempotency-Key") == second.header("Idempotency-Key")
    assert "delivered" in beside.run("deliveries")


def test_all_that_failed_since_a_time_is_sent_again(beside: Beside) -> None:
    agi(beside.agi_port, "notify", "crm")
    beside.bridge.wait_for("delivery.parked")
    assert beside.run("resend", "--failed", "--since", "1h") == "1 queued again\n"
    beside.bridge.wait_for("delivery.sent")


def test_calls_lists_them_and_shows_one_with_what_was_sent(beside: Beside) -> None:
    agi(beside.agi_port, "notify", "crm")
    beside.bridge.wait_for("delivery.parked")
    listed = beside.run("calls")
    assert "live" in listed
    shown = beside.run("calls", listed.split()[0])
    assert "dialplan queued for crm" in shown
    assert "dialplan sent to crm: 500" in shown


def test_render_shows_the_exact_request_without_secrets(beside: Beside) -> None:
    shown = beside.run("render", "crm", "--event", "ringing")
    assert shown.startswith(f"POST {beside.receiver.url}/calls?key=********")
    assert '"exten": "252"' in shown
    assert "planted" not in shown


def test_render_takes_a_call_from_a_file(beside: Beside, tmp_path: Path) -> None:
    call = {"id": 7, "start_time": "2026-11-23 08:00:00", "src": "3611111", "dst": "3622222", "exten": "200"}
    (tmp_path / "call.json").write_text(json.dumps(call))
    shown = beside.run("render", "crm", "--call", str(tmp_path / "call.json"))
    assert '"src": "3611111"' in shown


def test_of_a_call_from_a_file_what_is_not_known_is_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, call = tmp_path / "config.yaml", tmp_path / "call.json"
    config.write_text(CONFIGURATION.format(folder=tmp_path, agi=1, url="http://127.0.0.1:9"))
    call.write_text('{"id": 5, "sub_cdrs": [{"exten": "251"}]}')

    def body(client: str, event: str = "ringing") -> dict[str, Any]:
        assert main(["render", client, "--event", event, "--call", str(call), "--config", str(config)]) == 0
        shown = capsys.readouterr().out
        return dict(json.loads(shown[shown.index("{") :]))

    told = body("billing")
    assert tuple(told) == PARAMETERS["call_end"]
    [part] = told.pop("sub_cdrs")
    assert tuple(part) == SUB_PARAMETERS
    assert (part.pop("exten"), set(part.values())) == ("251", {None})
    assert (told.pop("id"), set(told.values())) == (5, {None})
    assert tuple(body("crm")) == PARAMETERS["notify"]
    assert "exten" not in body("crm", "hangup")
    call.write_text("{}")
    assert body("billing")["sub_cdrs"] == []


def test_try_sends_no_path_as_if_it_were_the_recording(
    tmp_path: Path,
) -> None:
    config, call = tmp_path / "config.yaml", tmp_path / "call.txt"
    # As `calls ID` prints it.
    shown = {"monitor_file": "</var/spool/asterisk/monitor/1.wav>", "monitor_file_name": "1.wav"}
    call.write_text(json.dumps({"id": 5, **shown, "sub_cdrs": [shown, {"monitor_file": "UklGRg=="}]}))
    with Receiver() as receiver:
        config.write_text(CONFIGURATION.format(folder=tmp_path, agi=1, url=receiver.url))
        assert main(["try", "billing", "--call", str(call), "--config", str(config)]) == 0
    told = json.loads(receiver.requests_received()[-1].body)
    assert (told["monitor_file"], told["monitor_file_name"]) == (None, "1.wav")
    assert [part["monitor_file"] for part in told["sub_cdrs"]] == [None, "UklGRg=="]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"id": 5, "foo": 5}', "foo is no field of a call"),
        ('{"sub_cdrs": [{}, {"priec": 1}]}', "sub_cdrs[1].priec is no field of a call"),
        ('{"scr": "1"}', 'scr is no field of a call, did you mean "src"?'),
        ('{"sub_cdrs": 5}', "sub_cdrs must be a list of JSON objects"),
        ('{"id": 5} {"id": 6}', "must hold one JSON object and nothing behind it, but a time line"),
        ("[]", "must hold one JSON object"),
        ("", "is no JSON"),
    ],
)
def test_a_file_that_holds_no_call_is_told(
    tmp_path: Path, text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = tmp_path / "call.json"
    call.write_text(text)
    assert main(["render", "billing", "--config", str(EXAMPLE), "--call", str(call)]) == 1
    assert capsys.readouterr().err.startswith(f"vipex-bridge: {call}: {why}")


def test_try_sends_a_lookup_and_prints_the_variables(beside: Beside) -> None:
    beside.bridge.command("try", "billing")
    shown = beside.run("try", "route")
    assert "VIPEX_STATUS=OK\nVIPEX_HTTP_CODE=200\nVIPEX_BRANCH=vip\n" in shown
    assert "planted-password" not in shown
    assert beside.receiver.requests_received()[-1].path == "/route"


def test_try_fails_when_the_server_does(beside: Beside) -> None:
    done = beside.bridge.command("try", "billing")
    assert done.returncode == 1
    assert "HTTP 500" in done.stdout


def test_lookup_over_agi_and_its_cache_and_unknown_client(beside: Beside) -> None:
    agi(beside.agi_port, "notify", "crm")
    beside.bridge.wait_for("delivery.parked")
    found = agi(beside.agi_port, "lookup", "route")
    assert found == {"VIPEX_BRANCH": "vip", "VIPEX_HTTP_CODE": "200", "VIPEX_STATUS": "OK"}
    assert agi(beside.agi_port, "lookup", "nobody") == {"VIPEX_HTTP_CODE": "", "VIPEX_STATUS": "NOCLIENT"}
    asked = dict(beside.receiver.requests_received()[-1].query)
    assert (asked["src"], asked["dst"]) == ("3642999425", "3642999408")


def test_reload_takes_a_good_configuration_and_refuses_a_bad_one(beside: Beside) -> None:
    good = beside.bridge.config.read_text()
    beside.bridge.config.write_text(good.replace("  billing:", "  billing:\n    no_such_key: 1"))
    beside.bridge.signal(signal.SIGHUP)
    refused = beside.bridge.wait_for("configuration.refused")
    assert "clients.billing.no_such_key: unknown key" in refused["fault"]
    assert agi(beside.agi_port, "lookup", "route")["VIPEX_STATUS"] in ("OK", "HTTPERROR")
    beside.bridge.config.write_text(good.replace("  crm:", "  crm2:"))
    beside.bridge.signal(signal.SIGHUP)
    beside.bridge.wait_for("configuration.reloaded")
    assert agi(beside.agi_port, "notify", "crm")["VIPEX_STATUS"] == "NOCLIENT"
    assert agi(beside.agi_port, "notify", "crm2")["VIPEX_STATUS"] == "OK"


def test_a_reload_names_what_only_a_restart_takes(beside: Beside) -> None:
    good = beside.bridge.config.read_text()
    beside.bridge.config.write_text(
        f"node: another\n{good}".replace(
            "agi: {", "ami: {username: vipex, secret: x}\n  agi: {allow: '::1', "
        )
    )
    beside.bridge.signal(signal.SIGHUP)
    told = beside.bridge.wait_for("configuration.needs_restart")
    assert (told["keys"], told["level"]) == (["node", "asterisk.ami"], "warning")
    beside.bridge.wait_for("configuration.reloaded")
    mark = beside.bridge.mark()
    beside.bridge.config.write_text(good.replace("timezone: Europe/Budapest", "timezone: UTC"))
    beside.bridge.signal(signal.SIGHUP)
    beside.bridge.wait_for("configuration.reloaded", after=mark)
    assert not [line for line in beside.bridge.lines[mark:] if line["event"] == "configuration.needs_restart"]


def test_a_second_bridge_on_the_same_store_is_refused_in_one_line(beside: Beside) -> None:
    done = beside.bridge.command("run")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "state.db" in done.stderr.splitlines()[-1]


def test_no_secret_is_in_the_store_or_the_log(beside: Beside) -> None:
    agi(beside.agi_port, "notify", "crm")
    beside.bridge.wait_for("delivery.parked")
    agi(beside.agi_port, "lookup", "route")
    beside.bridge.stop()
    written = beside.bridge.log().encode()
    for file in beside.bridge.folder.glob("state.db*"):
        written += file.read_bytes()
    assert b"planted" not in written


def test_check_accepts_the_shipped_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(EXAMPLE)]) == 0
    assert "well" in capsys.readouterr().out


def test_check_names_file_line_and_key_of_every_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "clients:\n  a:\n    kind: notify\n    url: http://x/\n    bodi: y\n    body: '{{ nonsense }}'\n"
        "  b:\n    kind: notify\n    url: ftp://x/\n"
    )
    assert main(["check", "--config", str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"{file}:5: clients.a.bodi: unknown key")
    assert lines[1].startswith(f"{file}:9: clients.b.url: ")
    file.write_text("clients:\n  a:\n    kind: notify\n    url: http://x/\n    body: '{{ nonsense }}'\n")
    assert main(["check", "--config", str(file)]) == 2
    assert f"{file}:5: clients.a.body: " in capsys.readouterr().err


OUTSIDE_QUOTES = "text is inserted outside quotes: write `| tojson` after it"
NUMBERS_BARE = pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("notify", '{"b": {{ src }}}'),
        ("notify", '{"b": {{ dst }}, "event": "{{ event }}"}'),
        ("call_end", '{"b": {{ other_party_number }}}'),
        ("call_end", '[{% for part in sub_cdrs %}{{ part.src }}{{ "," if not loop.last }}{% endfor %}]'),
    ],
)


@NUMBERS_BARE
@pytest.mark.parametrize("numbers", ["e164", "national"])
def test_check_finds_a_number_outside_quotes_that_a_real_call_could_not_be_told_by(
    kind: str, body: str, numbers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _configured(tmp_path, {"kind": kind, "numbers": numbers, "body": body})
    assert main(["check", "--config", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"{file}:1: clients.crm.body: {OUTSIDE_QUOTES}")


@NUMBERS_BARE
def test_check_warns_of_a_number_outside_quotes_that_fails_only_where_it_comes_with_a_plus(
    kind: str, body: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _configured(tmp_path, {"kind": kind, "body": body})
    assert main(["check", "--config", str(file)]) == 0
    _, warning = capsys.readouterr().out.splitlines()
    told = f"warning: {file}:1: clients.crm.body: for a number with a `+`: {OUTSIDE_QUOTES}"
    assert warning.startswith(told)
    # What `run` and the others take.
    assert main(["render", "crm", "--config", str(file)]) == 0


@pytest.mark.parametrize("numbers", ["dialled", "e164"])
def test_check_takes_an_extension_outside_quotes_where_only_outgoing_calls_are_told(
    numbers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = {"kind": "call_end", "directions": [0], "numbers": numbers, "body": '{"agent": {{ src }}}'}
    file = _configured(tmp_path, client)
    assert main(["check", "--config", str(file)]) == 0
    assert "warning" not in capsys.readouterr().out


def _configured(folder: Path, client: dict[str, Any]) -> Path:
    file = folder / "config.yaml"
    client = {"url": "http://127.0.0.1:9/"} | client
    file.write_text(json.dumps({"numbers": {"country": "HU"}, "clients": {"crm": client}}))
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("arguments", [["nonsense"], ["resend"], ["deliveries", "--status", "odd"]])
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(arguments))
    assert ended.value.code == 2


def test_an_unknown_client_is_one_readable_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "nobody", "--config", str(EXAMPLE)]) == 2
    assert "no client named 'nobody'" in capsys.readouterr().err
    assert main(["check", "--config", str(tmp_path / "none.yaml")]) == 2
