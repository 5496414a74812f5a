"""The CEL rows of the captured calls."""

from __future__ import annotations

import json

from captured_rows import CAPTURES

from vipex_bridge.calls.rows import CelRow

WITH_CEL = sorted(str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.glob("**/cel.jsonl"))
"""The cases whose CEL rows were kept."""


def cel_rows_of(case: str) -> list[CelRow]:
    """The CEL rows of one case, in the order in which Asterisk wrote them."""
    lines = (CAPTURES / case / "cel.jsonl").read_text("utf-8").splitlines()
    return [
        CelRow(
            event=data["eventtype"],
            at=float(data["eventtime"]),
            uniqueid=data["uniqueid"],
            linkedid=data["linkedid"],
            channel=data["channame"],
            caller_number=data.get("cidnum", ""),
            context=data.get("context", ""),
            exten=data.get("exten", ""),
            app=data.get("appname", ""),
            app_data=data.get("appdata", ""),
            account=data.get("accountcode", ""),
            extra=data.get("eventextra", ""),
            number=data["AcctId"],
        )
        for data in map(json.loads, lines)
    ]
