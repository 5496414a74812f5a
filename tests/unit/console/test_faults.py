"""Why a try failed is said in the reader's language, and never less than was kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.console.faults import REASONS, fault
from vipex_bridge.console.words import words

HUNGARIAN = words("hu").say


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("the server answered 500", "a szerver válasza: 500"),
        ("127.0.0.1:9/cdr: connection refused", "127.0.0.1:9/cdr: a kapcsolatot elutasították"),
        ("crm/x: no answer within 2.5 s", "crm/x: nincs válasz (2.5 s)"),
        ("crm/x: the answer was not complete within 30 s", "crm/x: a válasz nem volt teljes (30 s)"),
        (
            "the server answered 410; recording a.wav is gone",
            "a szerver válasza: 410; recording a.wav is gone",
        ),
        ("internal error (KeyError), see the log", "internal error (KeyError), see the log"),
        (None, ""),
    ],
)
def test_the_usual_reasons_are_translated(kept: str | None, said: str) -> None:
    assert fault(kept, HUNGARIAN) == said


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_reads_in_hungarian(reason: str) -> None:
    assert reason not in fault(f"crm: {reason}", HUNGARIAN)


@given(st.text())
def test_in_english_nothing_is_lost(kept: str) -> None:
    assert fault(kept, lambda text: text) == kept
