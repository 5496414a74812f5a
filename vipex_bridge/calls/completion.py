"""When a call is complete and may be told (call trees, section 7). Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass

ROWS_AWAITED_S = 60.0
"""A call that AMI saw and that has no CDR row after this is told from what AMI knew."""
QUIET_WITHOUT_AMI_S = 10.0
"""Without AMI's word, or CEL's, a call is complete when no new row came for this long."""
QUIET_ROWS_S = 1.0
"""Rows of one call land within milliseconds; after this pause no more of them are on their way."""


@dataclass(frozen=True, slots=True)
class Signs:
    """A call's signs of life, by a clock that nobody sets.

    `ended_at` is when AMI's last hang-up of the call came in, None when AMI did not see it end;
    `live` is whether AMI, connected, has channels of it up, or, without AMI, CEL shows it going on;
    `last_row_at` is when its latest CDR row was read; `logged_end_at` is when CEL's word came in that it
    is over.
    """

    live: bool
    ended_at: float | None
    last_row_at: float | None
    logged_end_at: float | None = None


def is_complete(signs: Signs, now: float, *, settle_s: float, has_cdr: bool) -> bool:
    """Whether the call may be told at `now`."""
    if signs.live:
        return False
    ended_at = signs.ended_at if signs.ended_at is not None else signs.logged_end_at
    if ended_at is None:
        return signs.last_row_at is not None and now >= signs.last_row_at + max(settle_s, QUIET_WITHOUT_AMI_S)
    if now < ended_at + settle_s:
        return False
    if signs.last_row_at is not None:
        return now >= signs.last_row_at + min(settle_s, QUIET_ROWS_S)
    return not has_cdr or now >= ended_at + ROWS_AWAITED_S
