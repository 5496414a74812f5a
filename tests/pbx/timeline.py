"""The truth about a call: what its phones said and heard, and when, from SIPp's own message traces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

_MESSAGE = re.compile(
    r"^-{20,} (?P<at>\d{4}-\d\d-\d\d [\d:.]+)\n\w+ message (?P<way>sent|received).*\n\n(?P<first>\S.*?)\r?\n",
    re.MULTILINE,
)
_METHOD = re.compile(r"^CSeq:\s*\d+\s+(\w+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Signal:
    """One SIP message at one phone; `what` is a method, or a status and what it answers: "180 INVITE"."""

    at: float
    phone: str
    is_sent: bool
    what: str


@dataclass(frozen=True, slots=True)
class Lived:
    """What one phone lived through; seconds since the epoch, None for what did not happen."""

    rang_at: float | None
    answered_at: float | None
    ended_at: float | None

    @property
    def ring_s(self) -> float:
        """Seconds from the first 180 to the answer, or to the end; 0 when it never rang."""
        until = self.answered_at or self.ended_at
        return until - self.rang_at if self.rang_at and until else 0.0

    @property
    def talk_s(self) -> float:
        """Seconds from the answer to the end; 0 when it was not answered."""
        return self.ended_at - self.answered_at if self.answered_at and self.ended_at else 0.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """All signals of a call in the order of time; phones go by their number."""

    signals: tuple[Signal, ...]

    def of(self, number: str) -> Lived:
        """The call as that phone saw it. Raises LookupError for a phone that heard nothing."""
        own = [signal for signal in self.signals if signal.phone == number]
        if not own:
            raise LookupError(f"no phone {number} took part: {sorted({s.phone for s in self.signals})}")
        return Lived(
            rang_at=_first(own, r"180 INVITE"),
            answered_at=_first(own, r"2\d\d INVITE"),
            ended_at=_first(own, r"BYE|CANCEL|[3-6]\d\d INVITE"),
        )

    def __str__(self) -> str:
        start = self.signals[0].at if self.signals else 0.0
        return "\n".join(
            f"{signal.at - start:8.3f}  {signal.phone:12} {'->' if signal.is_sent else '<-'} {signal.what}"
            for signal in self.signals
        )


def timeline(traces: list[tuple[str, str]]) -> Timeline:
    """Of (phone number, text of SIPp's message file) pairs."""
    signals = [signal for number, text in traces for signal in _signals(number, text)]
    return Timeline(tuple(sorted(signals, key=lambda signal: signal.at)))


def _signals(number: str, text: str) -> list[Signal]:
    found = []
    starts = list(_MESSAGE.finditer(text))
    for match, following in zip_longest(starts, starts[1:]):
        rest = text[match.end() : following.start() if following else None]
        method = _METHOD.search(rest)
        first = match["first"].split()
        is_answer = first[0] == "SIP/2.0"
        what = f"{first[1]} {method[1]}" if is_answer and method else first[0]
        at = datetime.fromisoformat(match["at"]).timestamp()
        found.append(Signal(at, number, match["way"] == "sent", what))
    return found


def _first(signals: list[Signal], what: str) -> float | None:
    return next((signal.at for signal in signals if re.fullmatch(what, signal.what)), None)
