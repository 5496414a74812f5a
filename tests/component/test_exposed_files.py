"""Files that everybody may read although a secret stands in them: a warning, and the bridge goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from bridge_process import BridgeProcess

from vipex_bridge.cli.main import main
from vipex_bridge.config.exposure import is_secret_name
from vipex_bridge.config.load import load

ROOT = Path(__file__).parents[2]
CLIENT = "clients:\n  {name}:\n    kind: notify\n    url: https://crm.example/\n{lines}"


def made(folder: Path, name: str, text: str, mode: int) -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    "name",
    ["Authorization", "Proxy-Authorization", "X-Auth-Token", "X-Auth", "Cookie", "Api-Key", "apikey", "KEY",
     "X-Vipex-Secret", "access_token", "accessKey", "sig", "client_secret", "password", "X-Signature"],
)  # fmt: skip
def test_a_name_says_that_its_value_is_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["X-Source", "author", "keyword", "Accept", "monkey", "design", "source"])
def test_or_that_it_is_none(name: str) -> None:
    assert not is_secret_name(name)


def exposed(file: Path) -> list[tuple[str, tuple[str, ...]]]:
    return [(found.file.name, found.keys) for found in load(file, dict(os.environ)).settings.exposed]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("    basic_auth: {username: u, password: s3cret}\n", "basic_auth.password"),
        ("    api_key: {in: header, name: X-K, value: s3cret}\n", "api_key.value"),
        ("    signing_secret: s3cret\n", "signing_secret"),
        ("    signing_secret: [s3cret, other]\n", "signing_secret[0]"),
        ("    headers: {Authorization: Bearer s3cret}\n", "headers.Authorization"),
        ("    headers: {X-Auth-Token: s3cret}\n", "headers.X-Auth-Token"),
    ],
)
def test_each_secret_of_a_client_in_place_counts(line: str, key: str, tmp_path: Path) -> None:
    file = made(tmp_path, "c.yaml", CLIENT.format(name="a", lines=line), 0o644)
    [(name, keys)] = exposed(file)
    assert (name, keys[0]) == ("c.yaml", f"clients.a.{key}")
    file.chmod(0o640)
    assert exposed(file) == []


def test_so_do_the_others_and_those_without_a_password_do_not(tmp_path: Path) -> None:
    text = (
        "asterisk:\n  ami: {username: u, secret: s3cret}\n  cdr: {source: 'mysql://u:s3cret@db/asterisk'}\n"
        "  cel: {source: 'sqlite:////var/log/cel.db'}\n"
        "http: {tokens: s3cret}\n"
        "clients:\n  a: {kind: lookup, url: 'https://x/?source=pbx1', headers: {X-Source: pbx1}}\n"
        "  b: {kind: lookup, url: 'https://x/?a=1&token=s3cret'}\n"
    )
    file = made(tmp_path, "c.yaml", text, 0o604)
    assert exposed(file) == [
        ("c.yaml", ("asterisk.ami.secret", "asterisk.cdr.source", "http.tokens", "clients.b.url"))
    ]


def test_a_secret_that_came_by_a_tag_is_not_in_place_but_its_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "s3cret")
    token = made(tmp_path, "token", "https://crm.example/hook/s3cret\n", 0o644)
    made(tmp_path, "closed", "s3cret\n", 0o600)
    text = (
        "clients:\n"
        "  a: {kind: notify, url: !file token, headers: {X-A: !file closed}}\n"
        "  b: {kind: notify, url: 'https://x/', api_key: {in: query, name: k, value: !env PLANTED}}\n"
        "  c: {kind: notify, url: 'https://x/', body: !file body.j2}\n"
    )
    made(tmp_path, "body.j2", '{"id": {{ id }}}', 0o644)
    file = made(tmp_path, "c.yaml", text, 0o644)
    assert exposed(file) == [("token", ("clients.a.url",))]
    token.chmod(0o600)
    assert exposed(file) == []


def test_a_private_key_that_everybody_may_read_counts(tmp_path: Path) -> None:
    made(tmp_path, "cert.pem", "x", 0o644)
    made(tmp_path, "key.pem", "x", 0o644)
    lines = "    tls: {certificate: cert.pem, key: key.pem}\n"
    file = made(tmp_path, "c.yaml", CLIENT.format(name="a", lines=lines), 0o600)
    assert exposed(file) == [("key.pem", ("clients.a.tls.key",))]


def test_check_warns_of_the_file_and_of_included_ones_and_still_ends_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "    signing_secret: s3cret\n"
    included = made(tmp_path, "more.yaml", CLIENT.format(name="b", lines=secret), 0o644)
    text = "include: more.yaml\n" + CLIENT.format(name="a", lines=secret)
    file = made(tmp_path, "c.yaml", text, 0o644)
    assert main(["check", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    for path, name in ((file, "a"), (included, "b")):
        assert (
            f"warning: {path}: everybody may read this file, and it holds clients.{name}.signing_secret: "
            f"chmod o-r {path}\n"
        ) in out
    assert "s3cret" not in out


def test_the_bridge_warns_at_its_start_and_at_a_reload(tmp_path: Path) -> None:
    text = (
        f"asterisk: {{agi: null}}\nstore: sqlite:///{tmp_path}/state.db\n"
        + CLIENT.format(name="a", lines="    signing_secret: s3cret\n")
    )  # fmt: skip
    bridge = BridgeProcess(tmp_path, text)
    bridge.config.chmod(0o644)
    with bridge:
        warned = bridge.wait_for("configuration.readable_by_all", file=str(bridge.config))
        assert "clients.a.signing_secret" in warned["what"]
        mark = bridge.mark()
        bridge.signal(signal.SIGHUP)
        bridge.wait_for("configuration.reloaded", after=mark)
        bridge.wait_for("configuration.readable_by_all", after=mark)
        bridge.config.chmod(0o600)
        mark = bridge.mark()
        bridge.signal(signal.SIGHUP)
        bridge.wait_for("configuration.reloaded", after=mark)
    assert not [line for line in bridge.lines[mark:] if line["event"] == "configuration.readable_by_all"]
    assert "s3cret" not in bridge.log()


def test_the_shipped_examples_secrets_are_known_and_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "etc/vipex-bridge/config.yaml").read_text("utf-8")
    file = made(tmp_path, "config.yaml", text, 0o600)
    keys = {
        "asterisk.ami.secret": "change-me",
        "http.tokens[0]": "change-me-too",
        "clients.crm-route.basic_auth.password": "change-me",
        "clients.crm-route.api_key.value": "change-me",
    }
    assert main(["check", "--config", str(file)]) == 0
    warned = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert len(warned) == len(keys)
    for key, value in keys.items():
        [line] = [number for number, words in enumerate(text.splitlines(), 1) if _sets(words, key, value)]
        what = "still as it was shipped, which everybody can read: change it"
        assert f"warning: {file}:{line}: {key}: {what}" in warned
    changed = text.replace("change-me-too", "changed-me-too").replace("change-me ", "changed-me ")
    file.write_text(changed, "utf-8")
    assert [fault.path for fault in load(file, {}).settings.as_shipped] == [
        "clients.crm-route.basic_auth.password",
        "clients.crm-route.api_key.value",
    ]


def _sets(words: str, key: str, value: str) -> bool:
    *_, name = key.replace("[0]", "").split(".")
    return not words.lstrip().startswith("#") and f"{name}: {value}" in words.replace("[", "")


def test_the_bridge_says_so_at_its_start(tmp_path: Path) -> None:
    text = (
        f"asterisk: {{agi: null}}\nstore: sqlite:///{tmp_path}/state.db\n"
        + CLIENT.format(name="a", lines="    api_key: {in: header, name: X-K, value: change-me}\n")
    )  # fmt: skip
    with BridgeProcess(tmp_path, text) as bridge:
        warned = bridge.wait_for("configuration.secret_as_shipped", key="clients.a.api_key.value")
    assert warned["place"].startswith(f"{bridge.config}:")
