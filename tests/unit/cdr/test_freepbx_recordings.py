"""FreePBX keeps a recording below its day, and in its table the bare name."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.records import in_folder_of_day, row_of
from vipex_bridge.config.presets import CDR_PRESETS
from vipex_bridge.config.settings import Cdr, Secret

BUDAPEST = ZoneInfo("Europe/Budapest")
START = 1_795_390_200.0
"""2026-11-22 23:30 UTC, half past midnight in Budapest."""


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (
            "in-3619996251-36709676052-20261122-235959-1795390200.7.wav",
            "2026/11/22/in-3619996251-36709676052-20261122-235959-1795390200.7.wav",
        ),
        ("q-400-3670.wav", "2026/11/23/q-400-3670.wav"),
        ("elsewhere/x.wav", "elsewhere/x.wav"),
        ("/var/spool/asterisk/monitor/x.wav", "/var/spool/asterisk/monitor/x.wav"),
    ],
)
def test_a_recording_lies_in_the_folder_of_its_day(name: str, path: str) -> None:
    assert in_folder_of_day(name, START, BUDAPEST) == path


NAMED_BY_FREEPBX = "q-400-3670-20261122-235959-1795390200.7.wav"


@pytest.mark.parametrize(
    ("preset", "name", "path"),
    [
        ("freepbx", "x.wav", "2026/11/23/x.wav"),
        ("adaptive_odbc", "x.wav", "x.wav"),
        # A FreePBX whose rows are written to another table as well.
        ("sqlite3_custom", NAMED_BY_FREEPBX, f"2026/11/22/{NAMED_BY_FREEPBX}"),
    ],
)
def test_freepbx_is_known_by_its_table_or_by_the_name(preset: str, name: str, path: str) -> None:
    shape = CDR_PRESETS[preset]
    values: dict[str, object] = {
        "uniqueid": "1795390200.7", "channel": "PJSIP/trunk-1", "start": "2026-11-23 00:30:00",
        "duration": 9, "recordingfile": name,
    }  # fmt: skip
    row = row_of(values, Cdr(Secret(""), preset, "cdr", shape.columns, shape.time_format), BUDAPEST)
    assert isinstance(row, CdrRow)
    assert row.recordingfile == path
