"""The CDR rows of the captured calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vipex_bridge.calls.rows import CdrRow

CAPTURES = Path(__file__).parent.parent / "captures"


def rows_of(case: str) -> list[CdrRow]:
    """The rows of one case, in the order in which Asterisk wrote them; its clock was UTC."""
    lines = (CAPTURES / case / "cdr.jsonl").read_text("utf-8").splitlines()
    return [_row(json.loads(line)) for line in lines]


def _row(data: dict[str, Any]) -> CdrRow:
    return CdrRow(
        uniqueid=data["uniqueid"],
        linkedid=data["linkedid"],
        channel=data["channel"],
        dstchannel=data["dstchannel"],
        start=_epoch(data.get("start") or data["calldate"]),
        answer=_epoch(data["answer"] if "answer" in data else data["answerdate"]),
        end=_epoch(data.get("end") or data["enddate"]),
        duration=int(data["duration"]),
        billsec=int(data["billsec"]),
        disposition=data["disposition"],
        src=data["src"],
        dst=data["dst"],
        dcontext=data["dcontext"],
        lastapp=data["lastapp"],
        lastdata=data["lastdata"],
        accountcode=data["accountcode"],
        sequence=int(data["sequence"]),
        ivr_digits=data["ivr_digits"],
        custom_field=data["custom_field"],
        pincode=data["pincode"],
        cost_location=data["cost_location"],
        recordingfile=data["recordingfile"],
    )


def _epoch(text: str) -> float | None:
    if not text:
        return None
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
