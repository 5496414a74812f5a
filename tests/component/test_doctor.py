"""`doctor` against real servers and files, sound ones and broken ones."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from asterisk_tree import PLAIN, write_tree
from bridge_process import BridgeProcess
from cdr_file import COLUMNS, make_table, write_row
from fake_ami import FakeAmi
from faulty_server import FaultyServer, running
from free_ports import free_port
from stored import open_in

from vipex_bridge.cli.main import main

UP = "Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n"


def granted(action_id: str) -> bytes:
    return (
        f"Response: Success\r\nActionID: {action_id}\r\nMessage: Authentication accepted\r\n\r\n{UP}".encode()
    )


@contextmanager
def ami(prepare: Callable[[FakeAmi], None] = lambda server: None) -> Iterator[FakeAmi]:
    """The fake AMI in a loop of its own, as to a user who may read `system`."""
    loop = asyncio.new_event_loop()
    server = FakeAmi()
    server.script["Login"] = granted
    prepare(server)
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Doctor:
    """A configuration that is made bit by bit, and what `doctor` says to it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.sections = {"agi": "null"}
        self.rest = f"store: 'sqlite:///{folder}/state.db'\n"
        self._capsys = capsys

    def says(self, *arguments: str) -> tuple[int, list[str]]:
        """The exit code, and the lines but the last."""
        lines = [f"  {name}: {value}" for name, value in self.sections.items()]
        config = self.folder / "config.yaml"
        config.write_text("\n".join(["timezone: UTC", "asterisk:", *lines, self.rest]))
        config.chmod(0o600)
        code = main(["doctor", "--config", str(config), *arguments])
        return code, self._capsys.readouterr().out.splitlines()[:-1]

    def line(self, part: str, *arguments: str) -> str:
        """The one line about a part."""
        [line] = [line for line in self.says(*arguments)[1] if line.split()[1] == f"{part}:"]
        return line


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(tmp_path, capsys)


def ami_section(port: int, secret: str = "labsecret") -> str:
    return f"{{host: 127.0.0.1, port: {port}, username: vipex, secret: {secret}}}"


def client(url: str, more: str = "") -> str:
    return f"clients:\n  crm:\n    kind: call_end\n    url: {url}\n    {more}\n"


def test_all_well_is_exit_code_0(doctor: Doctor, faulty_server: FaultyServer, tmp_path: Path) -> None:
    make_table(tmp_path / "master.db")
    with closing(sqlite3.connect(tmp_path / "master.db")) as database:
        columns = "eventtype, eventtime, channame, uniqueid, linkedid, eventextra"
        database.execute(f"CREATE TABLE cel ({columns})")
    (tmp_path / "monitor").mkdir()
    with ami() as server:
        doctor.sections = {
            "ami": ami_section(server.port),
            "agi": f"{{listen: '127.0.0.1:{free_port()}', socket: {tmp_path}/agi.sock}}",
            "cdr": f"{{source: 'sqlite:///{tmp_path}/master.db'}}",
            "cel": f"{{source: 'sqlite:///{tmp_path}/master.db'}}",
            "recordings": f"{{root: {tmp_path}/monitor}}",
        }
        doctor.rest += f"http: {{listen: '127.0.0.1:{free_port()}', tokens: [secret]}}\n"
        doctor.rest += client(faulty_server.url)
        code, lines = doctor.says()
        assert server.count("Ping") == 1
        assert server.open_connections == 0
    assert code == 0, lines
    assert not [line for line in lines if line.startswith("FAULT")]
    parts = [line.split()[1].rstrip(":") for line in lines if line.startswith("well")]
    assert parts == [
        "secrets",
        "ami",
        "cdr",
        "cel",
        "recordings",
        "store",
        "agi",
        "agi",
        "http",
        "clients.crm",
    ]
    assert faulty_server.received == []
    assert not (tmp_path / "state.db").exists()
    assert not (tmp_path / "agi.sock").exists()


# -- AMI --------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="it is root who is told")
def test_root_is_told_the_same_command_for_the_bridges_user(doctor: Doctor, tmp_path: Path) -> None:
    told = doctor.line("user", "--root", "/nowhere else")
    command = f"vipex-bridge doctor --config {tmp_path}/config.yaml --root '/nowhere else'"
    assert told.endswith(f"as the bridge's user: runuser -u vipex-bridge -g asterisk -- {command}")


