"""What each field is on the wire."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.calls.document import CallView, Kind, Recording
from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS, Client
from vipex_bridge.errors import RenderError
from vipex_bridge.render.fields import RecordingMark, call_end_fields, chosen_parts, local_time, notify_fields
from vipex_bridge.render.sample import inbound_document, outgoing_document, ringing_view

UTC_ZONE = ZoneInfo("UTC")
BUDAPEST = ZoneInfo("Europe/Budapest")
CLIENT = Client("billing", "call_end", "https://b.example", "POST", PARAMETERS["call_end"])
VIEW = ringing_view(UTC_ZONE)


def _cc(mode: str, view: CallView) -> object:
    return notify_fields(1, view, None, UTC_ZONE, mode)["cc_call"]


def test_times_are_local_and_cut_to_whole_seconds() -> None:
    assert local_time(1575287177.999, BUDAPEST) == "2019-12-02 12:46:17"
    assert local_time(-0.5, UTC_ZONE) == "1969-12-31 23:59:59"


def test_the_repeated_hour_of_autumn_is_told_twice() -> None:
    before = datetime(2019, 10, 27, 0, 30, tzinfo=UTC).timestamp()
    assert local_time(before, BUDAPEST) == local_time(before + 3600, BUDAPEST) == "2019-10-27 02:30:00"


@pytest.mark.parametrize("at", [float("nan"), float("inf"), 1e18])
def test_a_time_outside_the_calendar_is_refused(at: float) -> None:
    with pytest.raises(RenderError, match="no time of this calendar"):
        local_time(at, UTC_ZONE)


@given(
    st.integers(0, 4_000_000_000), st.sampled_from(["Europe/Budapest", "Asia/Kathmandu", "America/St_Johns"])
)
def test_every_time_reads_back_as_the_same_wall_clock(at: int, name: str) -> None:
    zone = ZoneInfo(name)
    told = datetime.strptime(local_time(at, zone), "%Y-%m-%d %H:%M:%S")
    assert told == datetime.fromtimestamp(at, zone).replace(tzinfo=None)


def test_exten_is_there_for_ringing_only() -> None:
    with_exten = notify_fields(7, VIEW, "252", UTC_ZONE, "flag")
    assert list(with_exten) == list(PARAMETERS["notify"])
    without = notify_fields(7, VIEW, None, UTC_ZONE, "flag")
    assert list(without) == [name for name in PARAMETERS["notify"] if name != "exten"]


def test_call_end_has_every_parameter_and_parts_every_field() -> None:
    fields = call_end_fields(inbound_document(UTC_ZONE), UTC_ZONE, CLIENT)
    assert list(fields) == list(PARAMETERS["call_end"])
    legs = fields["sub_cdrs"]
    assert isinstance(legs, list)
    assert [list(leg) for leg in legs] == [list(SUB_PARAMETERS)] * 3


@pytest.mark.parametrize(
    ("queue", "told", "flag", "id_mode"),
    [
        (None, None, 0, None),
        ("18", None, 1, 18),
        ("sales", None, 1, "sales"),
        ("18", "", 0, None),
        ("18", "0", 0, 0),
        ("18", "No", 0, "No"),
        (None, "false", 0, "false"),
        (None, "1", 1, 1),
        (None, "-1", 1, -1),
        (None, "support", 1, "support"),
        (None, "٣", 1, "٣"),
        (None, "9" * 40, 1, "9" * 40),
    ],
)
def test_cc_call_by_mode_and_the_dialplans_word_wins(
    queue: str | None, told: str | None, flag: int, id_mode: object
) -> None:
    view = replace(VIEW, queue=queue, cc_call=told)
    assert (_cc("flag", view), _cc("queue", view)) == (flag, id_mode)


def test_cc_call_of_an_outgoing_call() -> None:
    view = replace(VIEW, kind=Kind.OUTBOUND)
    assert (_cc("flag", view), _cc("queue", view)) == (0, -1)


def test_cc_call_of_a_finished_call_and_its_parts() -> None:
    document = inbound_document(UTC_ZONE)
    flag = call_end_fields(document, UTC_ZONE, CLIENT)
    queue = call_end_fields(document, UTC_ZONE, replace(CLIENT, cc_call="queue"))

    def told(fields: dict[str, object]) -> list[object]:
        legs = fields["sub_cdrs"]
        assert isinstance(legs, list)
        return [fields["cc_call"], *(leg["cc_call"] for leg in legs)]

    assert told(flag) == [1, 0, 1, 1]
    assert told(queue) == [None, None, 18, 18]


def test_parallel_legs_all_lists_every_extension_that_rang() -> None:
    document = inbound_document(UTC_ZONE)
    document = replace(document, legs=document.legs[:2])
    answerer = call_end_fields(document, UTC_ZONE, CLIENT)["sub_cdrs"]
    everyone = call_end_fields(document, UTC_ZONE, replace(CLIENT, parallel_legs="all"))["sub_cdrs"]
    assert isinstance(answerer, list)
    assert isinstance(everyone, list)
    assert [leg["exten"] for leg in answerer] == ["200", "221"]
    assert [leg["exten"] for leg in everyone] == ["200", "221", "251"]


@pytest.mark.parametrize(
    ("price", "told"),
    [("1.25", "1.25"), ("0.1", "0.1"), ("2.00", "2"), ("1E+3", "1000"), ("0", "0"), ("NaN", "null")],
)
def test_price_is_a_json_number_without_noise(price: str, told: str) -> None:
    document = replace(outgoing_document(UTC_ZONE), price=Decimal(price))
    assert json.dumps(call_end_fields(document, UTC_ZONE, CLIENT)["price"]) == told


def test_recording_is_named_and_marked() -> None:
    document = outgoing_document(UTC_ZONE)
    document = replace(document, main=replace(document.main, recording=Recording("/a/b/c.wav", "r1")))
    fields = call_end_fields(document, UTC_ZONE, CLIENT)
    assert fields["monitor_file_name"] == "c.wav"
    assert fields["monitor_file"] == RecordingMark("/a/b/c.wav")
    assert fields["main_reference_id"] == "r1"


def test_without_a_recording_there_is_nothing_of_it() -> None:
    fields = call_end_fields(inbound_document(UTC_ZONE), UTC_ZONE, CLIENT)
    names = ("monitor_file_name", "monitor_file", "main_reference_id")
    assert [fields[name] for name in names] == [None, None, None]


def test_parts_are_cut_to_their_own_selection_or_the_mains() -> None:
    fields = call_end_fields(inbound_document(UTC_ZONE), UTC_ZONE, CLIENT)
    own = chosen_parts(fields, replace(CLIENT, sub_parameters=("exten", "id")))["sub_cdrs"]
    same = chosen_parts(fields, replace(CLIENT, parameters=("id", "price", "sub_cdrs")))["sub_cdrs"]
    assert isinstance(own, list)
    assert own[0] == {"exten": "200", "id": 91060}
    assert same == [{"id": 91060}, {"id": 91062}, {"id": 91064}]
