"""AGI: whatever a peer says is read or refused; whatever we say is exactly the one command that was meant."""

from __future__ import annotations

import sys
from pathlib import Path

from asterisk_agi import received_commands

from vipex_bridge.agi.call import agi_call, client_and_args
from vipex_bridge.agi.conversation import (
    MAX_COMMAND_BYTES,
    Conversation,
    Environment,
    HungUp,
    Reply,
    encode_get_full_variable,
    encode_set_variable,
)
from vipex_bridge.errors import AgiError

sys.path.append(str(Path(__file__).parents[2] / "agi"))

import vipex_agi

Said = list[Environment | Reply | HungUp]


def one_input(data: bytes) -> None:
    """The first byte says whether the rest is a peer's stream, and how it is cut, or a value of ours."""
    if not data:
        return
    if data[0] % 2:
        _listen(data[1:], 1 + data[0] // 2)
    else:
        _speak(data[1:])


def _listen(stream: bytes, step: int) -> None:
    whole, whole_broke = _heard([stream])
    cut, cut_broke = _heard([stream[at : at + step] for at in range(0, len(stream), step)])
    # What is said in the same piece as a fault is lost with it: a piece more may have come before.
    assert whole_broke == cut_broke
    assert whole_broke or whole == cut
    for what in cut:
        if isinstance(what, Environment):
            _, args = client_and_args(what)
            assert len(args) < 200
            call = agi_call(what, "")
            assert "\n" not in call.uniqueid + call.caller_number + call.dialled
        elif isinstance(what, Reply):
            agi_call(Environment({}, ()), what.value or "")


def _heard(pieces: list[bytes]) -> tuple[Said, bool]:
    conversation, said = Conversation(), []
    try:
        for piece in pieces:
            said += conversation.feed(piece)
    except AgiError:
        return said, True
    return said, False


def _speak(value: bytes) -> None:
    for text in (value.decode("utf-8", "surrogateescape"), value.decode("latin-1")):
        for words, encode in (
            (["SET", "VARIABLE", "VIPEX_X", text], lambda text: encode_set_variable("VIPEX_X", text)),
            (["GET", "FULL", "VARIABLE", text], encode_get_full_variable),
        ):
            try:
                line = encode(text)
            except AgiError:
                continue
            assert len(line) < MAX_COMMAND_BYTES
            assert received_commands(line) == [[word.encode() for word in words]]
            assert vipex_agi.words(line[:-1].decode()) == words
        try:
            quoted = vipex_agi.quoted(text).encode("utf-8", "surrogateescape")
        except ValueError:
            continue
        if len(quoted) < MAX_COMMAND_BYTES:
            assert received_commands(quoted + b"\n") == [[text.encode("utf-8", "surrogateescape")]]
