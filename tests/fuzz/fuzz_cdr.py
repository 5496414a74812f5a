"""CDR records: whatever a source holds is a row that can be told, or is left out with a reason."""

from __future__ import annotations

import json
from dataclasses import asdict

from as_document import NUMBERING, ZONE, tell

from vipex_bridge.calls import testimony
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.columns import to_row
from vipex_bridge.config.presets import CDR_COLUMNS, TEXT_TIME
from vipex_bridge.errors import SourceError

MAX_ROWS = 20
_SOUND = {
    "uniqueid": "1795409430.1", "linkedid": "1795409430.1", "channel": "PJSIP/trunk-00000001",
    "dstchannel": "PJSIP/251-00000002", "start": "2026-11-23 05:30:30", "answer": "2026-11-23 05:30:35",
    "end": "2026-11-23 05:30:45", "duration": 15, "billsec": 10, "disposition": "ANSWERED",
    "src": "3642999425", "dst": "3642999409", "dcontext": "from-trunk", "lastapp": "Dial", "sequence": 1,
}  # fmt: skip


def one_input(data: bytes) -> None:
    """Each line is a row: `column=value` parted by tabs, the rest as in a sound row.

    A column is its number or its name; a value that begins with `i`, `f`, `n` or `b` is a whole number, a
    fraction, NULL or bytes, else a text.
    """
    rows = []
    for line in data.split(b"\n")[:MAX_ROWS]:
        values: dict[str, object] = dict(_SOUND)
        for field in line.split(b"\t"):
            name, _, value = field.partition(b"=")
            values[_column(name)] = _value(value)
        try:
            row = to_row(values, ZONE, TEXT_TIME)
        except SourceError as error:
            assert "\n" not in str(error)
            continue
        assert CdrRow(**json.loads(json.dumps(asdict(row), allow_nan=False))) == row
        rows.append(row)
    for group in testimony.groups(rows):
        tell(testimony.from_rows(group, NUMBERING))


def _column(name: bytes) -> str:
    text = name.decode("ascii", "ignore")
    return text if text in CDR_COLUMNS else CDR_COLUMNS[(name[0] if name else 0) % len(CDR_COLUMNS)]


def _value(value: bytes) -> object:
    kind, rest = value[:1], value[1:]
    try:
        match kind:
            case b"i":
                return int(rest[:19])
            case b"f":
                return float(rest)
    except ValueError:
        return None
    return {b"n": None, b"b": rest}.get(kind, value.decode("utf-8", "replace"))
