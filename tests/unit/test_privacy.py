"""No telephone number and no pressed key survives masking, and nothing else is touched."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from vipex_bridge.privacy import call_without_keys, everywhere, keys_masked, without_keys, without_numbers

SEPARATORS = st.sampled_from([" ", "-", ".", "/", " (", ") ", "+", "\u00a0", "\u2011", "\u202f", " \u2013"])
WORDS = st.text(st.characters(categories=["L", "Z", "P", "S"], exclude_characters="%*"), max_size=12)
ID = st.builds("{}.{}".format, st.integers(1_000_000_000, 2_999_999_999), st.integers(0, 10**10 - 1))
MOMENT = st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))


@st.composite
def telephone_numbers(draw: st.DrawFn) -> str:
    """As callers and carriers write them: 7 to 15 digits (E.164), in one run or in groups."""
    digits = draw(st.text("0123456789", min_size=7, max_size=15))
    groups = [digits]
    if draw(st.booleans()):
        cuts = sorted(draw(st.sets(st.integers(1, len(digits) - 1), max_size=5)))
        groups = [digits[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        assume(all(len(group) <= 6 for group in groups))
    written = groups[0] + "".join(draw(SEPARATORS) + group for group in groups[1:])
    # Four short groups with dots between them are an IP address to everybody.
    assume(not re.search(r"(?<![\d.])(\d{1,3}\.){3}\d{1,3}(?![\d.])", written))
    return draw(st.sampled_from(["", "+", "tel:+", "sip:", "PJSIP/", "CLI="])) + written


@given(WORDS, telephone_numbers(), WORDS)
@example("", "36709676052", "")
def test_of_a_number_the_last_three_digits_are_left(before: str, number: str, after: str) -> None:
    masked = without_numbers(before + number + after)
    assert [c for c in masked if c.isdecimal()] == [c for c in number if c.isdecimal()][-3:]
    assert len(masked) == len(before + number + after)
    assert re.sub(r"[\d*]", "", masked) == re.sub(r"\d", "", before + number + after)


@given(st.lists(telephone_numbers(), min_size=1, max_size=4), st.text("0123456789+-./() aZ:,", max_size=20))
def test_no_run_of_a_number_survives_among_others(numbers: list[str], glue: str) -> None:
    assume(not re.search(r"\d[\d.]*$|^[\d.]*\d", glue))
    masked = without_numbers(f" {glue} ; ".join(numbers))
    for number in numbers:
        digits = re.sub(r"\D", "", number)
        assert digits not in re.sub(r"[^\d*]", "", masked)


@given(
    WORDS.filter(lambda text: not text.endswith(".")), ID, st.sampled_from(["", ":", ", more", " ", ".wav"])
)
def test_ids_survive(before: str, name: str, after: str) -> None:
    assert without_numbers(before + name + after) == before + name + after


@given(
    MOMENT,
    st.sampled_from(["T", " "]),
    st.sampled_from(["seconds", "milliseconds", "microseconds", "minutes"]),
)
def test_times_survive(moment: datetime, between: str, precision: str) -> None:
    text = f"since {moment.isoformat(between, precision)}, as told"
    assert without_numbers(text) == text


@given(st.uuids())
def test_references_survive(reference: UUID) -> None:
    assume(re.search("[a-f]", reference.hex) is not None)
    assert without_numbers(f"recording {reference.hex}") == f"recording {reference.hex}"


@pytest.mark.parametrize(
    "text",
    [
        "extension 1102 on PJSIP/251-00000002 rings", "PJSIP/trunk-0000abcd", "Local/200@inside-00000012;1",
        "127.0.0.1:5038", "http://192.168.100.200:8080/calls", "delivered in 123456 ms",
        "queue 18, 999999 left", "state.db.damaged-20261123-155200", "1795409430.12",
    ],
)  # fmt: skip
def test_what_is_no_number_survives(text: str) -> None:
    assert without_numbers(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("36709676052", "********052"),
        ("+36 (70) 967-6052", "+** (**) ***-*052"),
        ("Local/36301112222@outside-00000012;1", "Local/********222@outside-00000012;1"),
        ("https://crm.example/?src=3642999425&id=12", "https://crm.example/?src=*******425&id=12"),
        ("20261123-155200-3642999425-1795409430.12.wav", "********-******-*******425-1795409430.12.wav"),
        ("٣٦٧٠٩٦٧٦٠٥٢", "********٠٥٢"),
        ("?src=%2B36%2070%20967%206052&id=12", "?src=%2B**%****%*****%***052&id=12"),
        ("?src=36+70+967+6052&id=12", "?src=**+**+***+*052&id=12"),
    ],
)
def test_numbers_in_all_sorts_of_text(text: str, masked: str) -> None:
    assert without_numbers(text) == masked


EIGHT = re.compile(r"^\d{2,8}$")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("25100002 calls 36709676052", "25100002 calls ********052"),
        ("Local/25100002@inside", "Local/25100002@inside"),
        ("+25100002", "+*****002"),
        ("src=%2B25100002", "src=%2B*****002"),
        ("36 70 967 6052", "** ** *** *052"),
        ("25100002 25100003", "******** *****003"),
    ],
)
def test_extensions_stay_when_they_are_written_in_one(text: str, masked: str) -> None:
    assert without_numbers(text, EIGHT) == masked
    assert without_numbers("25100002") == "*****002"


def test_every_text_of_an_event_and_nothing_else() -> None:
    event = {"call": 1234567890, "who": ["3642999425", {"to": "251"}], "at": 1795409430.12, "ok": True}
    assert everywhere(event, without_numbers) == {**event, "who": ["*******425", {"to": "251"}]}


KEYS = st.lists(st.text("0123456789*#ABCD", min_size=1, max_size=4), min_size=1, max_size=6).map(",".join)
AS = [
    '{{"ivr_digits": "{}", "cc_call": 7}}', "id=7&ivr_digits={}&src=", "<ivr_digits>{}</ivr_digits>",
    "VIPEX_IVR_DIGITS={}", "ivr digits is {}", '{{\\"ivr_digits\\":\\"{}\\"}}', "ivr_digits: '{}'",
]  # fmt: skip


@given(KEYS, st.sampled_from(AS))
def test_a_star_for_each_key(keys: str, form: str) -> None:
    masked = re.sub("[^,]", "*", keys)
    assert keys_masked(keys) == masked
    assert without_keys(form.format(keys)) == form.format(masked)


@given(KEYS, KEYS)
def test_keys_of_a_call_and_of_its_parts(keys: str, others: str) -> None:
    part = {"exten": "251", "ivr_digits": others}
    call = {"src": "3642999425", "ivr_digits": keys, "sub_cdrs": [part, {"ivr_digits": None}]}
    assert call_without_keys(call) == {
        "src": "3642999425",
        "ivr_digits": re.sub("[^,]", "*", keys),
        "sub_cdrs": [{"exten": "251", "ivr_digits": re.sub("[^,]", "*", others)}, {"ivr_digits": None}],
    }
    assert call["ivr_digits"] == keys, "the call itself is as it was"


@given(KEYS)
def test_keys_in_a_url(keys: str) -> None:
    escaped = keys.replace("#", "%23").replace("*", "%2A").replace(",", "%2C")
    masked = re.sub("[^,]", "*", keys).replace(",", "%2C")
    assert without_keys(f"/?a=1&ivr_digits={escaped}&b=2") == f"/?a=1&ivr_digits={masked}&b=2"


@pytest.mark.parametrize(
    "text",
    ['{"ivr_digits": null, "dst": "251"}', "ivr_digits=&src=36", "<ivr_digits/>", '"ivr_digits", "Dora"'],
)
def test_where_no_key_was_pressed_nothing_is_masked(text: str) -> None:
    assert without_keys(text) == text
