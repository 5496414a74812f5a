"""The AGI protocol: no value breaks out of its command, no reply is taken for another's."""

from __future__ import annotations

import pytest
from asterisk_agi import received_commands
from hypothesis import example, given
from hypothesis import strategies as st

from vipex_bridge.agi.conversation import (
    MAX_COMMAND_BYTES,
    MAX_CONVERSATION_LINES,
    MAX_ENVIRONMENT_LINES,
    Conversation,
    Environment,
    HungUp,
    Reply,
    encode_get_full_variable,
    encode_set_variable,
)
from vipex_bridge.errors import AgiError

# As Asterisk 22.10 sends it for a call from a trunk.
ENVIRONMENT = (
    b"agi_network: yes\nagi_network_script: lookup\nagi_request: agi://127.0.0.1:4573/lookup\n"
    b"agi_channel: PJSIP/trunk-00000012\nagi_language: en\nagi_type: PJSIP\nagi_uniqueid: 1795409430.45\n"
    b"agi_version: 22.10.1\nagi_callerid: 3642999425\nagi_calleridname: Kov\xc3\xa1cs: \xff\n"
    b"agi_callingpres: 0\n"
    b"agi_callingani2: 0\nagi_callington: 0\nagi_callingtns: 0\nagi_dnid: 3642999408\nagi_rdnis: unknown\n"
    b"agi_context: from-trunk\nagi_extension: 3642999408\nagi_priority: 10\nagi_enhanced: 0.0\n"
    b"agi_accountcode: \nagi_threadid: 140119718819520\nagi_arg_1: crm-route\nagi_arg_2: menu=2=b\n\n"
)


hostile = st.text(
    alphabet=st.one_of(
        st.sampled_from("\\\" \t()${}\x1f'a;,&\r\n\0\u2028\u2029\u202e\ud800"), st.characters()
    ),
    max_size=300,
)


@given(hostile)
@example("\\")
@example('"')
@example('\\" x')
@example('x"\nEXEC System "id')
@example("")
@example("Kovács 😀")
def test_a_value_arrives_exactly_as_it_is_or_is_refused(value: str) -> None:
    try:
        line = encode_set_variable("VIPEX_BRANCH", value)
    except AgiError:
        assert any(char in value for char in "\r\n\0") or any("\ud800" <= char <= "\udfff" for char in value)
        return
    assert received_commands(line) == [[b"SET", b"VARIABLE", b"VIPEX_BRANCH", value.encode()]]


@given(hostile)
def test_an_expression_arrives_exactly_as_it_is_or_is_refused(expression: str) -> None:
    try:
        line = encode_get_full_variable(expression)
    except AgiError:
        return
    assert received_commands(line) == [[b"GET", b"FULL", b"VARIABLE", expression.encode()]]


@pytest.mark.parametrize(
    "name", ["", "1A", "_X", "__X", "A B", 'A"', "FILE(/etc/passwd)", "A\n", "Á", "A" * 65, "A=1", "${A}"]
)
def test_a_name_that_is_no_plain_variable_is_refused(name: str) -> None:
    with pytest.raises(AgiError):
        encode_set_variable(name, "x")


def test_the_longest_plain_name_is_taken() -> None:
    assert encode_set_variable("A" * 64, "") == b'SET VARIABLE "' + b"A" * 64 + b'" ""\n'


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", "\ud800"])
def test_a_value_that_no_line_can_carry_is_refused(value: str) -> None:
    with pytest.raises(AgiError):
        encode_set_variable("A", value)


@given(st.sampled_from(["x", "é", '"', "\\", "😀"]), st.integers(1900, 8100))
def test_no_command_reaches_the_size_of_asterisks_buffer(char: str, count: int) -> None:
    try:
        line = encode_set_variable("A", char * count)
    except AgiError:
        assert len((char * count).encode()) * 2 + 40 >= MAX_COMMAND_BYTES
        return
    assert len(line) < MAX_COMMAND_BYTES