def test_a_refused_log_in_is_told_with_what_to_do(doctor: Doctor) -> None:
    with ami(lambda server: server.script.clear()) as server:
        doctor.sections["ami"] = ami_section(server.port, "wrong-one")
        line = doctor.line("ami")
    assert line.startswith(
        f"FAULT ami: log-in to 127.0.0.1:{server.port} refused: Authentication failed; check"
    )
    assert "wrong-one" not in line


def test_nobody_there_is_told(doctor: Doctor, refusing_port: int) -> None:
    doctor.sections["ami"] = ami_section(refusing_port)
    assert doctor.line("ami").startswith(f"FAULT ami: 127.0.0.1:{refusing_port}: ")
    assert doctor.says()[0] == 1


@pytest.mark.parametrize("action", ["CoreStatus", "CoreShowChannels", "BridgeList"])
def test_a_permission_that_is_missing_is_named(doctor: Doctor, action: str) -> None:
    with ami(lambda server: server.refused.add(action)) as server:
        doctor.sections["ami"] = ami_section(server.port)
        code, lines = doctor.says()
    assert code == 1
    [fault] = [line for line in lines if line.startswith("FAULT")]
    assert fault.startswith(f"FAULT ami: {action}: Permission denied; add `reporting` to this user's `write`")


def test_a_user_who_may_not_read_system_is_told(doctor: Doctor) -> None:
    with ami(lambda server: server.script.clear()) as server:
        doctor.sections["ami"] = ami_section(server.port)
        code, lines = doctor.says()
    assert code == 1
    assert any("add `system` to this user's `read`" in line for line in lines)


def test_what_only_manager_conf_says_is_read_there(doctor: Doctor, tmp_path: Path) -> None:
    user = "[vipex]\nsecret = labsecret\nread = system,call\nwrite = reporting\n"
    write_tree(tmp_path / "root", {**PLAIN, "/etc/asterisk/manager.conf": f"[general]\nenabled=yes\n{user}"})
    with ami() as server:
        doctor.sections["ami"] = ami_section(server.port)
        code, lines = doctor.says("--root", str(tmp_path / "root"))
        assert code == 1
        place = "/etc/asterisk/manager.conf:5: [vipex] needs `read = system,call,agent,dialplan`"
        assert any(line.startswith(f"FAULT ami: {place}") for line in lines)
        assert any(line.startswith("note  ami: set `timestampevents = yes`") for line in lines)
        another = "[vipex]\nsecret = another\nread = system\n"
        write_tree(tmp_path / "elsewhere", {**PLAIN, "/etc/asterisk/manager.conf": another})
        assert doctor.says("--root", str(tmp_path / "elsewhere"))[0] == 0


def test_an_asterisk_that_does_not_answer_is_told(doctor: Doctor) -> None:
    with ami(lambda server: server.silent_to.add("BridgeList")) as server:
        doctor.sections["ami"] = ami_section(server.port)
        assert "no answer to BridgeList within 5 s" in doctor.line("ami")


# -- CDR, CEL, recordings, store --------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "state", "says"),
    [
        (
            COLUMNS.replace("uniqueid, ", ""),
            "FAULT",
            "has no column uniqueid, which the bridge cannot do without",
        ),
        (COLUMNS.replace("start, answer, end, ", ""), "FAULT", "has no column start"),
        (COLUMNS.replace("linkedid, ", ""), "note", "has no column linkedid: calls are put together"),
        (
            COLUMNS.replace("ivr_digits, ", ""),
            "note",
            "has no column ivr_digits: the CDR gives no IVR digits",
        ),
    ],
)
def test_wrong_columns_are_named(doctor: Doctor, tmp_path: Path, columns: str, state: str, says: str) -> None:
    make_table(tmp_path / "master.db", columns)
    doctor.sections["cdr"] = f"{{source: 'sqlite:///{tmp_path}/master.db'}}"
    code, lines = doctor.says()
    assert code == (1 if state == "FAULT" else 0)
    assert [line for line in lines if line.startswith(f"{state:<5} cdr:") and says in line]


