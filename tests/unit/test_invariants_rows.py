"""What is true of every set of CDR rows, over generated ones, however odd."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from invariants import check_document, document_of, thorough
from outcome import NUMBERING
from telling import EXTENSIONS, NUMBER, START_S

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.calls.testimony import from_rows, groups

_CHANNELS = [
    "PJSIP/trunk-00000001",
    "PJSIP/trunk-00000002",
    *(f"PJSIP/{exten}-0000000{place}" for place, exten in enumerate(EXTENSIONS, 3)),
    "Local/200@from-queue-00000001;1",
    "Local/200@from-queue-00000001;2",
]
_UNIQUEIDS = {name: f"{int(START_S)}.{place}" for place, name in enumerate(_CHANNELS, 1)}
_APPLICATIONS = [("Dial", "PJSIP/200"), ("Queue", "18,t"), ("VoiceMail", "200"), ("AppDial2", "(Outgoing)")]


@st.composite
def _row(draw: Any) -> CdrRow:
    """A row that Asterisk could write: its times in order, its lengths their differences."""
    channel = draw(st.sampled_from(_CHANNELS))
    others = [name for name in _CHANNELS if name != channel]
    start = START_S + draw(st.integers(0, 30))
    length = draw(st.integers(0, 30))
    talked = draw(st.one_of(st.none(), st.integers(0, length)))
    application, data = draw(st.sampled_from(_APPLICATIONS))
    failures = ["NO ANSWER", "BUSY", "FAILED", "CONGESTION"]
    return CdrRow(
        uniqueid=_UNIQUEIDS[channel],
        linkedid=_UNIQUEIDS[draw(st.sampled_from(_CHANNELS[:3]))],
        channel=channel,
        dstchannel=draw(st.sampled_from(["", *others])),
        start=start,
        answer=None if talked is None else start + length - talked,
        end=start + length,
        duration=length,
        billsec=talked or 0,
        disposition="ANSWERED" if talked is not None else draw(st.sampled_from(failures)),
        src=draw(st.sampled_from([NUMBER, *EXTENSIONS])),
        dst=draw(st.sampled_from(["s", NUMBER, *EXTENSIONS])),
        lastapp=application,
        lastdata=data,
        ivr_digits=draw(st.sampled_from([None, "", "1", "1,2"])),
        recordingfile=draw(st.sampled_from([None, "", "/monitor/a.wav", "/monitor/b.wav"])),
    )


def _rows() -> st.SearchStrategy[list[CdrRow]]:
    """Rows of one run of Asterisk: each has a number of its own."""
    drawn = st.lists(_row(), min_size=1, max_size=6)
    return drawn.map(lambda rows: [replace(row, sequence=place) for place, row in enumerate(rows)])


def _trees(rows: list[CdrRow]) -> list[CallDocument | None]:
    return [document_of(from_rows(group, NUMBERING)) for group in groups(rows)]


@thorough
@given(_rows(), st.data())
def test_generated_rows_in_any_order_give_the_same_trees(rows: list[CdrRow], data: st.DataObject) -> None:
    assert _trees(data.draw(st.permutations(rows))) == _trees(rows)


@thorough
@given(_rows())
def test_the_trees_of_generated_rows_lie_inside_their_calls(rows: list[CdrRow]) -> None:
    for document in _trees(rows):
        if document is not None:
            check_document(document)


@thorough
@given(_rows())
def test_every_generated_row_is_in_one_call(rows: list[CdrRow]) -> None:
    """No row is lost, none is told in two calls."""
    grouped = [row for group in groups(rows) for row in group]
    assert sorted(row.sequence or 0 for row in grouped) == list(range(len(rows)))