def test_the_environment_of_a_real_call_is_read() -> None:
    [environment] = Conversation().feed(ENVIRONMENT)
    assert isinstance(environment, Environment)
    assert environment.script == "lookup"
    assert environment.arguments == ("crm-route", "menu=2=b")
    assert environment.fields["agi_uniqueid"] == "1795409430.45"
    assert environment.fields["agi_accountcode"] == ""
    assert environment.fields["agi_calleridname"] == "Kovács: �"


@pytest.mark.parametrize(
    "lines",
    [
        # The lines that the AGI documents name first, in an order of the client's own.
        b"agi_request: agi://pbx/lookup\nagi_callerid: 36\nagi_calleridname: A\nagi_context: in\n"
        b"agi_extension: 9\nagi_priority: 1\nagi_dnid: 9\nagi_accountcode: \nagi_arg_1: crm\n\n",
        b"agi_network_script: lookup\nagi_uniqueid: 1.1\nagi_arg_1: crm\n\n",
    ],
    ids=["some lines", "no caller"],
)
def test_another_client_than_asterisk_may_leave_lines_out(lines: bytes) -> None:
    [environment] = Conversation().feed(lines)
    assert isinstance(environment, Environment)
    assert (environment.is_sound, environment.script, environment.arguments) == (True, "lookup", ("crm",))


@pytest.mark.parametrize(
    ("lines", "script"),
    [
        (b"agi_network_script: notify\n", "notify"),
        (b"agi_network_script: /notify/?x=1\n", "notify"),
        (b"agi_request: agi://127.0.0.1:4573/lookup\n", "lookup"),
        (b"agi_request: agi://[::1]:4573/lookup?a=b\n", "lookup"),
        (b"agi_request: agi://pbx\n", ""),
        (b"agi_request: vipex-lookup\n", ""),
    ],
)
def test_the_script_is_the_path_of_the_url(lines: bytes, script: str) -> None:
    [environment] = Conversation().feed(lines + b"\n")
    assert isinstance(environment, Environment)
    assert environment.script == script


def test_a_line_break_in_a_caller_name_replaces_nothing_that_asterisk_said_before() -> None:
    [environment] = Conversation().feed(
        b"agi_uniqueid: 1.1\nagi_calleridname: Eve\nagi_uniqueid: 6.6\nrest of it\nagi_arg_1: crm\n\n"
    )
    assert isinstance(environment, Environment)
    assert environment.fields["agi_uniqueid"] == "1.1"
    assert environment.arguments == ("crm",)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\n",
        b"\x16\x03\x01\x02\x00\x01\n",
        b"agi_x" * 20_000,
        b"agi_a: " + b"x" * 40_000 + b"\nagi_b: " + b"x" * 40_000 + b"\n",
        b"agi_a: 1\n" * (MAX_ENVIRONMENT_LINES + 1),
    ],
    ids=["http", "empty line", "tls", "endless line", "endless environment", "endless lines"],
)
def test_what_is_no_agi_is_refused(garbage: bytes) -> None:
    with pytest.raises(AgiError):
        Conversation().feed(garbage)


REPLIES: list[tuple[bytes, Reply]] = [
    (b"200 result=1\n", Reply(200, "1")),
    (b"200 result=0\n", Reply(200, "0")),
    (b"200 result=-1\n", Reply(200, "-1")),
    (b"200 result=1 (vip)\n", Reply(200, "1", "vip")),
    (b"200 result=1 ()\n", Reply(200, "1", "")),
    (b"200 result=1 (a (b) c)\n", Reply(200, "1", "a (b) c")),
    (b"200 result=1 (hangup)\n", Reply(200, "1", "hangup")),
    (b"200 result=1 (one\nHANGUP\n510 three\n\n)\n", Reply(200, "1", "one\nHANGUP\n510 three\n\n")),
    (b"200 result=1 (Kov\xc3\xa1cs\r)\n", Reply(200, "1", "Kovács\r")),
    (b"200 result=0 (timeout)\n", Reply(200, "0", "timeout")),
    (b"510 Invalid or unknown command\n", Reply(510)),
    (b"511 Command Not Permitted on a dead channel or intercept routine\n", Reply(511)),
    (b"520 Invalid command syntax.  Proper usage not available.\n", Reply(520)),
    (
        b"520-Invalid command syntax.  Proper usage follows:\nUsage: SET VARIABLE\nHANGUP\n"
        b"520 End of proper usage.\n",
        Reply(520),
    ),
]


