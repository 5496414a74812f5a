"""Signatures: the specification's own example, both forms of a secret, rotation, bodies of pieces."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipex_bridge.config.settings import Secret
from vipex_bridge.config.signing import signing_key
from vipex_bridge.deliver.http import Outgoing
from vipex_bridge.deliver.recording import Base64File, Composed
from vipex_bridge.deliver.signing import sign
from vipex_bridge.errors import ExchangeError

EXAMPLE_SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def outgoing(body: bytes | Composed | None, *headers: tuple[str, str]) -> Outgoing:
    return Outgoing("POST", "https://b.example/cdr", headers, body)


def signed(body: bytes | Composed | None, *secrets: str, at: float = 1614265330.0) -> dict[str, str]:
    made = sign(outgoing(body), [Secret(secret) for secret in secrets], "msg_p5jXN8AQM9LWM0D4loKWxJek", at)
    return dict(made.headers)


def test_the_libraries_own_example_has_their_signature() -> None:
    """The example of the specification's libraries (their tests, `sign function works`)."""
    headers = signed(b'{"test": 2432232314}', EXAMPLE_SECRET.reveal(), at=1614265330.987)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=300), st.booleans())
def test_a_signature_is_hmac_sha256_of_id_time_and_body(key: bytes, body: bytes, padded: bool) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    expected = hmac.new(key, b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body, hashlib.sha256).digest()
    headers = signed(body, secret if padded else secret.rstrip("="))
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


@given(st.text(min_size=1).filter(lambda text: not text.startswith("whsec_") and text.isprintable()))
def test_a_plain_secret_stands_for_its_utf_8_bytes(text: str) -> None:
    assert signing_key(Secret(text)) == text.encode()


@pytest.mark.parametrize("secret", ["whsec_", "whsec_=", "whsec_a", "whsec_no base64!", "whsec_Zm9v\u00e9"])
def test_whsec_without_base64_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError) as caught:
        signing_key(Secret(secret))
    assert str(caught.value) == "begins with whsec_, so the rest must be base64, which it is not"


def test_two_secrets_give_two_signatures_separated_by_a_space() -> None:
    old, new = signed(b"{}", "old")["webhook-signature"], signed(b"{}", "new")["webhook-signature"]
    assert signed(b"{}", "old", "new")["webhook-signature"] == f"{old} {new}"


def test_without_a_secret_nothing_is_added_and_with_one_ours_replace_the_operators() -> None:
    plain = outgoing(b"{}", ("Webhook-ID", "own"), ("X-A", "1"))
    assert sign(plain, [], "d-7", 0.0) is plain
    names = [name for name, _ in sign(plain, [Secret("s")], "d-7", 0.0).headers]
    assert names == ["X-A", "webhook-id", "webhook-timestamp", "webhook-signature"]


def test_no_body_is_signed_as_an_empty_one() -> None:
    assert signed(None, "s") == signed(b"", "s")


# Bodies that are read from files


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


def composed(path: Path) -> Composed:
    return Composed([b'{"f": "', Base64File(path.open("rb", buffering=0), bytes, grows=False), b'"}'])


def everything(body: Composed) -> Iterator[bytes]:
    while piece := body.read(16_384):
        yield piece
    body.close()


def test_a_body_of_pieces_is_signed_as_the_whole_and_then_sent_whole(recording: Path) -> None:
    body = composed(recording)
    whole = b'{"f": "' + base64.b64encode(recording.read_bytes()) + b'"}'
    assert signed(body, "s") == signed(whole, "s")
    assert b"".join(everything(body)) == whole


@pytest.mark.parametrize("at", [0, 100_000, 255_999])
def test_a_recording_that_changes_after_signing_is_never_sent_whole(at: int, recording: Path) -> None:
    body = composed(recording)
    signed(body, "s")
    with recording.open("r+b") as file:
        file.seek(at)
        file.write(b"\xaa\xbb"[: 256_000 - at])
    with pytest.raises(ExchangeError, match=r"a\.wav was changed while it was sent"):
        list(everything(body))
    assert len(body) > 341_000
    body.close()


def test_a_recording_that_cannot_be_signed_is_closed(recording: Path) -> None:
    body = composed(recording)
    recording.write_bytes(b"")
    with pytest.raises(ExchangeError, match="became shorter"):
        signed(body, "s")
    with pytest.raises(ValueError, match="closed file"):
        next(piece for piece in body.pieces() if len(piece) > 10)


def test_a_recording_is_not_taken_into_memory_to_be_signed(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.touch()
    os.truncate(path, 30_000_000)
    body = composed(path)
    tracemalloc.start()
    try:
        signed(body, "old", "new")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
        body.close()
