"""The client documentation's two example calls, told event by event."""

from __future__ import annotations

from decimal import Decimal

from outcome import told
from story import CALLER, DID, inbound_example, outgoing_example

from vipex_bridge.calls.document import Direction, Part
from vipex_bridge.calls.tree import numbered, recordings

START = 1_575_371_651.0


def times(part: Part) -> tuple[float, float | None, float]:
    """Start, answer and end, in whole seconds from the call's start."""
    answer = part.answer_time
    return (
        int(part.start_time - START),
        int(answer - START) if answer is not None else None,
        int(part.hangup_time - START),
    )


def test_inbound_example_is_told_live_as_it_happens() -> None:
    notices, _ = told(inbound_example(START))
    assert [(n.event, n.exten, int(n.at - START)) for n in notices] == [
        ("arrival", None, 0),
        ("ringing", "200", 0),
        ("ringing", "251", 4),
        ("answer", "251", 12),
        ("hangup", None, 16),
    ]
    assert {(n.call.src, n.call.dst) for n in notices} == {(CALLER, DID)}
    assert notices[1].call.ivr_digits == "1,2"


def test_inbound_example_has_the_documented_arithmetic() -> None:
    _, document = told(inbound_example(START))
    assert document is not None
    main = document.main
    assert (main.direction, main.exten, document.last_exten) == (Direction.INBOUND, "200", "251")
    assert times(main) == (0, 12, 16)
    assert (main.duration, main.billsec, main.ringtime) == (16, 4, 12)
    assert (main.ivr_digits, main.recording, main.pincode) == ("1,2", None, None)
    assert [times(leg) for leg in document.legs] == [(0, None, 4), (4, None, 4), (4, 12, 16)]
    rows = [
        (
            leg.direction,
            leg.exten,
            leg.dst,
            leg.duration,
            leg.billsec,
            leg.ringtime,
            leg.ivr_digits,
            leg.queue,
        )
        for leg in document.legs
    ]
    assert rows == [
        (2, "200", DID, 4, 0, 4, "1,2", None),
        (2, "221", "221", 0, 0, 0, None, "18"),
        (1, "251", "251", 12, 4, 8, None, "18"),
    ]
    assert [leg.src for leg in document.legs] == [CALLER] * 3
    assert recordings(document) == ["/var/spool/asterisk/monitor/91064.wav"]
    assert document.legs[2].recording is not None


def test_outgoing_example_counts_only_real_ringing() -> None:
    notices, document = told(outgoing_example(START))
    assert notices == []
    assert document is not None
    main = document.main
    assert (main.direction, main.src, main.dst, main.exten) == (0, "1102", "36301234576", "1102")
    assert times(main) == (0, 7, 10)
    assert (main.duration, main.billsec, main.ringtime) == (10, 3, 2)
    assert (main.src_user_id, main.dst_user_id, main.pincode) == (6, None, "private")
    assert (document.price, document.cost_location, document.legs) == (Decimal("1.25"), "12", ())
    assert main.recording is not None


def test_legs_get_ids_in_order_after_the_calls_own() -> None:
    _, document = told(inbound_example(START))
    assert document is not None
    real = numbered(document, 91059, [91060, 91062, 91064], ["reference"])
    assert [real.main.id, *[leg.id for leg in real.legs]] == [91059, 91060, 91062, 91064]
    assert real.legs[2].recording is not None
    assert real.legs[2].recording.reference == "reference"
