"""Answers for telephones that have gone: after a REFER Asterisk tells them to the end what becomes of it.

Unanswered, each NOTIFY is sent for 32 s (RFC 3261, section 17.1.2), and comes to whichever phone is played
there next, in place of the call that it waits for.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack

LISTENS_S = 0.7
"""A NOTIFY that came when nobody was there comes again after half a second."""
_COPIED = re.compile(rb"(?im)^(?:via|v|from|f|to|t|call-id|i|cseq)\s*:.*\r\n")


def answer_for(addresses: Iterable[tuple[str, int]]) -> None:
    """Takes each telephone's place for a moment; nobody else may be there."""
    with ExitStack() as stack, selectors.DefaultSelector() as heard:
        for address in addresses:
            phone = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            phone.bind(address)
            heard.register(phone, selectors.EVENT_READ, phone)
        until = time.monotonic() + LISTENS_S
        while heard.get_map() and (left_s := until - time.monotonic()) > 0:
            for key, _ in heard.select(left_s):
                request, sender = key.data.recvfrom(65_535)
                if request.startswith(b"NOTIFY "):
                    head = b"".join(_COPIED.findall(request))
                    key.data.sendto(b"SIP/2.0 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n", sender)