def test_rows_of_another_zone_are_told(doctor: Doctor, tmp_path: Path) -> None:
    master = tmp_path / "master.db"
    make_table(master)
    # One minute past eight by the configured zone, written by an Asterisk that runs in New York.
    row = {
        "start": "2026-11-23 03:01:00",
        "end": "2026-11-23 03:02:00",
        "channel": "PJSIP/trunk-1",
        "uniqueid": "1795420860.1",
    }
    write_row(master, row)
    write_row(master, {**row, "uniqueid": "1795420860.2"})
    doctor.sections["cdr"] = f"{{source: 'sqlite:///{master}'}}"
    _, lines = doctor.says()
    [line] = [line for line in lines if "another zone" in line]
    assert line.startswith(f"note  cdr: CDR source {master} has times of another zone than ")
    assert line.endswith(", or correct `timezone`")


def test_rows_that_are_written_otherwise_are_told(doctor: Doctor, tmp_path: Path) -> None:
    master = tmp_path / "master.db"
    make_table(master)
    row = {
        "start": "23/11/2026 08:00",
        "end": "23/11/2026 08:01",
        "channel": "PJSIP/trunk-1",
        "uniqueid": "1.1",
    }
    write_row(master, row)
    doctor.sections["cdr"] = f"{{source: 'sqlite:///{master}'}}"
    line = doctor.line("cdr")
    assert line.startswith("FAULT cdr: the newest row (uniqueid 1.1) cannot be used: ")
    assert "asterisk.cdr.time_format" in line
    doctor.sections["cdr"] = f"{{source: 'sqlite:///{master}', time_format: '%d/%m/%Y %H:%M'}}"
    assert doctor.line("cdr").startswith("well  cdr: ")


@pytest.mark.parametrize("section", ["cdr", "cel"])
def test_a_source_that_is_not_there_is_told(doctor: Doctor, tmp_path: Path, section: str) -> None:
    doctor.sections[section] = f"{{source: 'sqlite:///{tmp_path}/none.db'}}"
    assert f"FAULT {section}: {section.upper()} source {tmp_path}/none.db does not exist" in doctor.line(
        section
    )
    sqlite3.connect(tmp_path / "none.db").close()
    assert f"has no table {section} (yet)" in doctor.line(section)
    doctor.sections[section] = "{source: 'mysql://a:planted-password@127.0.0.1:1/x'}"
    assert f"FAULT {section}: {section.upper()} source" in doctor.line(section)
    assert "planted-password" not in doctor.line(section)


def test_a_cel_file_is_judged_by_its_newest_row(doctor: Doctor, tmp_path: Path) -> None:
    doctor.sections["cel"] = f"{{source: 'csv://{tmp_path}/Master.csv'}}"
    assert "does not exist (yet): load cel_custom" in doctor.line("cel")
    fields = ["CHAN_START", "1795409377.5", *[""] * 12, "a.1", "a.1", *[""] * 3]
    (tmp_path / "Master.csv").write_text(",".join(fields) + "\n")
    assert "has no column 20 for eventextra" in doctor.line("cel")
    (tmp_path / "Master.csv").write_text(",".join([*fields, ""]) + "\n")
    assert doctor.line("cel").startswith("well")
    (tmp_path / "Master.csv").write_text(",".join([*reversed(fields), ""]) + "\n")
    assert doctor.line("cel").startswith("FAULT")


def test_a_cel_table_without_what_must_be_there_is_told(doctor: Doctor, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "cel.db")) as database:
        database.execute("CREATE TABLE cel (eventtype, eventtime, channame, uniqueid)")
    doctor.sections["cel"] = f"{{source: 'sqlite:///{tmp_path}/cel.db'}}"
    assert "has no column linkedid" in doctor.line("cel")


def test_a_folder_of_recordings_that_is_none_is_told(doctor: Doctor, tmp_path: Path) -> None:
    doctor.sections["recordings"] = f"{{root: {tmp_path}/none}}"
    assert doctor.line("recordings").startswith(f"FAULT recordings: {tmp_path}/none is no folder")


