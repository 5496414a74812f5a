"""Whether a received request is well signed (Standard Webhooks 1.0.0), in a receiver's words."""

from __future__ import annotations

import base64
import hashlib
import hmac

from vipex_bridge.receive.show import ReceivedRequest

TOLERANCE_S = 300
"""As the specification's own libraries have it."""


def verdict(request: ReceivedRequest, key: bytes) -> str:
    """`good`, or what is wrong with the request's signature."""
    message_id, stamp, given = (
        request.header(f"webhook-{name}") or "" for name in ("id", "timestamp", "signature")
    )
    if not (message_id and stamp and given):
        return "none: webhook-id, webhook-timestamp or webhook-signature is missing"
    if not (stamp.isascii() and stamp.isdigit()):
        return "wrong: webhook-timestamp is no number of seconds"
    signed = f"{message_id}.{stamp}.".encode("latin-1", "replace") + request.body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given.split(" ")):
        return "wrong: not by this secret over webhook-id.webhook-timestamp.body"
    late_s = round(request.at - int(stamp))
    return "good" if abs(late_s) <= TOLERANCE_S else f"good, but {late_s} s old: a receiver should refuse it"
