"""What a conversation means: the call, the client, its arguments and the variables of the dialplan."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.agi.call import CONTEXT_EXPRESSION, CONTEXT_VARIABLES, agi_call, client_and_args
from vipex_bridge.agi.conversation import Environment, encode_get_full_variable

FIELDS = {
    "agi_uniqueid": "1795409430.45",
    "agi_channel": "PJSIP/trunk-00000012",
    "agi_callerid": "3642999425",
    "agi_dnid": "3642999408",
    "agi_extension": "s",
    "agi_context": "from-trunk",
    "agi_accountcode": "acc",
}


def substituted(linkedid: str, values: dict[str, str]) -> str:
    """What Asterisk makes of the expression."""
    expression = CONTEXT_EXPRESSION.replace("${CHANNEL(linkedid)}", linkedid)
    for name in CONTEXT_VARIABLES:
        expression = expression.replace("${" + name + "}", values.get(name, ""))
    return expression


def test_the_call_carries_what_asterisk_and_the_dialplan_say() -> None:
    context = substituted("1795409430.45", {"VIPEX_IVR_DIGITS": "2,1", "VIPEX_CUSTOM_FIELD": "vip\nold"})
    call = agi_call(Environment(FIELDS, ()), context)
    assert (call.uniqueid, call.linkedid, call.channel) == (
        "1795409430.45",
        "1795409430.45",
        FIELDS["agi_channel"],
    )
    assert (call.caller_number, call.dialled, call.exten) == ("3642999425", "3642999408", "s")
    assert (call.context, call.account) == ("from-trunk", "acc")
    assert call.variables == {"VIPEX_IVR_DIGITS": "2,1", "VIPEX_CUSTOM_FIELD": "vip\nold"}


def test_unknown_is_asterisks_word_for_nothing_and_the_extension_stands_in_for_the_dnid() -> None:
    fields = FIELDS | {"agi_callerid": "unknown", "agi_dnid": "unknown", "agi_extension": "200"}
    call = agi_call(Environment(fields, ()), "")
    assert (call.caller_number, call.dialled) == ("", "200")


def test_a_bare_environment_is_a_call_of_which_nothing_is_known() -> None:
    call = agi_call(Environment({}, ()), "")
    assert {call.uniqueid, call.linkedid, call.dialled, call.account} == {""}
    assert call.variables == {}


@given(st.lists(st.text(max_size=20).filter(lambda text: "\x1f" not in text), min_size=5, max_size=5))
def test_no_value_is_taken_for_another_ones(values: list[str]) -> None:
    variables = dict(zip(CONTEXT_VARIABLES, values, strict=True))
    call = agi_call(Environment({}, ()), substituted("1.1", variables))
    assert call.linkedid == "1.1"
    assert call.variables == {name: value for name, value in variables.items() if value}


@given(st.text(alphabet="a\x1f", max_size=20).filter(lambda text: text.count("\x1f") != 6))
def test_a_context_that_does_not_add_up_is_none(context: str) -> None:
    call = agi_call(Environment({}, ()), context)
    assert (call.linkedid, call.variables) == ("", {})


def test_the_context_is_one_command() -> None:
    assert encode_get_full_variable(CONTEXT_EXPRESSION).count(b"\n") == 1


def test_arguments_are_split_at_their_first_equals_sign() -> None:
    environment = Environment({}, (" crm ", "menu=2=b", "vip", "", "=x", " text = a b "))
    assert client_and_args(environment) == ("crm", {"menu": "2=b", "vip": "", "text": " a b "})


def test_no_arguments_are_no_client() -> None:
    assert client_and_args(Environment({}, ())) == ("", {})