def test_a_store_is_tried_and_none_is_made(doctor: Doctor, tmp_path: Path) -> None:
    assert "the bridge makes it at its first start" in doctor.line("store")
    assert not (tmp_path / "state.db").exists()
    with open_in(tmp_path, "pbx1"):
        pass
    assert (
        doctor.line("store")
        == f"well  store: {tmp_path}/state.db can be read and written; no bridge is running"
    )
    (tmp_path / "state.db").write_bytes(b"no database, whatever its name says" * 100)
    assert doctor.line("store").startswith(f"FAULT store: {tmp_path}/state.db is not a database")
    doctor.rest = f"store: 'sqlite:///{tmp_path}/none/state.db'\n"
    assert "does not exist: create it, or correct store" in doctor.line("store")


def test_beside_a_running_bridge_all_is_well_and_nothing_of_it_is_disturbed(tmp_path: Path) -> None:
    listen = f"agi: {{listen: '127.0.0.1:{free_port()}', socket: {tmp_path}/agi.sock}}"
    text = f"asterisk: {{{listen}}}\nstore: 'sqlite:///{tmp_path}/state.db'\n"
    text += f"http: {{listen: '127.0.0.1:{free_port()}', tokens: [!file token]}}\n"
    (tmp_path / "token").write_text("planted-token")
    (tmp_path / "token").chmod(0o600)
    with BridgeProcess(tmp_path, text) as bridge:
        mark = bridge.mark()
        done = bridge.command("doctor")
        assert done.returncode == 0, done.stdout
        assert f"beside the running bridge (node {socket.gethostname()}, pid {bridge.pid})" in done.stdout
        assert done.stdout.count("the running bridge listens on") == 3
        assert [line for line in bridge.lines[mark:] if line.get("level") in ("warning", "error")] == []
    assert "no bridge is running" in bridge.command("doctor").stdout


def test_ports_that_others_have_are_told(doctor: Doctor, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "agi.sock"))
        unix.listen()
        port = taken.getsockname()[1]
        doctor.sections["agi"] = f"{{listen: '127.0.0.1:{port}', socket: {tmp_path}/agi.sock}}"
        code, lines = doctor.says()
    assert code == 1
    faults = [line for line in lines if line.startswith("FAULT agi")]
    assert f"127.0.0.1:{port} is not to be had (Address already in use)" in faults[0]
    assert "another program listens on" in faults[1]


def test_a_running_bridge_that_does_not_listen_where_it_should_is_told(
    tmp_path: Path, refusing_port: int
) -> None:
    text = f"asterisk: {{agi: {{listen: '127.0.0.1:0', socket: null}}}}\nstore: 'sqlite:///{tmp_path}/state.db'\n"
    with BridgeProcess(tmp_path, text) as bridge:
        bridge.config.write_text(text.replace(":0'", f":{refusing_port}'"))
        done = bridge.command("doctor")
    assert done.returncode == 1
    assert f"the running bridge does not answer on 127.0.0.1:{refusing_port}" in done.stdout