@pytest.mark.parametrize(("sent", "reply"), REPLIES)
def test_a_reply_is_read_whole(sent: bytes, reply: Reply) -> None:
    conversation = Conversation()
    conversation.feed(ENVIRONMENT)
    assert conversation.feed(sent) == [reply]


def test_the_rest_of_a_value_with_a_closed_line_inside_is_nobodys_reply() -> None:
    conversation = Conversation()
    conversation.feed(ENVIRONMENT)
    assert conversation.feed(b"200 result=1 (a)\nb)\n200 result=1\n") == [
        Reply(200, "1", "a"),
        Reply(200, "1"),
    ]


def test_an_endless_value_is_refused() -> None:
    conversation = Conversation()
    conversation.feed(ENVIRONMENT)
    with pytest.raises(AgiError):
        conversation.feed(b"200 result=1 (" + b"x\n" * 40_000)


@pytest.mark.parametrize("said", [b"\n", b"HANGUP\n", b"200 result=1\n", b"x" * 1_000 + b"\n"])
def test_an_endless_conversation_is_refused(said: bytes) -> None:
    conversation = Conversation()
    conversation.feed(ENVIRONMENT)
    with pytest.raises(AgiError, match="lines"):
        for _ in range(MAX_CONVERSATION_LINES):
            conversation.feed(said)


def test_a_conversation_of_a_thousand_replies_is_well() -> None:
    conversation = Conversation()
    conversation.feed(ENVIRONMENT)
    assert sum(len(conversation.feed(b"200 result=1 (" + b"x" * 100 + b")\n")) for _ in range(1_000)) == 1_000


HANGUP = (b"HANGUP\n", HungUp())


@given(st.lists(st.sampled_from([*REPLIES, HANGUP]), max_size=8), st.data())
def test_any_cut_of_the_stream_gives_the_same_replies_and_a_hangup_shifts_none(
    spoken: list[tuple[bytes, Reply | HungUp]], data: st.DataObject
) -> None:
    stream = ENVIRONMENT + b"".join(sent for sent, _ in spoken)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=40)))
    conversation = Conversation()
    said = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        said += conversation.feed(stream[start:end])
    assert isinstance(said[0], Environment)
    assert said[1:] == [what for _, what in spoken]


def test_a_stream_cut_at_every_byte_gives_the_same() -> None:
    conversation = Conversation()
    stream = ENVIRONMENT + b"".join(sent for sent, _ in REPLIES)
    said = [what for byte in stream for what in conversation.feed(bytes([byte]))]
    assert said[1:] == [reply for _, reply in REPLIES]


agi_like = st.lists(
    st.one_of(
        st.sampled_from(
            [b"agi_a: 1\n", b"\n", b"HANGUP\n", b"200 result=1 (", b"520-", b")\n", b"520 \n", b"200 "]
        ),
        st.binary(max_size=50),
    ),
    max_size=30,
)


@given(agi_like)
@example([b"agi_a: 1\n\n", b"200 result=" + b"9" * 5000 + b"\n"])
def test_random_bytes_raise_nothing_but_our_own_error(chunks: list[bytes]) -> None:
    conversation = Conversation()
    try:
        for chunk in chunks:
            conversation.feed(chunk)
    except AgiError:
        pass
