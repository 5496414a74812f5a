"""What follows from one try of a delivery (contract, section 4). Pure: time and chance are passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

JITTER = 0.1
"""The greatest part of a delay that is added by chance, so that a server's return is no stampede."""
LONGEST_WAIT_S = 7 * 86400.0
"""What a `Retry-After` can ask for at most: a slip in a date must not keep a call back for years."""

_GONE = 410
_MAY_ASK = (429, 503)


class What(StrEnum):
    """What becomes of the delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a delivery; with `RETRY`, when, and how many of the delays are then used up."""

    what: What
    retry_index: int
    next_attempt_at: float | None = None


def after_attempt(
    status: int | None,
    retry_after: str,
    *,
    retry_s: tuple[float, ...],
    retry_index: int,
    expires_at: float | None,
    now: float,
    chance: float,
) -> Outcome:
    """What follows from a try that ended at `now`.

    `status` is that of the answer, None when none came; `retry_after` that header, or ''. `retry_index`
    is the number of delays of `retry_s` used up; `chance` is a number from 0 up to 1.
    """
    if status is not None and 200 <= status <= 299:
        return Outcome(What.DELIVERED, retry_index)
    if status == _GONE or retry_index >= len(retry_s):
        return Outcome(What.FAILED, retry_index)
    wait_s = retry_s[retry_index] * (1 + JITTER * chance)
    if status in _MAY_ASK:
        wait_s = max(wait_s, asked_wait(retry_after, now))
    if expires_at is not None and now + wait_s >= expires_at:
        return Outcome(What.EXPIRED, retry_index)
    return Outcome(What.RETRY, retry_index + 1, now + wait_s)


def asked_wait(retry_after: str, now: float) -> float:
    """The seconds from `now` that a `Retry-After` asks for (RFC 9110, section 10.2.3): a number of seconds
    or a date. 0 for what is neither, or past; at most `LONGEST_WAIT_S`."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        # Not converted at any length: the number may be thousands of digits long.
        seconds = float(text) if len(text) <= 10 else LONGEST_WAIT_S
    else:
        try:
            date = parsedate_to_datetime(text)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT_S)
