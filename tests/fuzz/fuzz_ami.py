"""AMI: whatever bytes come, however they are cut, the framer, the translation and the tracker live on."""

from __future__ import annotations

from as_document import NUMBERING, tell

from vipex_bridge.ami.framing import Framer, Message
from vipex_bridge.ami.translate import translate
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.errors import AmiError

MAX_MESSAGE_BYTES = 2_000
ARRIVAL = 1_795_409_430.0


def one_input(data: bytes) -> None:
    """Only our own error comes out; cutting changes nothing; no message is over the limit.

    The first byte says how the rest, the stream, is cut; `|` stands for the end of a line.
    """
    step = 1 + data[0] % 97 if data else 1
    stream = data[1:].replace(b"|", b"\r\n")
    messages = _framed([stream[at : at + step] for at in range(0, len(stream), step)])
    if len(stream) < MAX_MESSAGE_BYTES:
        assert _framed([stream]) == messages
    tracker = Tracker(NUMBERING)
    for message in messages:
        said = sum(len(name) + len(value) for name in message for value in message.get_all(name))
        assert said <= MAX_MESSAGE_BYTES
        try:
            event = translate(message, ARRIVAL)
        except AmiError:
            continue
        if event is not None:
            tracker.feed(event)
    for record in tracker.calls():
        tell(record)


def _framed(pieces: list[bytes]) -> list[Message]:
    framer = Framer(max_bytes=MAX_MESSAGE_BYTES)
    return [message for piece in pieces for message in framer.feed(piece)]
