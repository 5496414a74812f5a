"""A CDR record's columns to a row: local times, what a source lacks, what cannot be a call's."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.calls.rows import CdrRow, uniqueid_epoch
from vipex_bridge.cdr.columns import to_row
from vipex_bridge.cdr.records import end_of, start_of
from vipex_bridge.errors import SourceError
from vipex_bridge.render.fields import local_time

BUDAPEST = ZoneInfo("Europe/Budapest")
AUTUMN = datetime(2026, 10, 25, 1, 0, tzinfo=UTC).timestamp()
"""03:00 summer time becomes 02:00 winter time."""
SPRING = datetime(2026, 3, 29, 1, 0, tzinfo=UTC).timestamp()
"""02:00 winter time becomes 03:00 summer time."""


def local(at: float) -> str:
    """An instant as Asterisk in Budapest writes it."""
    return datetime.fromtimestamp(at, BUDAPEST).strftime("%Y-%m-%d %H:%M:%S")


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def row(**values: object) -> CdrRow:
    """The row of the documentation's outgoing call, with the given columns changed."""
    usual: dict[str, object] = {
        "start": "2019-12-03 11:41:56",
        "answer": "2019-12-03 11:42:03",
        "end": "2019-12-03 11:42:06",
        "channel": "PJSIP/1102-0000001d",
        "duration": "10",
        "billsec": "3",
        "disposition": "ANSWERED",
        "uniqueid": "1575369716.54",
    }
    return to_row({**usual, **values}, BUDAPEST)


def without(*columns: str) -> CdrRow:
    usual = {
        "start": "2019-12-03 11:41:56",
        "answer": "2019-12-03 11:42:03",
        "end": "2019-12-03 11:42:06",
        "channel": "PJSIP/1102-0000001d",
        "duration": 10,
        "billsec": 3,
        "disposition": "ANSWERED",
        "uniqueid": "1575369716.54",
    }
    return to_row({name: value for name, value in usual.items() if name not in columns}, BUDAPEST)


def test_local_times_become_instants() -> None:
    got = row()
    assert (got.start, got.answer, got.end) == (
        utc("2019-12-03 10:41:56"),
        utc("2019-12-03 10:42:03"),
        utc("2019-12-03 10:42:06"),
    )
    assert (got.duration, got.billsec) == (10, 3)


@given(
    change=st.sampled_from([AUTUMN, SPRING]),
    seconds=st.integers(-3 * 3600, 3 * 3600),
    set_up=st.integers(0, 120),
    talk=st.integers(0, 4 * 3600),
    system=st.sampled_from(["", "pbx1-", "pbx-1.2-"]),
)
def test_every_instant_around_a_change_of_the_clock_comes_back(
    change: float, seconds: int, set_up: int, talk: int, system: str
) -> None:
    start = change + seconds
    answer, end = start + set_up, start + set_up + talk
    got = row(
        start=local(start),
        answer=local(answer),
        end=local(end),
        duration=int(end - start),
        billsec=talk,
        uniqueid=f"{system}{start:.0f}.7",
    )
    assert (got.start, got.answer, got.end) == (start, answer, end)


def test_a_later_leg_of_a_long_call_through_the_repeated_hour_is_placed_by_its_end() -> None:
    created, start, end = AUTUMN - 7200, AUTUMN + 1800, AUTUMN + 5400
    got = row(
        start=local(start), answer=local(start), end=local(end), duration=3600, billsec=3600,
        uniqueid=f"{created:.0f}.1",
    )  # fmt: skip
    assert (got.start, got.answer, got.end) == (start, start, end)


@pytest.mark.parametrize("uniqueid", ["click-to-call-42", "1.1", "9999999999.3"])
def test_an_assigned_uniqueid_is_no_reason_to_leave_a_row_out(uniqueid: str) -> None:
    got = row(start="2026-10-25 02:30:00", answer="", end="2026-10-25 02:30:09", uniqueid=uniqueid)
    assert got.start == AUTUMN - 1800
    assert got.end == AUTUMN - 1791


def test_a_time_that_the_clock_left_out_is_still_an_instant() -> None:
    got = row(start="2026-03-29 02:30:00", answer="", end="", uniqueid="x")
    assert got.start in (SPRING - 1800, SPRING + 1800)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2019-12-03 11:41:56.250000", utc("2019-12-03 10:41:56") + 0.25),
        ("2019-12-03T11:41:56", utc("2019-12-03 10:41:56")),
        ("2019-12-03 10:41:56+00:00", utc("2019-12-03 10:41:56")),
        ("1575369716", 1575369716.0),
        ("1575369716.5", 1575369716.5),
        (1575369716, 1575369716.0),
        (1575369716.5, 1575369716.5),
        (datetime(2019, 12, 3, 11, 41, 56), utc("2019-12-03 10:41:56")),
        (datetime(2019, 12, 3, 10, 41, 56, tzinfo=UTC), utc("2019-12-03 10:41:56")),
        (b"2019-12-03 11:41:56", utc("2019-12-03 10:41:56")),
    ],
)
def test_times_are_taken_as_any_backend_writes_them(written: object, instant: float) -> None:
    assert row(start=written).start == instant


