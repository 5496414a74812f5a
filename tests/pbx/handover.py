"""Attended transfers: tells a phone's first call what it must know of the same phone's other call.

A REFER with Replaces names the other dialogue by its Call-ID and both tags (RFC 3891, section 3). SIPp
plays each call in a process of its own, so the other process logs them, and they are passed on in an
INFO that no Asterisk sees.
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from urllib.parse import quote

_TIMEOUT_S = 30.0
_CALL_ID = r"(?i)^Call-ID:\s*(\S+)"
_TAG = re.compile(r"tag=([^;\s>]+)")


def hand_over(trace: Path, address: tuple[str, int], consultation_log: Path) -> None:
    """Waits for the consultation's word in its log, then tells the first call, which sends its REFER.

    `trace` is the first call's message trace and `address` where its phone listens. Raises `TimeoutError`
    when the consultation does not come about.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    word = _wait_for(consultation_log, r"ready (\S+) (From:.*?) (To:.*)$", deadline)
    call_id, own, asterisk = word[1], _TAG.search(word[2]), _TAG.search(word[3])
    user = re.search(r"sip:([^@>]+)@([^;>]+)", word[3])
    if own is None or asterisk is None or user is None:
        raise ValueError(f"the consultation logged no dialogue: {word[0]}")
    replaces = quote(f"{call_id};to-tag={asterisk[1]};from-tag={own[1]}", safe="")
    first = _wait_for(trace, _CALL_ID, deadline)[1]
    info = (
        f"INFO sip:phone@{address[0]}:{address[1]} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {address[0]}:9;branch=z9hG4bK-handover-{time.monotonic_ns()}\r\n"
        f"From: <sip:laboratory@{address[0]}>;tag=laboratory\r\nTo: <sip:phone@{address[0]}>\r\n"
        f"Call-ID: {first}\r\nCSeq: 9000 INFO\r\n"
        f"X-Refer-To: <sip:{user[1]}@{user[2]}?Replaces={replaces}>\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(info.encode(), address)


def _wait_for(file: Path, pattern: str, deadline: float) -> re.Match[str]:
    while time.monotonic() < deadline:
        text = file.read_text("utf-8", "replace") if file.exists() else ""
        found = re.search(pattern, text, re.MULTILINE)
        if found is not None:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"{file.name}: no {pattern} came")
