"""Every input that fuzzing kept, and bytes made up anew, through each fuzz target: no fuzzer is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fuzz_agi
import fuzz_ami
import fuzz_answer
import fuzz_cdr
import pytest
from hypothesis import given
from hypothesis import strategies as st

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
MAX_CORPUS_BYTES = 1_000_000
TARGETS: dict[str, Callable[[bytes], None]] = {
    "agi": fuzz_agi.one_input,
    "ami": fuzz_ami.one_input,
    "answer": fuzz_answer.one_input,
    "cdr": fuzz_cdr.one_input,
}
WORDS: dict[str, list[bytes]] = {
    "agi": [b"agi_callerid: ", b"agi_arg_1: ", b"\n", b"\n\n", b"200 result=1 (", b")\n", b"HANGUP\n", b'"'],
    "ami": [b"Event: Newchannel|", b"Channel: PJSIP/trunk-1|", b"Uniqueid: 1.1|", b"Linkedid: 1.1|", b"||"],
    "answer": [b'{"a":', b"[", b"}", b"<a b='", b"&#x", b"<![CDATA[", b"a=", b"%", b"1e999", b"\xff\xfe"],
    "cdr": [b"src=", b"\t", b"\n", b"start=", b"end=n", b"duration=i-1", b"billsec=f1e300", b"uniqueid="],
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_what_fuzzing_kept_breaks_nothing(target: str) -> None:
    kept = sorted((CORPUS / target).iterdir())
    assert kept
    for file in kept:
        TARGETS[target](file.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_nor_do_bytes_made_up(target: str, data: st.DataObject) -> None:
    piece = st.sampled_from(WORDS[target]) | st.binary(max_size=12)
    TARGETS[target](data.draw(st.lists(piece, max_size=12).map(b"".join) | st.binary(max_size=200)))


def test_the_corpus_stays_small() -> None:
    assert sum(file.stat().st_size for file in CORPUS.rglob("*") if file.is_file()) < MAX_CORPUS_BYTES