@pytest.mark.parametrize("unset", ["", None, "0000-00-00 00:00:00", 0, "0", "  "])
def test_an_unset_time_is_none(unset: object) -> None:
    assert row(answer=unset).answer is None


def test_a_configured_time_format_is_obeyed() -> None:
    values = {"uniqueid": "x", "channel": "PJSIP/1-1", "start": "03.12.2019 11:41", "end": ""}
    assert to_row(values, BUDAPEST, "%d.%m.%Y %H:%M").start == utc("2019-12-03 10:41:00")


def test_without_answer_and_end_they_are_counted_from_the_lengths() -> None:
    got = without("answer", "end")
    assert (got.answer, got.end) == (utc("2019-12-03 10:42:03"), utc("2019-12-03 10:42:06"))
    assert without("answer", "end", "disposition").answer is None
    assert without("start").start == utc("2019-12-03 10:41:56")


def test_an_empty_end_is_not_made_up() -> None:
    assert row(end="").end is None


@pytest.mark.parametrize(
    ("written", "text"),
    [("answered", "ANSWERED"), ("NO ANSWER", "NO ANSWER"), (8, "ANSWERED"), ("4", "BUSY"), (0, "NO ANSWER")],
)
def test_dispositions_are_asterisks_words(written: object, text: str) -> None:
    assert row(disposition=written).disposition == text


def test_columns_the_source_lacks_are_none_and_empty_ones_are_empty() -> None:
    got = row(pincode="private", cc_call=None)
    assert (got.pincode, got.cc_call, got.recordingfile, got.ivr_digits) == ("private", "", None, None)
    assert (got.linkedid, got.sequence) == ("", None)


@pytest.mark.parametrize(
    "values",
    [
        {"uniqueid": ""},
        {"uniqueid": None},
        {"channel": " "},
        {"duration": "ten"},
        {"billsec": "inf"},
        {"billsec": float("nan")},
        {"sequence": "3;4"},
        {"start": "2019-13-03 11:41:56"},
        {"end": "yesterday"},
        {"start": "2019-12-03 11:41:56\n2"},
        {"start": 1e300},
        {"start": "", "end": ""},
        {"sequence": 1e20},
        {"sequence": 2**63},
        {"sequence": "12345678901234567890123"},
        {"duration": 1e20},
        {"billsec": "1e25"},
        {"end": "", "duration": 10**15},
        {"start": "9999-12-31 23:59:59", "end": "", "duration": 3600},
        {"end": "0001-01-01 00:00:00"},
    ],
)
def test_an_impossible_row_is_refused_in_one_line(values: dict[str, object]) -> None:
    with pytest.raises(SourceError) as refused:
        row(**values)
    assert len(str(refused.value).splitlines()) == 1


def test_a_clock_set_back_during_the_call_costs_no_row() -> None:
    assert row(duration="-3", billsec=-1).duration == 0


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "uniqueid",
                "channel",
                "start",
                "answer",
                "end",
                "duration",
                "billsec",
                "sequence",
                "disposition",
            ]
        ),
        st.none() | st.text(max_size=20) | st.binary(max_size=8) | st.floats() | st.integers(),
    )
)
def test_any_record_is_a_row_or_a_source_error(values: dict[str, object]) -> None:
    full = {"uniqueid": "1575369716.1", "channel": "PJSIP/1-1", "start": "2019-12-03 11:41:56", **values}
    try:
        got = to_row(full, BUDAPEST)
    except SourceError:
        return
    assert got.uniqueid and got.channel
    assert got.duration >= 0 and got.billsec >= 0
    assert got.sequence is None or -(2**63) <= got.sequence < 2**63
    for moment in (start_of(got), got.answer, end_of(got)):
        assert moment is None or local_time(moment, BUDAPEST)


@given(st.text(max_size=12), st.integers(10**8, 10**10), st.integers(0, 10**6))
def test_a_uniqueids_epoch_is_found_behind_any_system_name(system: str, epoch: int, counter: int) -> None:
    assert uniqueid_epoch(f"{system}-{epoch}.{counter}") == epoch


def test_times_in_another_zone_follow_its_own_clock_changes() -> None:
    sydney = ZoneInfo("Australia/Sydney")
    at = datetime(2026, 4, 4, 16, 30, tzinfo=UTC)
    written = at.astimezone(sydney).strftime("%Y-%m-%d %H:%M:%S")
    values = {"uniqueid": f"{at.timestamp():.0f}.1", "channel": "PJSIP/1-1", "start": written}
    assert to_row(values, sydney).start == at.timestamp()
