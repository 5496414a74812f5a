"""Recorded calls of a PBX that goes FreePBX's ways: whose they are, told live, by AMI and by rows alone."""

from __future__ import annotations

import gzip
import re
from decimal import Decimal

import pytest
from captured_rows import CAPTURES, rows_of
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.ami.translate import replay
from vipex_bridge.calls.document import CallDocument, Notice
from vipex_bridge.calls.events import ChannelSnapshot
from vipex_bridge.calls.numbering import Numbering, Role
from vipex_bridge.calls.testimony import add_rows, from_rows
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.calls.tree import build

EXTENSIONS = re.compile(r"^2\d\d$")
NUMBERING = Numbering(("PJSIP/trunk*",), EXTENSIONS, devices=("PJSIP/7??",))
BY_CONTEXT = Numbering(("PJSIP/trunk*",), EXTENSIONS)
SHAPED_ALIKE = Numbering(("PJSIP/trunk*",), re.compile(r"^\d{3}$"), devices=("PJSIP/7??",))

TOLD: dict[str, tuple[list[str], tuple[int, str | None, str | None, int, int]]] = {
    "device_and_user": (["arrival", "ringing 231", "answer 231", "hangup"], (1, "231", "231", 2, 2)),
    "queue_to_device": (["arrival", "ringing 231", "answer 231", "hangup"], (1, "231", "231", 2, 3)),
    "follow_me_confirmed": (["arrival", "ringing 211", "answer 211", "hangup"], (1, "211", "211", 3, 2)),
    "follow_me_not_confirmed": (["arrival", "ringing 211", "answer 211", "hangup"], (1, "211", "211", 7, 2)),
    "call_forward": (["arrival", "answer 214", "hangup"], (1, "214", "214", 2, 2)),
    "device_dials": ([], (0, "231", "231", 2, 2)),
    "call_back": ([], (0, "217", "217", 2, 5)),
    "call_back_not_taken": ([], (0, None, None, 2, 0)),
    "call_back_declined": ([], (0, "218", "218", 1, 1)),
}
"""The notices; then direction, exten, last_exten, ringtime and billsec of the call, which has no sub_cdrs."""


def free(number: str, billsec: int, at: float) -> Decimal | None:
    return None


def _fields(document: CallDocument | None) -> tuple[int, str | None, str | None, int, int]:
    assert document is not None
    main = document.main
    assert document.legs == ()
    return int(main.direction), main.exten, document.last_exten, main.ringtime, main.billsec


@pytest.mark.parametrize(
    "numbering", [NUMBERING, BY_CONTEXT, SHAPED_ALIKE], ids=["devices", "context", "alike"]
)
@pytest.mark.parametrize("case", TOLD)
def test_heard_on_ami(case: str, numbering: Numbering) -> None:
    tracker = Tracker(numbering)
    told = []
    for event in replay(gzip.decompress((CAPTURES / "freepbx" / case / "ami.log.gz").read_bytes())):
        for output in tracker.feed(event):
            if isinstance(output, Notice):
                told.append(f"{output.event} {output.exten}" if output.exten else output.event)
    (record,) = tracker.calls()
    add_rows(record, rows_of(f"freepbx/{case}"), numbering)
    assert (told, _fields(build(record, numbering, free))) == TOLD[case]


@pytest.mark.parametrize("numbering", [NUMBERING, SHAPED_ALIKE], ids=["devices", "alike"])
@pytest.mark.parametrize("case", TOLD)
def test_read_from_rows_alone(case: str, numbering: Numbering) -> None:
    """Rows tell whose call it was; their answer and ringing they do not know exactly."""
    record = from_rows(rows_of(f"freepbx/{case}"), numbering)
    assert _fields(build(record, numbering, free))[:3] == TOLD[case][1][:3]


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("FMPR-211@from-internal", "211"),
        ("FMGL-211@from-internal", "211"),
        ("FM211@ext-findmefollow", "211"),
        ("211@from-queue", "211"),
        ("RG-600-36301112222#@grps", ""),
        ("36301112222@from-internal", ""),
    ],
)
def test_a_local_channel_stands_for(name: str, extension: str) -> None:
    channel = ChannelSnapshot("1.1", "1.1", f"Local/{name}-0000000a;2", "3670000001")
    assert NUMBERING.extension(channel) == extension


@given(st.sampled_from(["PJSIP", "SIP", "IAX2"]), st.integers(700, 799), st.integers(200, 299))
def test_a_device_is_who_is_logged_in_and_stays_it(technology: str, device: int, user: int) -> None:
    numbering = Numbering(("PJSIP/trunk*",), re.compile(r"^\d{3}$"), devices=("*/7??",))
    name = f"{technology}/{device}-0000000a"
    assert numbering.role(name) is Role.EXTENSION
    known = numbering.extension(ChannelSnapshot("1.1", "1.1", name, str(device)))
    assert known == str(device), "nobody is logged in yet"
    known = numbering.extension(ChannelSnapshot("1.1", "1.1", name, str(user)), known)
    assert known == str(user)
    assert numbering.extension(ChannelSnapshot("1.1", "1.1", name, "3619990000"), known) == str(user)
