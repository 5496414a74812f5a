"""The JSON Schema of what is sent by default: true of all that is sent, and of nothing else."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from as_sent import CASES, sent_about
from documented import INBOUND, NOTIFICATION, OUTGOING
from histories import histories
from hypothesis import given
from hypothesis import strategies as st
from invariants import documents_of, notices_of, thorough
from jsonschema import Draft202012Validator
from outcome import NUMBERING

from vipex_bridge.calls.document import CallDocument
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.cli.main import main
from vipex_bridge.config.settings import PARAMETERS, SUB_PARAMETERS, Client
from vipex_bridge.render.fields import call_end_fields, notify_fields
from vipex_bridge.render.requests import render
from vipex_bridge.render.schema import schema_of

UTC_ZONE = ZoneInfo("UTC")
KINDS = tuple(PARAMETERS)
VALIDATORS = {kind: Draft202012Validator(schema_of(kind)) for kind in KINDS}
QUESTION = {
    "id": 91000, "start_time": "2019-12-02 12:46:17", "src": "36709676052", "dst": "3619996000",
}  # fmt: skip
WRONG = st.one_of(
    st.booleans(), st.dictionaries(st.text(max_size=3), st.none(), max_size=2), st.just(-5), st.just(0.5)
)
"""Values that no field may have."""


def faults(kind: str, document: object) -> list[str]:
    """What the schema finds wrong."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATORS[kind].iter_errors(document)]


def by_default(kind: str, **options: Any) -> Client:
    return Client("crm", kind, "https://crm.example", "POST", PARAMETERS[kind], **options)


def told(document: CallDocument, **options: Any) -> Any:
    """A finished call as it is sent, with text in place of each recording."""
    client = by_default("call_end", **options)
    request = render(client, call_end_fields(document, UTC_ZONE, client), "call_end", {}, _Tokens())
    body = request.body or ""
    for slot in request.slots:
        body = body.replace(slot.token, '"UklGRg=="')
    return json.loads(body)


class _Tokens:
    def __init__(self) -> None:
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return f"vipex{self._count:032x}"


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_schema_and_describes_every_field_in_the_order_of_sending(kind: str) -> None:
    schema: Any = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == list(PARAMETERS[kind])
    assert set(schema["required"]) <= set(PARAMETERS[kind])
    for name, rules in schema["properties"].items():
        assert rules["description"].endswith("."), name
        for example in rules.get("examples", []):
            assert Draft202012Validator(rules).is_valid(example), (name, example)
    assert schema["examples"]
    for example in schema["examples"]:
        assert faults(kind, example) == []
    if kind == "call_end":
        parts = schema["properties"]["sub_cdrs"]["items"]
        assert list(parts["properties"]) == list(SUB_PARAMETERS)
        for name, rules in parts["properties"].items():
            assert rules["description"].endswith("."), name
            assert all(
                Draft202012Validator(rules).is_valid(example) for example in rules.get("examples", [])
            ), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_prints_it(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out) == schema_of(kind)


def test_another_kind_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema", "hangup"])
    assert ended.value.code == 2
    assert "call_end" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "text"), [("call_end", OUTGOING), ("call_end", INBOUND), ("notify", NOTIFICATION)]
)
def test_the_client_documentations_examples_are_valid(kind: str, text: str) -> None:
    assert faults(kind, json.loads(text)) == []


def test_the_client_documentations_question_is_valid() -> None:
    assert faults("lookup", QUESTION) == []
    assert faults("lookup", {**QUESTION, "id": None}) == []
    assert faults("notify", {**QUESTION, "id": None}) != []


@pytest.mark.parametrize("case", CASES)
def test_all_that_is_sent_about_a_recorded_call_is_valid(case: str) -> None:
    for sent in sent_about(case):
        if sent.document is not None:
            assert faults(sent.client.kind, sent.document) == [], (sent.client.name, sent.event)


def test_among_the_recorded_calls_there_are_recordings_prices_keys_and_parts() -> None:
    documents = [
        sent.document for case in CASES for sent in sent_about(case) if sent.client.name == "billing"
    ]
    seen = {name for document in documents for name, value in document.items() if value}
    assert seen == set(PARAMETERS["call_end"])
    assert {document["direction"] for document in documents} == {0, 1, 2}


@thorough
@given(histories(), st.sampled_from(["flag", "queue"]), st.sampled_from(["answerer", "all"]))
def test_whatever_happens_is_told_validly(history: Any, cc_call: str, parallel_legs: str) -> None:
    tracker = Tracker(NUMBERING)
    for notice in notices_of(tracker, history.events):
        fields = notify_fields(7, notice.call, notice.exten, UTC_ZONE, "flag")
        assert faults("notify", fields) == []
        assert faults("lookup", fields) == []
    for document in documents_of(tracker).values():
        if document is not None:
            numbered = replace(
                document,
                main=replace(document.main, id=7),
                legs=tuple(replace(leg, id=8 + n) for n, leg in enumerate(document.legs)),
                all_legs=tuple(replace(leg, id=8 + n) for n, leg in enumerate(document.all_legs)),
            )
            sent = told(numbered, cc_call=cc_call, parallel_legs=parallel_legs)
            assert faults("call_end", sent) == [], asdict(numbered)


@given(st.data())
def test_a_value_that_a_field_cannot_have_is_found(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    schema: Any = schema_of(kind)
    broken = copy.deepcopy(data.draw(st.sampled_from(schema["examples"])))
    parts = broken.get("sub_cdrs") or []
    place = data.draw(st.sampled_from([broken, *parts]))
    name = data.draw(st.sampled_from(sorted(place)))
    value = data.draw(WRONG)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # -5 is a price, a queue's or a user's id as well.
        free = {"price", "cc_call", "src_user_id", "dst_user_id"}
        name = data.draw(st.sampled_from(sorted(set(place) - free)))
    place[name] = value
    assert faults(kind, broken) != [], (name, value)


@given(st.data())
def test_a_field_that_is_always_there_is_missed(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    schema: Any = schema_of(kind)
    broken = copy.deepcopy(data.draw(st.sampled_from(schema["examples"])))
    required = list(schema["required"])
    place = broken
    if broken.get("sub_cdrs") and data.draw(st.booleans()):
        place = data.draw(st.sampled_from(broken["sub_cdrs"]))
        required = schema["properties"]["sub_cdrs"]["items"]["required"]
    del place[data.draw(st.sampled_from(required))]
    assert faults(kind, broken) != []


@pytest.mark.parametrize(
    "at",
    [
        "2019-12-03T12:14:11", "2019-12-03 12:14:11\n", "2019-12-03 12:14:11.5", "2019-13-03 12:14:11",
        "2019-12-03 24:14:11", "2019-12-03", "", "٢٠١٩-12-03 12:14:11", 1575371651, None,
    ],
)  # fmt: skip
def test_a_time_is_written_in_one_way(at: object) -> None:
    assert faults("notify", {**QUESTION, "start_time": at}) != []
