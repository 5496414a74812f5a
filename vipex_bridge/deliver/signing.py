"""Signatures by the Standard Webhooks specification 1.0.0: three headers beside a body.

Signed is `id.timestamp.body`, by HMAC-SHA256; with two secrets there are two signatures, so that a receiver
may have either while one replaces the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace

from vipex_bridge.config.settings import Secret
from vipex_bridge.config.signing import signing_key
from vipex_bridge.deliver.http import Outgoing, SizedReader
from vipex_bridge.deliver.masking import MASK

HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def sign(outgoing: Outgoing, secrets: Iterable[Secret], message_id: str, at: float) -> Outgoing:
    """`outgoing` with the three headers, if there are secrets; else as it is.

    `message_id` is the same for every try of a delivery, `at` (seconds since the epoch) the time of this one.
    A body that is read from files is read through once, piece by piece, and checked again while it is sent.
    On failure its files are closed. Raises ExchangeError when a recording cannot be read.
    """
    keys = [signing_key(secret) for secret in secrets]
    if not keys:
        return outgoing
    timestamp = str(int(at))
    try:
        signatures = _signatures(keys, f"{message_id}.{timestamp}.".encode(), _pieces(outgoing.body))
    except BaseException:
        if isinstance(outgoing.body, SizedReader):
            outgoing.body.close()
        raise
    return replace(outgoing, headers=with_headers(outgoing.headers, (message_id, timestamp, signatures)))


def with_headers(
    headers: tuple[tuple[str, str], ...], values: tuple[str, str, str]
) -> tuple[tuple[str, str], ...]:
    """The headers with the three of the specification at their end; ours replace the operator's."""
    kept = tuple((name, value) for name, value in headers if name.lower() not in HEADERS)
    return kept + tuple(zip(HEADERS, values, strict=True))


def masked_values(secrets: tuple[Secret, ...]) -> tuple[str, str, str]:
    """What stands in the three headers where a person sees the request before it is sent."""
    signatures = " ".join([f"v1,{MASK}"] * len(secrets))
    return "<the Idempotency-Key>", "<the time of the try>", signatures


def _pieces(body: bytes | SizedReader | None) -> Iterable[bytes]:
    if body is None:
        return ()
    return (body,) if isinstance(body, bytes) else body.pieces()


def _signatures(keys: list[bytes], start: bytes, pieces: Iterable[bytes]) -> str:
    makers = [hmac.new(key, start, hashlib.sha256) for key in keys]
    for piece in pieces:
        for maker in makers:
            maker.update(piece)
    return " ".join(f"v1,{base64.b64encode(maker.digest()).decode()}" for maker in makers)
