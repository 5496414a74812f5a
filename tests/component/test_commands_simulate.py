"""`simulate`: the forms a recording may have, and what is wrong with one, in one line."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from captured_rows import CAPTURES

from vipex_bridge.cli.main import main

CONFIGURATION = """
timezone: UTC
numbers: {trunks: ['PJSIP/trunk*'], extensions: '^\\d{3,4}$'}
store: sqlite:////nowhere/state.db
clients:
  crm: {kind: notify, on: [answer], url: 'http://127.0.0.1:9/calls'}
  billing: {kind: call_end, url: 'http://127.0.0.1:9/cdr', parameters: [id, direction, custom_field, price]}
"""
CASE = CAPTURES / "c2_voicemail"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIGURATION, "utf-8")
    return path


def said(config: Path, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["simulate", "--config", str(config), *map(str, arguments)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_plain_compressed_and_folder_are_the_same_recording(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "bug.log"
    plain.write_bytes(gzip.decompress((CASE / "ami.log.gz").read_bytes()))
    rows = ["--cdr", CASE / "cdr.jsonl"]
    shown = said(config, capsys, plain, *rows)
    assert shown[0] == 0
    assert "billing: call_end of call 1" in shown[1]
    assert said(config, capsys, CASE / "ami.log.gz", *rows) == shown
    assert said(config, capsys, CASE) == shown
    shutil.copy(plain, tmp_path / "ami.log")
    assert said(config, capsys, tmp_path, *rows) == shown, "a folder's own rows are not needed"


def test_a_changed_price_list_shows_in_the_difference(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "dearer.yaml"
    other.write_text(CONFIGURATION.replace("$'}", "$', tariff: tariff.csv}"), "utf-8")
    tariff = "prefix,connection_fee,per_minute,increment,currency\n36,1,6,60/60,HUF\n"
    (tmp_path / "tariff.csv").write_text(tariff)
    outbound = CAPTURES / "h6_outbound_blind"
    assert said(config, capsys, outbound, "--against", config)[:2] == (0, "the same requests\n")
    code, shown, errors = said(config, capsys, outbound, "--against", other)
    assert (code, errors) == (1, "")
    changed = [line for line in shown.splitlines() if line.startswith(("-{", "+{"))]
    assert ['"price": null' in line for line in changed] == [True, False]
    assert '"price": 7' in changed[1]


def test_rows_are_read_by_the_column_names_of_the_configured_source(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = "columns: {start: calldate, answer: answerdate, end: enddate}"
    source = f"asterisk: {{cdr: {{source: 'sqlite:////nowhere.db', {names}}}}}\n"
    config.write_text(source + CONFIGURATION, "utf-8")
    code, shown, errors = said(config, capsys, CAPTURES / "a_inbound_ivr_queue")
    assert (code, errors) == (0, "")
    assert '"custom_field": "did-3642999408"' in shown


@pytest.mark.parametrize("content", [b"", b"no AMI at all\n", b"\x00\xff" * 50])
def test_what_is_no_recording_is_refused(
    config: Path, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bug.log"
    for data in (content, gzip.compress(content)):
        file.write_bytes(data)
        code, out, errors = said(config, capsys, file)
        assert (code, out, errors.count("\n")) == (1, "", 1)
        assert errors.startswith(f"vipex-bridge: {file}: is no capture")
    assert said(config, capsys, file, "--against", config)[0] == 1


def test_a_recording_without_a_call_tells_nothing(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bug.log").write_bytes(
        b"Asterisk Call Manager/9.0.0\r\nResponse: Success\r\nPing: Pong\r\n\r\n"
    )
    assert said(config, capsys, tmp_path / "bug.log") == (0, "nothing is told to anybody\n", "")


def test_what_cannot_be_read_is_one_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.log.gz"
    cut.write_bytes((CASE / "ami.log.gz").read_bytes()[:-20])
    broken = tmp_path / "rows.jsonl"
    broken.write_text('{"uniqueid": "1.1"\n')
    empty = tmp_path / "empty"
    empty.mkdir()
    for wrong in ([cut], [tmp_path / "none"], [empty], [CASE, "--cdr", broken]):
        code, out, errors = said(config, capsys, *wrong)
        assert (code, out, errors.count("\n")) == (1, "", 1), wrong
    assert f"{broken}:1: " in errors
    assert said(tmp_path / "no.yaml", capsys, CASE)[0] == 2


def test_any_line_separator_may_stand_in_a_row(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON ends a line with LF alone: a name may hold U+2028 or U+0085 as it is (RFC 8259, section 7)."""
    rows = [json.loads(line) for line in (CASE / "cdr.jsonl").read_text("utf-8").split("\n") if line]
    odd = tmp_path / "odd.jsonl"
    odd.write_text(
        "\n".join(json.dumps(row | {"clid": "a\u2028b\x85c"}, ensure_ascii=False) for row in rows) + "\n",
        "utf-8",
    )
    shown = said(config, capsys, CASE / "ami.log.gz", "--cdr", odd)
    assert shown[0] == 0, shown[2]
    assert shown == said(config, capsys, CASE)
