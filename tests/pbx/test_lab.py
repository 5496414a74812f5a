"""The Asterisk side as it is shipped, on a real Asterisk with no bridge beside it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from delivering import wait_until
from laboratory import SECRET, Asterisk, LaboratoryError, Ports
from phones import caller, extension, line
from playing import play

from vipex_bridge.ami.framing import Framer, Message

pytestmark = pytest.mark.pbx

PORTS = Ports(sip=5160, ami=5138, agi=4673, rtp=14_000, media=32_000, phones="127.0.1")
CALLER = "3642999425"
COLUMNS = (
    "AcctId start answer end clid src dst dcontext channel dstchannel lastapp lastdata duration billsec "
    "disposition amaflags accountcode peeraccount uniqueid linkedid sequence userfield ivr_digits "
    "custom_field pincode cost_location cc_call recordingfile"
)
"""What the call trees name for the preset, section 8."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Asterisk]:
    """An Asterisk of its own, whose bridge is not running."""
    with Asterisk(PORTS) as running:
        yield running


class Manager:
    """An AMI connection of the shipped user; a context manager."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._framer = Framer()
        self._unread: list[Message] = []
        self.ask("Login", Username="vipex", Secret=SECRET, Events="on")

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, action: str, **headers: str) -> str:
        """What the answer begins with, such as "Success: Channels will follow"."""
        lines = [f"Action: {action}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        answer = self._until("response")
        return f"{answer.get('response')}: {answer.get('message', '')}"

    def events(self, count_of: str, count: int) -> list[Message]:
        """All events up to the `count`-th of one name."""
        seen: list[Message] = []
        while sum(message.get("event") == count_of for message in seen) < count:
            seen.append(self._until("event"))
        return seen

    def _until(self, header: str) -> Message:
        while True:
            while not self._unread:
                data = self._socket.recv(65_536)
                assert data, "Asterisk hung up"
                self._unread = list(self._framer.feed(data))
            message = self._unread.pop(0)
            if header in message:
                return message


def rows_since(lab: Asterisk, before: int, count: int = 1) -> list[dict[str, Any]]:
    """The rows that a call wrote, waited for."""
    wait_until(lambda: len(lab.cdr_rows()) >= before + count)
    return lab.cdr_rows()[before:]


def sound_of(recording: Path) -> float:
    """Seconds of sound in a finished recording; it must not be silent."""
    with wave.open(str(recording)) as sound:
        assert any(sound.readframes(sound.getnframes()))
        return float(sound.getnframes() / sound.getframerate())


def test_asterisk_has_no_complaint_about_our_files(lab: Asterisk) -> None:
    assert re.findall(r".*(?:WARNING|ERROR)\[.*", lab.messages().split("fully booted")[0]) == []
    assert "Log unanswered calls:       Yes" in lab.cli("cdr show status")
    assert "CEL Tracking Event: LINKEDID_END" in lab.cli("cel show status")
    for routine in ("lookup", "notify", "digit", "label", "pin", "cost", "record"):
        assert f"'vipex-{routine}'" in lab.cli(f"dialplan show vipex-{routine}")


def test_manager_user_may_look_and_do_nothing(lab: Asterisk) -> None:
    with Manager(lab.ports.ami) as manager:
        assert manager.ask("CoreShowChannels") == "Success: Channels will follow"
        assert manager.ask("CoreStatus").startswith("Success")
        refused = {
            "Originate": {"Channel": "Local/1@from-internal", "Application": "Wait"},
            "Command": {"Command": "core show version"},
            "Setvar": {"Variable": "VIPEX_AGI", "Value": "agi://192.0.2.1"},
            "Hangup": {"Channel": "/.*/"},
            "UpdateConfig": {"SrcFilename": "manager.conf", "DstFilename": "manager.conf"},
        }
        for action, headers in refused.items():
            assert manager.ask(action, **headers) == "Error: Permission denied", action


def test_call_is_written_recorded_and_seen(lab: Asterisk) -> None:
    before = len(lab.cdr_rows())
    with Manager(lab.ports.ami) as manager:
        truth = play(
            lab,
            [
                extension("251").rings(1).answers().waits_for_bye(),
                caller(CALLER).dials("3642999409").is_answered().talks(1).hangs_up(),
            ],
        )
        events = manager.events("Hangup", 2)
    [row] = rows_since(lab, before)
    assert " ".join(row) == COLUMNS
    assert (row["src"], row["dst"], row["disposition"]) == (CALLER, "3642999409", "ANSWERED")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["start"])
    assert row["linkedid"] == row["uniqueid"]
    assert (round(truth.of("251").ring_s), round(truth.of("251").talk_s)) == (1, 1)
    recording = lab.recordings / row["recordingfile"]
    assert re.fullmatch(r"[\w.-]+\.wav", row["recordingfile"])
    wait_until(lambda: recording.stat().st_size > 44 and b"data" in recording.read_bytes()[:44])
    assert sound_of(recording) == pytest.approx(truth.of("251").talk_s, abs=0.5)
    names = {message.get("event") for message in events}
    assert {"Newchannel", "DialBegin", "DialState", "DialEnd", "BridgeEnter", "Hangup", "VarSet"} <= names
    assert names & {"Newexten", "RTCPSent", "HangupRequest", "MixMonitorStart"} == set()
    assert {m.get("variable") for m in events if m.get("event") == "VarSet"} == {"MIXMONITOR_FILENAME"}
    timed = [message for message in events if message.get("event") != "FullyBooted"]
    assert all(float(message.get("timestamp", "")) > 1e9 for message in timed)


def test_keys_reach_the_row_and_a_bridge_that_is_away_stops_no_call(lab: Asterisk) -> None:
    before = len(lab.cdr_rows())
    with Manager(lab.ports.ami) as manager:
        play(
            lab,
            [
                extension("200").rings().is_cancelled(),
                caller(CALLER)
                .dials("3642999408")
                .is_answered()
                .waits(0.5)
                .presses("1", 0.5)
                .presses("2", 1)
                .hangs_up(),
            ],
        )
        events = manager.events("Hangup", 2)
    row = rows_since(lab, before)[0]
    assert (row["ivr_digits"], row["dstchannel"].partition("-")[0]) == ("1,2", "PJSIP/200")
    told = [(m.get("variable", "").lstrip("_"), m.get("value")) for m in events if m.get("event") == "VarSet"]
    assert ("VIPEX_IVR_DIGITS", "1,2") in told
    assert ("VIPEX_STATUS", "UNAVAILABLE") in told


@pytest.mark.parametrize(("pin", "kind"), [("1111", "private"), ("2222", "general"), ("3333", "")])
def test_pin_and_cost_centre_reach_the_row(lab: Asterisk, pin: str, kind: str) -> None:
    before = len(lab.cdr_rows())
    play(
        lab,
        [
            line().rings(0.2).answers().waits_for_bye(),
            extension("1102")
            .dials("*936301234576")
            .is_answered()
            .waits(0.4)
            .presses(pin, 0.15)
            .talks(1)
            .hangs_up(),
        ],
    )
    row = rows_since(lab, before)[-1]
    assert (row["src"], row["pincode"], row["cost_location"]) == ("1102", kind, "12")
    assert row["recordingfile"].endswith(".wav")


def test_labels_reach_the_row(lab: Asterisk) -> None:
    before = len(lab.cdr_rows())
    play(
        lab,
        [
            extension("251").refuses(),
            caller(CALLER).dials("3642999416").is_refused(486),
        ],
    )
    assert rows_since(lab, before)[0]["custom_field"] == "vip customer"


@pytest.mark.parametrize(
    ("name", "digits", "label", "cost"),
    [
        (
            "${EXTEN} $[7*6] 'x' & PJSIP/1102 | y; {",
            "7*61102",
            "EXTEN 7*6 x  PJSIP/1102  y ",
            "EXTEN76xPJSIP1102y",
        ),
        ("'); DROP TABLE cdr; --", "DAB", " DROP TABLE cdr --", "DROPTABLEcdr--"),
        ("Őri Ödön", "", "Őri Ödön", "ridn"),
        ("1,2", "1", "1", "1"),
    ],
    ids=["expressions", "SQL", "Hungarian", "comma"],
)
def test_what_a_caller_calls_himself_is_never_run(
    lab: Asterisk, name: str, digits: str, label: str, cost: str
) -> None:
    before = len(lab.cdr_rows())
    play(lab, [caller(CALLER).named(name).dials("3642999419").is_refused(486)])
    [row] = rows_since(lab, before)
    assert row["ivr_digits"].replace(",", "") == digits
    assert (row["custom_field"], row["cost_location"], row["pincode"]) == (label, cost, "")
    assert (row["src"], row["userfield"]) == (CALLER, "UNAVAILABLE")
    assert name in row["clid"]


def test_two_calls_at_once_keep_apart(lab: Asterisk) -> None:
    truth = play(
        lab,
        [
            extension("251").rings(0.5).answers().waits_for_bye(),
            extension("200").rings(0.3).answers().talks(0.5).hangs_up(),
            caller(CALLER).dials("3642999409").is_answered().talks(1).hangs_up(),
            caller("36709676052", port=5062).after(0.1).dials("3642999411").is_answered().waits_for_bye(),
        ],
    )
    assert truth.of("251").talk_s == pytest.approx(1, abs=0.4)
    assert truth.of("200").talk_s == pytest.approx(0.5, abs=0.4)


OTHER_PORTS = Ports(sip=5161, ami=5139, agi=4674, rtp=17_000, media=34_000, phones="127.0.2")
DIES = f"import os; from laboratory import *; Asterisk({OTHER_PORTS}).start(); os._exit(0)"


def test_laboratory_that_died_is_cleaned_away_by_the_next() -> None:
    subprocess.run([sys.executable, "-c", DIES], cwd=Path(__file__).parent, check=True)
    following = Asterisk(OTHER_PORTS)
    left = Path(f"/proc/{(following.folder / 'pid').read_text()}")
    assert "asterisk" in (left / "cmdline").read_text()
    with following:
        assert not left.exists() or "zombie" in (left / "status").read_text()
        assert "fully booted" in following.cli("core waitfullybooted")


def test_laboratory_that_lives_is_left_alone_and_the_second_is_refused() -> None:
    with Asterisk(OTHER_PORTS) as first:
        with pytest.raises(LaboratoryError, match="SIP 5161"):
            Asterisk(OTHER_PORTS).start()
        assert "fully booted" in first.cli("core waitfullybooted")