def test_secrets_that_everybody_may_read_are_told(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("planted-key")
    (tmp_path / "key").chmod(0o644)
    doctor.rest += client("http://127.0.0.1:1/", "basic_auth: {username: a, password: !file key}")
    line = doctor.line("secrets")
    assert line.startswith(f"FAULT secrets: {tmp_path}/key: everybody may read this file")
    (tmp_path / "key").chmod(0o640)
    assert doctor.line("secrets").startswith("well  secrets: ")
    (tmp_path / "key").write_text("change-me")
    assert "basic_auth.password: still as it was shipped" in "\n".join(doctor.says()[1])


# -- clients ----------------------------------------------------------------------------------


def test_a_client_over_tls_is_reached_without_a_request(
    doctor: Doctor, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    doctor.rest += client(f"{tls_server.url}?key=planted", f"tls: {{ca: {tls_files.ca}}}")
    line = doctor.line("clients.crm")
    assert (
        line
        == f"well  clients.crm: 127.0.0.1:{tls_server.port} speaks TLSv1.3, and its certificate is trusted"
    )
    assert tls_server.received == []
    assert tls_server.connections == 1


@pytest.mark.parametrize(
    ("tls", "state", "says"),
    [
        ("{ca: STRANGER}", "FAULT", "certificate is not trusted"),
        ("{verify: true}", "FAULT", "certificate is not trusted"),
        ("{verify: false}", "note", "its certificate is not checked"),
    ],
)
def test_whom_a_client_trusts_decides(
    doctor: Doctor, tls_server: FaultyServer, tls_files: SimpleNamespace, tls: str, state: str, says: str
) -> None:
    doctor.rest += client(tls_server.url, f"tls: {tls.replace('STRANGER', str(tls_files.stranger))}")
    line = doctor.line("clients.crm")
    assert line.startswith(state)
    assert says in line


@contextmanager
def certified(
    authority: trustme.CA, name: str = "127.0.0.1", until: datetime | None = None
) -> Iterator[FaultyServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=until).configure_cert(context)
    authority.configure_trust(context)
    with running(context) as server:
        yield server


@pytest.mark.parametrize(
    ("name", "days", "state", "says"),
    [
        ("other.example", 300, "FAULT", "is not valid for '127.0.0.1'"),
        ("127.0.0.1", -1, "FAULT", "certificate has expired"),
        ("127.0.0.1", 5, "note", "its certificate ends in 4 days: have it renewed"),
        ("127.0.0.1", 300, "well", "its certificate is trusted"),
    ],
)
def test_a_certificate_for_another_or_of_another_time_is_told(
    doctor: Doctor,
    authority: trustme.CA,
    tls_files: SimpleNamespace,
    name: str,
    days: int,
    state: str,
    says: str,
) -> None:
    with certified(authority, name, datetime.now(UTC) + timedelta(days=days)) as server:
        doctor.rest += client(server.url, f"tls: {{ca: {tls_files.ca}}}")
        line = doctor.line("clients.crm")
    assert line.startswith(state)
    assert says in line


def test_a_server_that_wants_a_certificate_is_told_from_one_that_has_it(
    doctor: Doctor, tls_server: FaultyServer, tls_files: SimpleNamespace
) -> None:
    assert tls_server.context is not None
    tls_server.context.verify_mode = ssl.CERT_REQUIRED
    sound = doctor.rest
    doctor.rest = sound + client(tls_server.url, f"tls: {{ca: {tls_files.ca}}}")
    assert doctor.line("clients.crm").startswith(f"FAULT clients.crm: 127.0.0.1:{tls_server.port}: ")
    ours = f"ca: {tls_files.ca}, certificate: {tls_files.certificate}, key: {tls_files.key}"
    doctor.rest = sound + client(tls_server.url, f"tls: {{{ours}}}")
    assert doctor.line("clients.crm").startswith("well")


def test_a_server_without_tls_and_one_that_is_not_there_are_told(
    doctor: Doctor, faulty_server: FaultyServer, refusing_port: int
) -> None:
    sound = doctor.rest
    doctor.rest = sound + client(f"https://127.0.0.1:{faulty_server.port}/planted-path?planted=query")
    line = doctor.line("clients.crm")
    assert line.startswith(f"FAULT clients.crm: 127.0.0.1:{faulty_server.port}: ")
    assert "planted" not in line
    doctor.rest = sound + client(f"http://127.0.0.1:{refusing_port}/")
    assert "connection refused: see that server, clients.crm.url" in doctor.line("clients.crm")


def test_fallback_urls_are_tried_as_well(
    doctor: Doctor, faulty_server: FaultyServer, refusing_port: int
) -> None:
    doctor.rest += (
        f"clients:\n  crm:\n    kind: lookup\n    url: {faulty_server.url}\n"
        f"    fallback_urls: ['http://127.0.0.1:{refusing_port}/x']\n"
    )
    code, lines = doctor.says()
    first, second = (line for line in lines if "clients.crm:" in line)
    assert code == 1
    assert first.startswith("well")
    assert "see that server, clients.crm.fallback_urls[0]" in second


def test_a_faulty_configuration_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("asterisk: {ami: {port: 5038}}\n")
    assert main(["doctor", "--config", str(tmp_path / "config.yaml")]) == 2
    assert "asterisk.ami.username" in capsys.readouterr().err
