"""What follows from one try of a delivery (contract, section 4). Pure: the time is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

JITTER = 0.1
"""A delay is lengthened by up to this share, so that a returning server is not met by all at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kind`: delivered, retry (at `next_attempt_at`) or failed."""

    kind: str
    next_attempt_at: float | None = None


def after_attempt(
    *,
    status_code: int | None,
    retry_after: str | None,
    retry_index: int,
    delays_s: Sequence[float],
    now: float,
    chance: float,
) -> Outcome:
    """What becomes of a delivery after a try at `now`.

    `status_code` is None when no answer came; `retry_after` is the answer's header; `retry_index`
    counts the retries made; `chance` in [0, 1) spreads the delay.
    """
    if status_code is not None and 200 <= status_code < 300:
        return Outcome("delivered")
    if status_code == 410 or retry_index >= len(delays_s):
        return Outcome("failed")
    delay_s = delays_s[retry_index] * (1 + JITTER * chance)
    if status_code in (429, 503) and retry_after is not None:
        delay_s = max(delay_s, _asked_delay_s(retry_after, now))
    return Outcome("retry", now + delay_s)


def _asked_delay_s(retry_after: str, now: float) -> float:
    """`Retry-After` in seconds from now: a number or an HTTP date (RFC 9110, section 10.2.3); else 0."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else 0.0
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
