"""The key that a signing secret stands for."""

from __future__ import annotations

import base64

from vipex_bridge.config.settings import Secret

_PREFIX = "whsec_"


def signing_key(written: Secret) -> bytes:
    """`whsec_` and base64 gives what that encodes; any other text gives its own UTF-8 bytes.

    The former is the specification's form (Standard Webhooks 1.0.0, "Secret serialization"), which its
    libraries take; as in these, `=` at the end may be missing. Raises ValueError when it is not base64.
    """
    text = written.reveal()
    if not text.startswith(_PREFIX):
        return text.encode()
    encoded = text.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("begins with whsec_, so the rest must be base64, which it is not")
    return key
