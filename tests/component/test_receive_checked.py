"""What `receive` says of a request by its kind's schema, and the worse of its misbehaviours."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from as_sent import CASES, sent_about
from documented import INBOUND, NOTIFICATION, OUTGOING, QUESTION_QUERY
from hypothesis import given
from hypothesis import strategies as st
from sending import PLAIN, get

from vipex_bridge.config.settings import PARAMETERS
from vipex_bridge.deliver.http import Transport
from vipex_bridge.errors import ExchangeError
from vipex_bridge.receive.checked import checked
from vipex_bridge.receive.faults import parse_faults
from vipex_bridge.receive.server import HUGE_BYTES, Answer, Receiver, serve
from vipex_bridge.receive.show import ReceivedRequest, show

AT = 1575287177.25
TOLD = ("Idempotency-Key", "k1")
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def _posted(body: str | bytes, *headers: tuple[str, str]) -> ReceivedRequest:
    data = body.encode() if isinstance(body, str) else body
    return ReceivedRequest(AT, "POST", "/calls", (), headers or (JSON, TOLD), data)


def _got(query: str, *headers: tuple[str, str]) -> ReceivedRequest:
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    return ReceivedRequest(AT, "GET", "/calls", pairs, headers, b"")


def _changed(text: str, **changes: Any) -> str:
    return json.dumps({**json.loads(text), **changes})


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (_posted(OUTGOING), "call_end"),
        (_posted(INBOUND), "call_end"),
        (_posted(NOTIFICATION), "notify"),
        (_posted(NOTIFICATION, JSON), "lookup or notify"),
        (_got(QUESTION_QUERY), "lookup"),
        (_got("start_time=2019-12-02+12%3A46%3A17&cc_call=0"), "lookup"),
        (_got(QUESTION_QUERY, TOLD), "notify"),
        # A withheld number is left out of a query.
        (_got("id=7&start_time=2019-12-02+12%3A46%3A17&dst=3619996000&cc_call=0", TOLD), "notify"),
        (_posted(QUESTION_QUERY, FORM, TOLD), "notify"),
    ],
)
def test_what_is_sent_is_good(request_: ReceivedRequest, kind: str) -> None:
    assert checked(request_) == (f"{kind}, good",)


@pytest.mark.parametrize("case", CASES)
def test_all_that_is_sent_about_a_recorded_call_is_good(case: str) -> None:
    for sent in sent_about(case):
        pairs = tuple(parse_qsl(sent.url.removeprefix("?")))
        request = ReceivedRequest(AT, sent.method, "/calls", pairs, (JSON, TOLD), sent.body)
        assert checked(request) == (f"{sent.client.kind}, good",), (sent.client.name, sent.event)


PART = json.loads(INBOUND)["sub_cdrs"][0]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (_posted(_changed(OUTGOING, id="76355")), ['id: must be an integer, is "76355"']),
        (_posted(_changed(OUTGOING, direction=3)), ["direction: must be one of 0, 1, 2, is 3"]),
        (_posted(_changed(OUTGOING, ringtime=-1)), ["ringtime: must be at least 0, is -1"]),
        (
            _posted(_changed(OUTGOING, price="1.25", src=1102)),
            ["src: must be a string or null, is 1102", 'price: must be a number or null, is "1.25"'],
        ),
        (
            _posted(_changed(OUTGOING, start_time="2019-12-03T11:41:56+01:00")),
            [
                'start_time: must be a time like "2019-12-03 12:14:11", is "2019-12-03T11:41:56+01:00"',
            ],
        ),
        (
            _posted(_changed(INBOUND, sub_cdrs=[PART, {**PART, "duration": 4.5}])),
            ["sub_cdrs[1].duration: must be an integer, is 4.5"],
        ),
        (
            _posted(_changed(INBOUND, sub_cdrs=[{n: v for n, v in PART.items() if n != "exten"}])),
            ["sub_cdrs[0].exten: is missing"],
        ),
        (_posted(_changed(INBOUND, sub_cdrs=None)), ["sub_cdrs: must be an array, is null"]),
        (_posted('{"id": 7, "src": null}'), ["start_time: is missing", "dst: is missing"]),
        (_got("id=seven&start_time=now"), [
            'id: must be an integer or null, is "seven"',
            'start_time: must be a time like "2019-12-03 12:14:11", is "now"',
        ]),
        (_got("id=7&src=1", TOLD), ["start_time: is missing"]),
        (_posted("start_time=&id=7&cc_call=2", FORM, TOLD), [
            'start_time: must be a time like "2019-12-03 12:14:11", is ""',
            "cc_call: must be one of 0, 1, is 2",
        ]),
    ],
)  # fmt: skip
def test_each_fault_is_named_where_it_stands(request_: ReceivedRequest, said: list[str]) -> None:
    heading, *faults = checked(request_)
    assert heading.endswith(", 1 fault" if len(said) == 1 else f", {len(said)} faults")
    assert faults == said
    block = show(request_, schema=(heading, *faults))
    assert f"  schema: {heading}\n" in block
    assert all(f"    {fault}\n" in block for fault in said)


def test_fields_that_are_not_the_kinds_are_named() -> None:
    heading, *rest = checked(_posted(_changed(NOTIFICATION, event="ringing", key="s3cret")))
    assert heading == "notify, good"
    assert rest == ["event, key: no field of notify (an own one, or an API key?)"]


@pytest.mark.parametrize(
    "request_",
    [
        _posted('{"phone": "1", "agent": null, "event": "ringing"}'),
        _posted('{"id": 1, "who": "x", "what": "y"}'),
        _posted("<call><id>1</id></call>", ("Content-Type", "application/xml")),
        _posted("x", ("X", "y")),
        _got("phone=1&event=ringing"),
        _got(""),
    ],
)
def test_a_format_of_the_operators_own_is_not_called_wrong(request_: ReceivedRequest) -> None:
    (said,) = checked(request_)
    assert said.startswith("not checked: ")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"id": }', "no valid JSON"),
        (b'{"id": NaN}', "no valid JSON"),
        (b'{"id": 1, "id": 2}', "no valid JSON"),
        (b"\xff\xfe", "no valid JSON"),
        (b"[" * 100_000, "no valid JSON"),
        (b"[1]", "must be one JSON object"),
        (b"7", "must be one JSON object"),
    ],
)
def test_a_body_that_is_no_json_object_is_wrong(body: bytes, said: str) -> None:
    assert said in checked(_posted(body))[0]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(PARAMETERS["call_end"]) | st.text(max_size=5), values, max_size=8))
def test_whatever_comes_is_judged_in_lines_that_move_nothing(document: dict[str, object]) -> None:
    pairs = [(name, value) for name, value in document.items() if isinstance(value, str)]
    query = ReceivedRequest(AT, "GET", "/", tuple(pairs), (), b"")
    for request in (_posted(json.dumps(document)), query):
        block = show(request, schema=checked(request))
        assert "  schema: " in block
        assert all(line.isprintable() for line in block.split("\n"))


# The server


class _Told(io.StringIO):
    """A stream that runs something once the server listens, and then stands in for Ctrl-C."""

    def __init__(self, once: Callable[[int], None]) -> None:
        super().__init__()
        self._once = once

    def write(self, text: str) -> int:
        if text.startswith("Listening on "):
            self._once(int(text.split(";")[0].rpartition(":")[2]))
            raise KeyboardInterrupt
        return super().write(text)


def test_receive_says_of_each_request_what_is_wrong() -> None:
    def ask(port: int) -> None:
        for body in (OUTGOING, _changed(OUTGOING, direction="out")):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/cdr", body.encode(), dict([JSON, TOLD]))
            assert connection.getresponse().status == 200
            connection.close()

    stream = _Told(ask)
    with pytest.raises(KeyboardInterrupt):
        serve("127.0.0.1", 0, stream=stream)
    first, second = stream.getvalue().split("── ")[1:]
    assert "  schema: call_end, good\n" in first
    assert '  schema: call_end, 1 fault\n    direction: must be an integer, is "out"\n' in second


def _asked(transport: Transport, fault: str) -> None:
    answers = {"/": Answer("text/plain", b"a whole answer")}
    with Receiver(faults=parse_faults(fault), answers=answers) as receiver:
        transport.exchange(get(f"{receiver.url}/"), tls=PLAIN, timeout_s=10.0, max_bytes=1024 * 1024)


@pytest.mark.parametrize("fault", ["cut", "nonsense", "huge", "reset"])
def test_an_answer_of_no_use_is_none(transport: Transport, fault: str) -> None:
    with pytest.raises(ExchangeError):
        _asked(transport, fault)


def test_huge_is_as_large_as_it_says_and_ends_when_nobody_reads() -> None:
    with Receiver(faults=parse_faults("huge")) as receiver:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert int(answer.headers["Content-Length"]) == HUGE_BYTES
        assert answer.read(100) == b" " * 100
        answer.close()
        connection.close()


def test_cut_ends_in_the_middle_of_the_answer() -> None:
    answers = {"/": Answer("text/plain", b"0123456789")}
    with Receiver(faults=parse_faults("cut"), answers=answers) as receiver:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
        connection.request("GET", "/")
        with pytest.raises(http.client.IncompleteRead) as ended:
            connection.getresponse().read()
        assert ended.value.partial == b"01234"
        connection.close()


def test_a_redirect_leads_elsewhere() -> None:
    with Receiver(faults=parse_faults("302")) as receiver:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
        connection.close()
